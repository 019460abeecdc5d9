"""The seasonal clock: how many average days each of a club's calendar days is worth, so that winter is not churn.

A month's factor is its rounds a day over the year's, smoothed over the neighbouring months and at least
`MIN_MONTH_FACTOR`. A club with too short a history keeps plain days: all factors are 1.
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
    """Returns the factors of January to December; None, for plain days, below 12 full months or 200 rounds.

    Args:
        first_month: the first full month.
        rounds: rounds played in it and in every month after it, (n,), full months only.
    """
    played = np.asarray(rounds, dtype=np.float64)
    # Whole years only, so that a club that grows counts each month of the year as often.
    month_count = played.size // MONTHS_PER_YEAR * MONTHS_PER_YEAR
    months = (first_month.astype("M8[M]") + np.arange(played.size))[played.size - month_count :]
    played = played[played.size - month_count :]
    if not month_count or played.sum() < MIN_ROUNDS:
        return None
    month_of_year = months.astype(np.int64) % MONTHS_PER_YEAR
    rounds_a_day = np.bincount(month_of_year, played, MONTHS_PER_YEAR) / np.bincount(
        month_of_year, _count_month_days(months), MONTHS_PER_YEAR
    )
    before, now, after = SMOOTHING_WEIGHTS
    smooth = before * np.roll(rounds_a_day, 1) + now * rounds_a_day + after * np.roll(rounds_a_day, -1)
    return tuple(np.maximum(smooth / smooth.mean(), MIN_MONTH_FACTOR).tolist())


def to_clock_days(factors: Floats, tenant_index: npt.NDArray[np.intp], *days: Dates) -> list[Floats]:
    """Returns what each club's clock shows (n,) when each of its days (n,) begins; only differences have a meaning.

    Args:
        factors: of all_months club, (k, 12).
        tenant_index: the row of `factors` to read, (n,).
        days: calendar days of the club's own, (n,) each.
    """
    if not tenant_index.size:
        return [np.zeros(0) for _ in days]
    months = [day.astype("M8[M]") for day in days]
    first_month = min(month.min() for month in months)
    all_months = np.arange(first_month, max(month.max() for month in months) + 1)
    elapsed = np.cumsum(
        factors[:, all_months.astype(np.int64) % MONTHS_PER_YEAR] * _count_month_days(all_months), axis=1
    )
    starts = np.concatenate([np.zeros((len(factors), 1)), elapsed], axis=1)
    return [
        starts[tenant_index, (month - first_month).astype(np.intp)]
        + factors[tenant_index, month.astype(np.int64) % MONTHS_PER_YEAR]
        * (day - month.astype("M8[D]")).astype(np.float64)
        for day, month in zip(days, months, strict=True)
    ]


def _count_month_days(months: Dates) -> Floats:
    """Returns the number of days of each month; leap years have their own."""
    return np.asarray(((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.float64))
