"""The measures of a backtest: by hand, and against a count of pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.domain.churn.backtest import evaluate_forecast, measure_auc, measure_brier_score, measure_calibration

LEFT = np.array([True, True, False, False])


def test_brier_is_the_mean_squared_error() -> None:
    assert measure_brier_score(np.array([1.0, 0.5, 0.5, 0.0]), LEFT) == pytest.approx((0 + 0.25 + 0.25 + 0) / 4)


@pytest.mark.parametrize(
    ("forecast", "expected"),
    [([0.9, 0.8, 0.2, 0.1], 1.0), ([0.1, 0.2, 0.8, 0.9], 0.0), ([0.5] * 4, 0.5), ([0.9, 0.5, 0.5, 0.1], 0.875)],
)
def test_auc_by_hand(forecast: list[float], expected: float) -> None:
    assert measure_auc(np.array(forecast), LEFT) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_auc_is_the_share_of_pairs_in_the_right_order(golfers: list[tuple[int, bool]]) -> None:
    forecast = np.array([risk for risk, _ in golfers], dtype=np.float64)
    left = np.array([gone for _, gone in golfers])
    pairs = [(a > b) + (a == b) / 2 for a in forecast[left] for b in forecast[~left]]
    assert (
        measure_auc(forecast, left) == pytest.approx(np.mean(pairs))
        if pairs
        else math.isnan(measure_auc(forecast, left))
    )


def test_the_forecast_is_compared_with_the_base_rate_and_ninety_quiet_days() -> None:
    backtest = evaluate_forecast(np.array([0.9, 0.6, 0.4, 0.1]), np.array([200.0, 89.0, 90.0, 3.0]), LEFT)
    assert backtest is not None
    assert (backtest.golfers, backtest.left_since) == (4, 2)
    assert backtest.brier_base_rate == 0.25
    assert backtest.brier_recency == 0.5
    assert backtest.brier == pytest.approx((0.01 + 0.16 + 0.16 + 0.01) / 4)
    assert backtest.auc == 1.0
    assert backtest.auc_recency == 0.75
    assert backtest.is_better_than_base_rate
    assert backtest.is_better_than_both


def test_no_better_than_the_base_rate_does_not_beat_it() -> None:
    backtest = evaluate_forecast(np.full(4, 0.5), np.zeros(4), LEFT)
    assert backtest is not None
    assert not backtest.is_better_than_base_rate


def test_where_all_have_left_there_is_no_ranking_and_without_anybody_no_backtest() -> None:
    backtest = evaluate_forecast(np.array([0.5, 0.7]), np.zeros(2), np.array([True, True]))
    assert backtest is not None
    assert math.isnan(backtest.auc)
    assert evaluate_forecast(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_)) is None


def test_bins_hold_as_many_golfers_each_in_order_of_risk() -> None:
    forecast = np.linspace(0.0, 0.95, 20)
    bins = measure_calibration(forecast, np.arange(20) >= 11)
    assert [each.golfers for each in bins] == [2] * 10
    assert tuple(bins[0]) == pytest.approx((2, 0.025, 0.0))
    assert [each.left for each in bins] == [0.0] * 5 + [0.5] + [1.0] * 4
