"""The SQL macros of the hour everything is computed as of, and the spans of time that several queries share."""

from datetime import datetime, timedelta
from typing import Final

from duckdb import DuckDBPyConnection

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far ahead a service's clock may run; a time recorded within it counts as now."""
MAX_CLOCK_SKEW: Final = timedelta(hours=24)
"""How far ahead a recorded time may lie and still be waited for; a later one is a mistake."""
RECENT_WINDOW: Final = timedelta(days=30)
"""How far back the counts of columns `_30d` reach, to the second."""


def define_as_of(con: DuckDBPyConnection, as_of: datetime) -> None:
    """Creates the macros that queries use: as_of(), the hour, and one for each span above.

    Creates: as_of() as a timestamp; clock_tolerance(), max_clock_skew() and recent_window() as intervals.
    """
    con.execute(f"create or replace temp macro as_of() as '{as_of.isoformat()}'::timestamptz")
    for name, span in (
        ("clock_tolerance", CLOCK_TOLERANCE),
        ("max_clock_skew", MAX_CLOCK_SKEW),
        ("recent_window", RECENT_WINDOW),
    ):
        # In seconds: a day has 23 or 25 hours where clocks change.
        con.execute(f"create or replace temp macro {name}() as to_seconds({span.total_seconds():.0f})")
