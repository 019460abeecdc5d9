"""The hour everything is computed as of, as queries call it, and what is counted from it.

Belongs here: the spans of time that more than one query speaks of. Does not belong here: any clock; the hour is given.
"""

from datetime import datetime, timedelta
from typing import Final

from duckdb import DuckDBPyConnection

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far ahead a service's clock may run: what it recorded until then is of now."""
MAX_CLOCK_SKEW: Final = timedelta(hours=24)
"""How far ahead a recorded time is waited for; one beyond is a mistake."""
RECENT_WINDOW: Final = timedelta(days=30)
"""What the counts of columns `_30d` go back, to the second."""


def define_as_of(con: DuckDBPyConnection, as_of: datetime) -> None:
    """Create the macros of queries: as_of(), the hour; clock_tolerance(), max_clock_skew() and recent(), the spans above."""
    con.execute(f"create or replace temp macro as_of() as '{as_of.isoformat()}'::timestamptz")
    for name, span in (
        ("clock_tolerance", CLOCK_TOLERANCE),
        ("max_clock_skew", MAX_CLOCK_SKEW),
        ("recent", RECENT_WINDOW),
    ):
        # In seconds, for a day has 23 or 25 hours where clocks change.
        con.execute(f"create or replace temp macro {name}() as to_seconds({span.total_seconds():.0f})")
