"""The member terms of play: how long a member has not played, by the calendar and by the club's clock.

Both have to agree: neither winter nor a busy month is a sign.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from crm_pipeline.domain.churn.seasonality import to_clock_days

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Dates = npt.NDArray[np.datetime64]

NO_PLAY_DAYS: Final = {"no_play_60": 60.0, "no_play_180": 180.0, "no_play_365": 365.0}
"""Days without play that each term begins at; the highest alone holds."""
NEVER_PLAYED_CODE: Final = "never_played"
NEVER_PLAYED_DAYS: Final = 180.0
PLAY_TERMS: Final = (*NO_PLAY_DAYS, NEVER_PLAYED_CODE)
PLAY_COLUMNS: Final = ("last_play_on", "idle_since")
"""The facts the terms are found from."""


class PlayDates(NamedTuple):
    """Days (n,), NaT where there is none: of the last play, and since when somebody who never played could have."""

    today: Dates
    last_play_on: Dates
    idle_since: Dates

    @classmethod
    def from_rows(cls, rows: pa.Table) -> "PlayDates":
        """Returns the dates in columns of their names."""
        return cls(*(rows[name].to_numpy().astype("M8[D]") for name in cls._fields))


def find_play_terms(dates: PlayDates, month_factors: Floats, tenant_index: npt.NDArray[np.intp]) -> dict[str, Booleans]:
    """Returns which members each term of play holds for, (n,) by its code.

    Args:
        dates: of the members; NaT where a term does not apply.
        month_factors: of the clubs' clocks, (k, 12).
        tenant_index: the row of `month_factors` to read, (n,).
    """
    quiet, idle = (
        _count_days_since(dates.today, day, month_factors, tenant_index)
        for day in (dates.last_play_on, dates.idle_since)
    )
    next_days = (*NO_PLAY_DAYS.values(), np.inf)[1:]
    terms = {
        code: (quiet >= days) & (quiet < next_bound)
        for (code, days), next_bound in zip(NO_PLAY_DAYS.items(), next_days, strict=True)
    }
    return {**terms, NEVER_PLAYED_CODE: idle > NEVER_PLAYED_DAYS}


def _count_days_since(today: Dates, day: Dates, month_factors: Floats, tenant_index: npt.NDArray[np.intp]) -> Floats:
    """Returns the days since then on the calendar or on the clock, whichever are fewer; NaN where there is no day."""
    is_unknown = np.isnat(day)
    known_day = np.where(is_unknown, today, day)
    now, then = to_clock_days(month_factors, tenant_index, today, known_day)
    calendar_days = (today - known_day).astype(np.float64)
    return np.where(is_unknown, np.nan, np.minimum(calendar_days, now - then))
