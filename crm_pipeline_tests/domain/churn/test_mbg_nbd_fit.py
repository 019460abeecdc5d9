"""The fit of MBG/NBD: CDNOW's published one, its gradient, its prior, and its forecast of CDNOW's next months."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from crm_pipeline.domain.churn.mbg_nbd import PRIOR, MbgNbd, predict_horizon_churn
from crm_pipeline.domain.churn.mbg_nbd_fit import build_weighted_visitors, compute_log_likelihood, fit_mbg_nbd
from crm_pipeline_tests.fixtures.input import cdnow

Floats = npt.NDArray[np.float64]

PUBLISHED = (0.525, 6.183, 0.891, 1.614)


def test_cdnow_gives_the_published_parameters() -> None:
    fit = fit_mbg_nbd(*cdnow.read_calibration())
    assert tuple(round(value, 3) for value in fit[:4]) == PUBLISHED
    assert round(fit.log_likelihood, 2) == -9582.13


def test_purchases_give_what_their_summary_gives() -> None:
    fit = fit_mbg_nbd(*cdnow.read_log().calibration)
    assert tuple(round(value, 3) for value in fit[:4]) == PUBLISHED
    assert round(fit.log_likelihood, 2) == -9582.14


def test_the_peer_finds_nothing_likelier() -> None:
    lifetimes = pytest.importorskip("lifetimes")
    calibration = cdnow.read_calibration()
    peer = lifetimes.ModifiedBetaGeoFitter().fit(*calibration)
    theta = np.log([peer.params_[name] for name in ("r", "alpha", "a", "b")])
    assert (
        fit_mbg_nbd(*calibration).log_likelihood
        >= compute_log_likelihood(theta, build_weighted_visitors(*calibration))[0] - 1e-6
    )


@given(st.lists(st.floats(-2.5, 2.5), min_size=4, max_size=4))
@settings(max_examples=25, deadline=None)
def test_gradient_is_the_slope(start: list[float]) -> None:
    sample, theta = build_weighted_visitors(*cdnow.read_calibration()), np.array(start)

    def value(point: Floats) -> float:
        return compute_log_likelihood(point, sample)[0]

    slope = approx_fprime(theta, value, 1e-6)
    np.testing.assert_allclose(compute_log_likelihood(theta, sample)[1], slope, rtol=1e-3, atol=0.2)


def test_weights_stand_for_repeated_rows() -> None:
    calibration = np.array(cdnow.read_calibration())
    weights = np.arange(calibration.shape[1]) % 3
    weighted = fit_mbg_nbd(*calibration, weights=weights)
    assert weighted == pytest.approx(fit_mbg_nbd(*np.repeat(calibration, weights, axis=1)), rel=1e-6)


def test_days_and_weeks_give_the_same_fit() -> None:
    frequency, recency, age = cdnow.read_calibration()
    weeks, days = fit_mbg_nbd(frequency, recency, age), fit_mbg_nbd(frequency, 7 * recency, 7 * age)
    assert days[:4] == pytest.approx((weeks.r, 7 * weeks.alpha, weeks.a, weeks.b), rel=1e-6)


def test_without_visitors_the_prior_is_the_answer() -> None:
    assert fit_mbg_nbd([], [], [], prior=PRIOR)[:4] == pytest.approx(PRIOR[:4])


def test_data_outweigh_the_prior_as_they_grow() -> None:
    calibration = cdnow.read_calibration()
    plain = np.log(fit_mbg_nbd(*calibration)[:4])
    prior = MbgNbd(r=1.0, alpha=80.0 / 7.0, a=0.6, b=1.3)

    def away(weight: float) -> float:
        fit = fit_mbg_nbd(*calibration, prior=prior, weights=np.full(calibration.age.size, weight))
        return float(np.linalg.norm(np.log(fit[:4]) - plain))

    assert away(1e-6) > away(0.01) > away(1.0) > away(100.0)
    assert away(1e-6) == pytest.approx(np.linalg.norm(np.log(prior[:4]) - plain), rel=1e-2)
    assert away(100.0) < 1e-2


def test_the_penalised_likelihood_is_flat_at_the_fit() -> None:
    calibration = cdnow.read_calibration()
    fit = fit_mbg_nbd(*calibration, prior=PRIOR)
    gradient = compute_log_likelihood(np.log(fit[:4]), build_weighted_visitors(*calibration))[1]
    np.testing.assert_allclose(gradient, 5.0 * np.log(np.divide(fit[:4], PRIOR[:4])), atol=0.01)


@pytest.mark.parametrize("seed", range(30))
def test_small_and_senseless_samples_converge(seed: int) -> None:
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 1500, int(rng.integers(1, 200)))
    frequency = rng.integers(0, 1 + seed, age.size)
    recency = age * rng.random(age.size) * (frequency > 0)
    for prior in (None, PRIOR):
        assert np.isfinite(fit_mbg_nbd(frequency, recency, age, prior=prior)).all()


@pytest.mark.parametrize(
    "visitor", [([np.nan], [0], [1]), ([1], [np.inf], [np.inf]), ([-1], [0], [1]), ([1.5], [0], [1])]
)
def test_impossible_visitors_are_refused(visitor: tuple[list[float], list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="MBG/NBD is fitted to"):
        fit_mbg_nbd(*visitor, prior=PRIOR)


def test_nothing_to_go_by_is_an_error() -> None:
    with pytest.raises(ValueError, match="no prior"):
        fit_mbg_nbd([], [], [])


@pytest.mark.parametrize("weeks", [13, 39])
def test_it_forecasts_who_of_cdnow_will_not_return(weeks: float) -> None:
    calibration, wait = cdnow.read_log()
    is_gone = wait > weeks
    churn = predict_horizon_churn(fit_mbg_nbd(*calibration), *calibration, horizon=weeks)
    is_quiet = (calibration.age - calibration.recency) * cdnow.DAYS_PER_WEEK >= 90

    def brier(forecast: npt.ArrayLike) -> float:
        return float(np.mean((np.asarray(forecast, dtype=np.float64) - is_gone) ** 2))

    # Both simple forecasts know the outcome: the base rate, and the share gone on either side of 90 quiet days.
    by_recency = np.where(is_quiet, is_gone[is_quiet].mean(), is_gone[~is_quiet].mean())
    assert brier(churn) < brier(by_recency) < brier(is_gone.mean()) < brier(is_quiet)
