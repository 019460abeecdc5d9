"""The fit of the member model: its gradient, what it recovers, and how little few members can say."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit

from crm_pipeline.domain.churn.renewal import PRIOR_GAMMA, PRIOR_LOG_ODDS, compute_renewal_hazard
from crm_pipeline.domain.churn.renewal_fit import (
    MEMBER_TERM_CODES,
    MIN_LAPSES,
    MemberArrays,
    RenewalParameters,
    compute_log_likelihood,
    fit_renewal,
)

Floats = npt.NDArray[np.float64]


def members(count: int, truth: RenewalParameters, seed: int = 1) -> MemberArrays:
    """Returns members who lapse by `truth`; each flag holds for one in eight."""
    rng = np.random.default_rng(seed)
    number = rng.integers(1, 12, count).astype(np.float64)
    flags = (rng.random((count, len(MEMBER_TERM_CODES))) < 0.125).astype(np.float64)
    hazard = compute_renewal_hazard(number, truth.gamma, truth.delta)
    log_odds = np.log(hazard / (1 - hazard)) + flags @ [truth.log_odds[code] for code in MEMBER_TERM_CODES]
    return MemberArrays(number, flags, (rng.random(count) < expit(log_odds)).astype(np.float64))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-2.0, 1.5), min_size=2 + len(MEMBER_TERM_CODES), max_size=2 + len(MEMBER_TERM_CODES)))
def test_gradient_is_the_slope(start: list[float]) -> None:
    seen, theta = members(300, RenewalParameters()), np.array(start)

    def value(point: Floats) -> float:
        return compute_log_likelihood(point, seen)[0]

    slope = approx_fprime(theta, value, 1e-6)
    np.testing.assert_allclose(compute_log_likelihood(theta, seen)[1], slope, rtol=1e-3, atol=0.02)


def test_without_members_the_prior_is_the_answer() -> None:
    nobody = members(0, RenewalParameters())
    assert fit_renewal(nobody, RenewalParameters())[:2] == pytest.approx(RenewalParameters()[:2])


def test_many_members_outweigh_the_prior() -> None:
    truth = RenewalParameters(1.6, 5.0, {**PRIOR_LOG_ODDS, "no_play_60": 1.6, "no_click_90": 0.05})
    found = fit_renewal(members(60_000, truth), RenewalParameters())
    assert compute_renewal_hazard([1, 5, 10], *found[:2]) == pytest.approx(
        compute_renewal_hazard([1, 5, 10], *truth[:2]), rel=0.06
    )
    assert found.log_odds["no_play_60"] == pytest.approx(1.6, abs=0.1)
    assert found.log_odds["no_click_90"] < 0.15


@pytest.mark.parametrize(("lapses", "is_fitted"), [(MIN_LAPSES - 1, False), (MIN_LAPSES, True)])
def test_the_terms_stay_as_in_the_prior_below_fifty_lapses(lapses: int, is_fitted: bool) -> None:
    seen = members(400, RenewalParameters())
    found = fit_renewal(seen._replace(has_lapsed=(np.arange(400) < lapses).astype(np.float64)), RenewalParameters())
    assert (found.log_odds != pytest.approx(dict(PRIOR_LOG_ODDS))) == is_fitted
    assert found.gamma != PRIOR_GAMMA


def test_a_tiers_fit_leaves_the_terms_alone() -> None:
    truth = RenewalParameters(3.0, 3.0)
    found = fit_renewal(members(5_000, truth), RenewalParameters(), terms=False)
    assert found.log_odds == pytest.approx(dict(PRIOR_LOG_ODDS))
    assert compute_renewal_hazard(1, *found[:2]) == pytest.approx(0.5, abs=0.03)


def test_no_sign_ever_speaks_for_staying() -> None:
    """Here nobody with a flag ever lapses."""
    number, flags = np.ones(400), np.zeros((400, len(MEMBER_TERM_CODES)))
    flags[:200] = 1.0
    found = fit_renewal(MemberArrays(number, flags, np.repeat([0.0, 1.0], 200)), RenewalParameters())
    assert all(0 < found.log_odds[code] < PRIOR_LOG_ODDS[code] for code in MEMBER_TERM_CODES)


def test_few_members_move_little_and_many_move_much() -> None:
    all_lapse = MemberArrays(np.ones(3), np.zeros((3, len(MEMBER_TERM_CODES))), np.ones(3))
    few = float(compute_renewal_hazard(1, *fit_renewal(all_lapse, RenewalParameters())[:2]))
    many = MemberArrays(np.ones(300), np.zeros((300, len(MEMBER_TERM_CODES))), np.ones(300))
    assert (
        float(compute_renewal_hazard(1))
        < few
        < 0.4
        < float(compute_renewal_hazard(1, *fit_renewal(many, RenewalParameters())[:2]))
    )
