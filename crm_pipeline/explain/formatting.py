"""Conversions of values to JSON and to text: times, days, money, counts, and parts that add up to their total."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from math import floor
from typing import Any, NamedTuple

import duckdb

Row = dict[str, Any]


class TenantClock(NamedTuple):
    """The time the data are valid for, and the tenant's time zone."""

    as_of: datetime
    timezone: str

    def days_since(self, time: datetime) -> int:
        """Returns the whole calendar days since a time, in the tenant's time zone."""
        return (_to_local_time(self.as_of, self.timezone).date() - _to_local_time(time, self.timezone).date()).days

    def start_of_day(self) -> datetime:
        """Returns when the tenant's day began."""
        query = "select timezone($1, date_trunc('day', timezone($1, $2::timestamptz)))"
        return _ask_calendar(query, self.timezone, self.as_of)

    def format_day(self, time: datetime | date) -> str:
        """Returns the day in the tenant's time zone, such as `21 Mar 2026`."""
        local = _to_local_time(time, self.timezone) if isinstance(time, datetime) else time
        return f"{local.day} {local:%b %Y}"

    def format_time(self, time: datetime) -> str:
        """Returns the day and time in the tenant's time zone, such as `21 Mar 2026 09:30`."""
        return f"{self.format_day(time)} {_to_local_time(time, self.timezone):%H:%M}"


def _to_local_time(time: datetime, timezone: str) -> datetime:
    """Returns the time without an offset."""
    return _ask_calendar("select timezone($1, $2::timestamptz)", timezone, time)


@lru_cache(maxsize=4096)
def _ask_calendar(query: str, timezone: str, time: datetime) -> datetime:
    """Returns the answer to a query, by DuckDB's rules: it wrote the hours in the events' texts."""
    [(answer,)] = _connect_calendar().cursor().execute(query, [timezone, time]).fetchall()
    converted: datetime = answer
    return converted


@cache
def _connect_calendar() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def to_json_value(value: object) -> Any:  # noqa: ANN401  JSON is anything
    """Returns the value as JSON represents it, with times as ISO 8601 in UTC."""
    match value:
        case dict():
            return {key: to_json_value(each) for key, each in value.items()}
        case list() | tuple():
            return [to_json_value(each) for each in value]
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
    return value


def format_parts_and_total(parts: Sequence[float]) -> tuple[list[str], str]:
    """Returns the parts of a score and their total, with one decimal each.

    The texts add up, and the total rounds like the score.
    """
    tenths = [floor(part * 10 + 1e-6) for part in parts]
    total = floor(sum(parts) * 10 + 1e-6)
    by_remainder = sorted(range(len(parts)), key=lambda index: tenths[index] - parts[index] * 10)
    for index in by_remainder[: total - sum(tenths)]:
        tenths[index] += 1
    return [f"{tenth / 10:.1f}" for tenth in tenths], f"{total / 10:.1f}"


def format_money(cents: int, currency: str) -> str:
    """Returns an amount such as `GBP 1,200.00`."""
    return f"{currency} {cents / 100:,.2f}"


def format_count(number: int, one: str, many: str | None = None) -> str:
    """Returns a number with its noun, such as `1 round` or `3 rounds`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def format_counts(numbers: Mapping[str, int], words: Mapping[Any, tuple[str, str]]) -> str:
    """Returns all counts above zero, such as `3 rounds and 1 competition`."""
    return join_words(format_count(number, *words[kind]) for kind, number in numbers.items() if number)


def join_words(words: Iterable[str]) -> str:
    """Returns words as a list in a sentence, such as `a, b and c`."""
    *firsts, last = list(words) or [""]
    return f"{', '.join(firsts)} and {last}" if firsts else last
