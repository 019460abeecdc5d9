"""How well churn was foretold: forecasts made for a past day, judged by what has happened since.

Here: the measures, and the two rivals every forecast must beat. Not here: making the forecasts (`churn_fit`), looking
at a past day (`hindsight`), drawing (`assets`).

Brier is the mean squared error of a probability (Brier 1950), AUC the chance that somebody who left was given a higher
risk than somebody who stayed (0.5 is guessing). The base rate is a rival that knows the share of those who left and
nothing else; plain recency is the rule of thumb `no visit for 90 days means gone`.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]

HORIZONS: Final = (90, 365)
QUIET_DAYS: Final = 90
BINS: Final = 10


class Bin(NamedTuple):
    """Golfers whose forecasts are neighbours: how many, the risk they were given, the share who left."""

    golfers: int
    forecast: float
    left: float


class Verdict(NamedTuple):
    """A forecast beside its rivals; AUC is NaN where all left or all stayed."""

    golfers: int
    left_since: int
    auc: float
    auc_recency: float
    brier: float
    brier_base_rate: float
    brier_recency: float
    calibration: tuple[Bin, ...]

    @property
    def beats_base_rate(self) -> bool:
        """Whether the forecast is worth more than knowing how many leave."""
        return self.brier < self.brier_base_rate

    @property
    def beats_both(self) -> bool:
        """Whether it is also worth more than the rule of thumb."""
        return self.beats_base_rate and self.brier < self.brier_recency


def judge_forecast(forecast: Floats, quiet_days: Floats, has_left: npt.NDArray[np.bool_]) -> Verdict | None:
    """Judge forecasts (n,) for golfers last seen `quiet_days` (n,) before; None where there is nobody."""
    if not has_left.size:
        return None
    rule = (quiet_days >= QUIET_DAYS).astype(np.float64)
    return Verdict(
        golfers=has_left.size,
        left_since=int(has_left.sum()),
        auc=auc(forecast, has_left),
        auc_recency=auc(quiet_days, has_left),
        brier=brier(forecast, has_left),
        brier_base_rate=brier(np.full(has_left.size, has_left.mean()), has_left),
        brier_recency=brier(rule, has_left),
        calibration=calibration(forecast, has_left),
    )


def brier(forecast: Floats, has_left: npt.NDArray[np.bool_]) -> float:
    """The mean squared error, 0 for perfect and 0.25 for always saying one half."""
    return float(np.mean((forecast - has_left) ** 2))


def auc(forecast: Floats, has_left: npt.NDArray[np.bool_]) -> float:
    """Mann and Whitney's: ties count half."""
    left = int(has_left.sum())
    stayed = has_left.size - left
    if not left * stayed:
        return float("nan")
    return float((rankdata(forecast)[has_left].sum() - left * (left + 1) / 2) / (left * stayed))


def calibration(forecast: Floats, has_left: npt.NDArray[np.bool_]) -> tuple[Bin, ...]:
    """At most ten bins of as many golfers each, in order of the risk they were given."""
    order = np.argsort(forecast, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if part.size]
    return tuple(Bin(part.size, float(forecast[part].mean()), float(has_left[part].mean())) for part in parts)
