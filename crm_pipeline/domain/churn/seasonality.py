"""The seasonal clock: how many average days each of a club's calendar days is worth, so that winter is not churn.

Here: finding a club's twelve monthly rates from its rounds, and reading the clock. Not here: which rounds those are
(`churn_fit`), what is measured in clock days (the models of visits, and a member's days without a round).

A month's factor is its rounds a day over the year's, smoothed over the neighbouring months and at least `FLOOR`. A club
with too short a history keeps plain days, which is the clock whose factors are all 1.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]

MONTHS_PER_YEAR: Final = 12
MIN_ROUNDS: Final = 200
MIN_MONTH_FACTOR: Final = 0.1
SMOOTHING_WEIGHTS: Final = (0.25, 0.5, 0.25)
UNIFORM_MONTH_FACTORS: Final = (1.0,) * MONTHS_PER_YEAR


def fit_seasonal_clock(first_month: np.datetime64, rounds: npt.ArrayLike) -> tuple[float, ...] | None:
    """The factors of January to December; None, plain days, below 12 full months or 200 rounds.

    Args:
        first_month: the first full month.
        rounds: rounds played in it and in every month after it, (n,), full months only.
    """
    played = np.asarray(rounds, dtype=np.float64)
    # Whole years only, so that a club that grows counts each month of the year as often.
    whole = played.size // MONTHS_PER_YEAR * MONTHS_PER_YEAR
    months = (first_month.astype("M8[M]") + np.arange(played.size))[played.size - whole :]
    played = played[played.size - whole :]
    if not whole or played.sum() < MIN_ROUNDS:
        return None
    of_year = months.astype(np.int64) % MONTHS_PER_YEAR
    a_day = np.bincount(of_year, played, MONTHS_PER_YEAR) / np.bincount(
        of_year, _count_month_days(months), MONTHS_PER_YEAR
    )
    before, now, after = SMOOTHING_WEIGHTS
    smooth = before * np.roll(a_day, 1) + now * a_day + after * np.roll(a_day, -1)
    return tuple(np.maximum(smooth / smooth.mean(), MIN_MONTH_FACTOR).tolist())


def to_clock_days(factors: Floats, club: npt.NDArray[np.intp], *days: Dates) -> list[Floats]:
    """What each club's clock shows (n,) when each of its days (n,) begins; only differences of these mean something.

    Args:
        factors: of every club, (k, 12).
        club: which clock to read, (n,).
        days: calendar days of the club's own, (n,) each.
    """
    if not club.size:
        return [np.zeros(0) for _ in days]
    months = [day.astype("M8[M]") for day in days]
    first = min(month.min() for month in months)
    every = np.arange(first, max(month.max() for month in months) + 1)
    passed = np.cumsum(factors[:, every.astype(np.int64) % MONTHS_PER_YEAR] * _count_month_days(every), axis=1)
    starts = np.concatenate([np.zeros((len(factors), 1)), passed], axis=1)
    return [
        starts[club, (month - first).astype(np.intp)]
        + factors[club, month.astype(np.int64) % MONTHS_PER_YEAR] * (day - month.astype("M8[D]")).astype(np.float64)
        for day, month in zip(days, months, strict=True)
    ]


def _count_month_days(months: Dates) -> Floats:
    """How many days each month has; leap years have their own."""
    return np.asarray(((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.float64))
