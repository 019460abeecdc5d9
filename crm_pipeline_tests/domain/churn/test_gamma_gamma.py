"""Money per visit: the published fit, its gradient, and clubs where everybody pays the same."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import approx_fprime

from crm_pipeline.domain.churn.gamma_gamma import (
    GammaGamma,
    compute_log_likelihood,
    fit_gamma_gamma,
    predict_mean_value,
)
from crm_pipeline_tests.fixtures.input import cdnow


def test_cdnow_gives_the_published_parameters() -> None:
    fit = fit_gamma_gamma(*cdnow.read_money())
    assert fit == pytest.approx((6.25, 3.74, 15.44), abs=0.01)


def test_cents_and_dollars_give_the_same_fit() -> None:
    frequency, dollars = cdnow.read_money()
    in_dollars, in_cents = fit_gamma_gamma(frequency, dollars), fit_gamma_gamma(frequency, 100 * dollars)
    assert in_cents == pytest.approx((in_dollars.p, in_dollars.q, 100 * in_dollars.v), rel=1e-6)


def test_gradient_is_the_slope() -> None:
    frequency, dollars = cdnow.read_money()
    x, mean = frequency[frequency > 0], dollars[frequency > 0]
    theta = np.array([0.3, 1.0, -0.2])

    def value(point: npt.NDArray[np.float64]) -> float:
        return compute_log_likelihood(point, x, mean)[0]

    slope = approx_fprime(theta, value, 1e-7)
    np.testing.assert_allclose(compute_log_likelihood(theta, x, mean)[1], slope, rtol=1e-4)


def test_an_expectation_lies_between_the_customers_own_mean_and_everyones() -> None:
    params = GammaGamma(6.25, 3.74, 1544.0)
    everyone, own = predict_mean_value(params, 0, np.nan), 9000.0
    expected = predict_mean_value(params, [1, 5, 1000], own)
    assert everyone == pytest.approx(6.25 * 1544.0 / 2.74)
    assert everyone < expected[0] < expected[1] < expected[2] < own
    assert expected[2] == pytest.approx(own, rel=1e-3)


def test_before_any_fit_the_observed_mean_is_expected() -> None:
    assert predict_mean_value(None, [1, 2], [4500, 0]).tolist() == [4500.0, 0.0]


@pytest.mark.parametrize("customers", [1, 2, 50])
def test_one_green_fee_for_all_is_expected_of_all(customers: int) -> None:
    frequency, fees = np.arange(1, customers + 1), np.full(customers, 4500.0)
    params = fit_gamma_gamma(frequency, fees)
    np.testing.assert_allclose(predict_mean_value(params, frequency, fees), 4500.0, rtol=0.01)


def test_customers_without_spend_do_not_count() -> None:
    frequency, dollars = cdnow.read_money()
    assert fit_gamma_gamma(frequency, dollars) == fit_gamma_gamma(frequency[frequency > 0], dollars[frequency > 0])


@pytest.mark.parametrize(
    ("frequency", "mean"), [([], []), ([0], [5.0]), ([1], [0.0]), ([2], [np.nan]), ([2], [np.inf])]
)
def test_nothing_to_fit_is_an_error(frequency: list[float], mean: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one customer"):
        fit_gamma_gamma(frequency, mean)
