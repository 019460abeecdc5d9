"""Values as JSON has them and as people read them: times, days, money, counts, and numbers that add up.

What a number or a rule means is said elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from math import floor
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Row = dict[str, Any]


class TenantClock(NamedTuple):
    """The hour the data speak of, in the club's time zone."""

    as_of: datetime
    zone: ZoneInfo

    def age(self, time: datetime) -> int:
        """Whole calendar days of the club since then."""
        return (self.as_of.astimezone(self.zone).date() - time.astimezone(self.zone).date()).days

    def day(self, time: datetime | date) -> str:
        """`21 Mar 2026`."""
        local = time.astimezone(self.zone) if isinstance(time, datetime) else time
        return f"{local.day} {local:%b %Y}"


def to_json_value(value: object) -> Any:  # noqa: ANN401  JSON is anything
    """The value as JSON has it; times are ISO 8601 in UTC."""
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
    """Parts of a score and their sum with one decimal each, so that what is shown adds up and rounds like the score."""
    tenths = [floor(part * 10 + 1e-6) for part in parts]
    total = floor(sum(parts) * 10 + 1e-6)
    by_rest = sorted(range(len(parts)), key=lambda at: tenths[at] - parts[at] * 10)
    for at in by_rest[: total - sum(tenths)]:
        tenths[at] += 1
    return [f"{tenth / 10:.1f}" for tenth in tenths], f"{total / 10:.1f}"


def format_money(cents: int, currency: str) -> str:
    """`GBP 1,200.00`."""
    return f"{currency} {cents / 100:,.2f}"


def format_count(number: int, one: str, many: str | None = None) -> str:
    """`1 round`, `3 rounds`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def format_counts(numbers: Mapping[str, int], words: Mapping[Any, tuple[str, str]]) -> str:
    """`3 rounds and 1 competition`, of what there is any of."""
    return join_words(format_count(number, *words[kind]) for kind, number in numbers.items() if number)


def join_words(words: Iterable[str]) -> str:
    """`a, b and c`."""
    *firsts, last = list(words) or [""]
    return f"{', '.join(firsts)} and {last}" if firsts else last
