"""Measures of how well churn was forecast: forecasts made for a past day, compared with what has happened since.

A forecast is compared with two simpler ones. The base rate knows only the share of those who left; plain recency is the
rule of thumb `no visit for 90 days means gone`. Brier is the mean squared error of a probability (Brier 1950), AUC the
chance that somebody who left was given a higher risk than somebody who stayed (0.5 is guessing).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BACKTEST_HORIZONS: Final = (90, 365)
RECENCY_RULE_DAYS: Final = 90
MAX_CALIBRATION_BINS: Final = 10


class CalibrationBin(NamedTuple):
    """Golfers with neighbouring forecasts: how many, the risk they were given, the share who left."""

    golfers: int
    forecast: float
    left: float


class BacktestResult(NamedTuple):
    """The measures of a forecast and of the two simpler ones; AUC is NaN where all left or all stayed."""

    golfers: int
    left_since: int
    auc: float
    auc_recency: float
    brier: float
    brier_base_rate: float
    brier_recency: float
    calibration: tuple[CalibrationBin, ...]

    @property
    def is_better_than_base_rate(self) -> bool:
        """Whether the forecast is worth more than knowing how many leave."""
        return self.brier < self.brier_base_rate

    @property
    def is_better_than_recency(self) -> bool:
        """Whether the forecast is worth more than the rule of thumb."""
        return self.brier < self.brier_recency

    @property
    def is_better_than_both(self) -> bool:
        """Whether the forecast is worth more than either."""
        return self.is_better_than_base_rate and self.is_better_than_recency


def evaluate_forecast(forecast: Floats, quiet_days: Floats, has_left: npt.NDArray[np.bool_]) -> BacktestResult | None:
    """Returns the measures of forecasts (n,) for golfers last seen `quiet_days` (n,) before the forecast.

    Returns None where there are no golfers.
    """
    if not has_left.size:
        return None
    recency_rule = (quiet_days >= RECENCY_RULE_DAYS).astype(np.float64)
    return BacktestResult(
        golfers=has_left.size,
        left_since=int(has_left.sum()),
        auc=measure_auc(forecast, has_left),
        auc_recency=measure_auc(quiet_days, has_left),
        brier=measure_brier_score(forecast, has_left),
        brier_base_rate=measure_brier_score(np.full(has_left.size, has_left.mean()), has_left),
        brier_recency=measure_brier_score(recency_rule, has_left),
        calibration=measure_calibration(forecast, has_left),
    )


def measure_brier_score(forecast: Floats, has_left: npt.NDArray[np.bool_]) -> float:
    """Returns the mean squared error: 0 for perfect, 0.25 for always saying one half."""
    return float(np.mean((forecast - has_left) ** 2))


def measure_auc(forecast: Floats, has_left: npt.NDArray[np.bool_]) -> float:
    """Returns the AUC by Mann and Whitney's statistic, where ties count half; NaN where all left or all stayed."""
    left = int(has_left.sum())
    stayed = has_left.size - left
    if not left * stayed:
        return float("nan")
    # Of equal forecasts each has the mean of their ranks. The function of `scipy.stats` takes a second to load.
    _, position, count = np.unique(forecast, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[position]
    return float((rank[has_left].sum() - left * (left + 1) / 2) / (left * stayed))


def measure_calibration(forecast: Floats, has_left: npt.NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    """Returns at most ten bins of equally many golfers, in order of the risk they were given."""
    order = np.argsort(forecast, kind="stable")
    bins = [rows for rows in np.array_split(order, MAX_CALIBRATION_BINS) if rows.size]
    return tuple(CalibrationBin(rows.size, float(forecast[rows].mean()), float(has_left[rows].mean())) for rows in bins)
