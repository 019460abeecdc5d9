"""The fit of the member model: its gradient, what it recovers, and how little few members can say."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit

from crm_pipeline.domain.churn.renewal import GAMMA, JUDGED, renewal_hazard
from crm_pipeline.domain.churn.renewal_fit import CODES, LEAST_LAPSES, Members, Renewal, fit_renewal, log_likelihood

Floats = npt.NDArray[np.float64]


def members(count: int, truth: Renewal, seed: int = 1) -> Members:
    """Members who lapse as `truth` says; each sign holds for one in eight."""
    rng = np.random.default_rng(seed)
    number = rng.integers(1, 12, count).astype(np.float64)
    signs = (rng.random((count, len(CODES))) < 0.125).astype(np.float64)
    hazard = renewal_hazard(number, truth.gamma, truth.delta)
    log_odds = np.log(hazard / (1 - hazard)) + signs @ [truth.log_odds[code] for code in CODES]
    return Members(number, signs, (rng.random(count) < expit(log_odds)).astype(np.float64))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-2.0, 1.5), min_size=2 + len(CODES), max_size=2 + len(CODES)))
def test_gradient_is_the_slope(start: list[float]) -> None:
    seen, theta = members(300, Renewal()), np.array(start)

    def value(point: Floats) -> float:
        return log_likelihood(point, seen)[0]

    slope = approx_fprime(theta, value, 1e-6)
    np.testing.assert_allclose(log_likelihood(theta, seen)[1], slope, rtol=1e-3, atol=0.02)


def test_without_members_the_prior_is_the_answer() -> None:
    nobody = members(0, Renewal())
    assert fit_renewal(nobody, Renewal())[:2] == pytest.approx(Renewal()[:2])


def test_many_members_are_believed() -> None:
    truth = Renewal(1.6, 5.0, {**JUDGED, "no_play_60": 1.6, "no_click_90": 0.05})
    found = fit_renewal(members(60_000, truth), Renewal())
    assert renewal_hazard([1, 5, 10], *found[:2]) == pytest.approx(renewal_hazard([1, 5, 10], *truth[:2]), rel=0.06)
    assert found.log_odds["no_play_60"] == pytest.approx(1.6, abs=0.1)
    assert found.log_odds["no_click_90"] < 0.15


@pytest.mark.parametrize(("lapses", "is_fitted"), [(LEAST_LAPSES - 1, False), (LEAST_LAPSES, True)])
def test_the_terms_stay_as_judged_below_fifty_lapses(lapses: int, is_fitted: bool) -> None:
    seen = members(400, Renewal())
    found = fit_renewal(seen._replace(has_lapsed=(np.arange(400) < lapses).astype(np.float64)), Renewal())
    assert (found.log_odds != pytest.approx(dict(JUDGED))) == is_fitted
    assert found.gamma != GAMMA


def test_a_tiers_fit_leaves_the_terms_alone() -> None:
    truth = Renewal(3.0, 3.0)
    found = fit_renewal(members(5_000, truth), Renewal(), terms=False)
    assert found.log_odds == pytest.approx(dict(JUDGED))
    assert renewal_hazard(1, *found[:2]) == pytest.approx(0.5, abs=0.03)


def test_no_sign_ever_speaks_for_staying() -> None:
    """Here whoever shows a sign never lapses."""
    number, signs = np.ones(400), np.zeros((400, len(CODES)))
    signs[:200] = 1.0
    found = fit_renewal(Members(number, signs, np.repeat([0.0, 1.0], 200)), Renewal())
    assert all(0 < found.log_odds[code] < JUDGED[code] for code in CODES)


def test_few_members_move_little_and_many_move_much() -> None:
    all_lapse = Members(np.ones(3), np.zeros((3, len(CODES))), np.ones(3))
    few = float(renewal_hazard(1, *fit_renewal(all_lapse, Renewal())[:2]))
    many = Members(np.ones(300), np.zeros((300, len(CODES))), np.ones(300))
    assert float(renewal_hazard(1)) < few < 0.4 < float(renewal_hazard(1, *fit_renewal(many, Renewal())[:2]))
