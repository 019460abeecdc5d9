"""Comparison of the two databases of time zones: DuckDB's own, by which everything is computed, and package tzdata."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from duckdb import DuckDBPyConnection

_INSTANTS_QUERY = """
    select epoch(time), epoch(timezone($timezone, time)) - epoch(time)
    from (select unnest(range($as_of::timestamptz - interval 2 year, $as_of::timestamptz + interval 3 year,
        interval 1 day)) as time) order by time"""
"""Instants in seconds since 1970 and the offset of local time from UTC; plans reach a year ahead, recency two back."""


class ZoneDifference(NamedTuple):
    """A time zone, and the first and last time between which clocks differ by the two databases."""

    timezone: str
    first: datetime
    last: datetime


def find_zone_differences(con: DuckDBPyConnection, timezones: Iterable[str], as_of: datetime) -> list[ZoneDifference]:
    """Returns the time zones with different rules in the years around `as_of`, to within a day.

    The names are known to both databases. Where they differ, one of them has yet to learn of a change of law.
    """
    differences = []
    for name in sorted(set(timezones)):
        zone = ZoneInfo(name)
        offsets = con.execute(_INSTANTS_QUERY, {"timezone": name, "as_of": as_of}).fetchall()
        times = ((datetime.fromtimestamp(instant, zone), offset) for instant, offset in offsets)
        differing = [time for time, offset in times if _find_offset(time) != offset]
        if differing:
            differences.append(ZoneDifference(name, differing[0], differing[-1]))
    return differences


def _find_offset(time: datetime) -> float | None:
    offset = time.utcoffset()
    return None if offset is None else offset.total_seconds()
