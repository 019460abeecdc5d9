"""Times on a page are those that the timeline's texts have, in whatever zone and year."""

from datetime import UTC, date, datetime, timedelta

import pytest

from crm_pipeline.explain.formatting import TenantClock
from crm_pipeline_tests.fixtures.input.delivered import a_connection

AS_OF = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "time", "shown"),
    [
        ("America/Vancouver", datetime(2026, 11, 20, 18, tzinfo=UTC), "20 Nov 2026 11:00"),  # no winter time from 2026
        ("America/Edmonton", datetime(2026, 12, 24, 16, 30, tzinfo=UTC), "24 Dec 2026 10:30"),
        ("Africa/Casablanca", datetime(2026, 10, 1, 8, tzinfo=UTC), "1 Oct 2026 08:00"),
        ("Europe/London", datetime(2026, 3, 29, 1, tzinfo=UTC), "29 Mar 2026 02:00"),
        ("Asia/Kolkata", datetime(2026, 3, 1, 20, tzinfo=UTC), "2 Mar 2026 01:30"),
    ],
)
def test_a_time_is_that_of_the_clubs_clocks(zone: str, time: datetime, shown: str) -> None:
    clock = TenantClock(AS_OF, zone)
    assert clock.format_time(time) == shown
    assert clock.format_day(time) == shown[:-6]
    assert clock.format_day(date(2026, 12, 31)) == "31 Dec 2026"
    assert clock.format_time(time.astimezone()) == shown


@pytest.mark.parametrize("zone", ["America/Vancouver", "America/Havana", "Pacific/Apia", "Europe/Chisinau"])
def test_a_page_has_one_hour_for_one_time(zone: str) -> None:
    """The query is the one that the timeline's texts are written with."""
    con = a_connection()
    for hours in range(0, 24 * 900, 55):
        time = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
        [(text,)] = con.execute(
            "select strftime(timezone($1, $2::timestamptz), '%-d %b %Y %H:%M')", [zone, time]
        ).fetchall()
        assert TenantClock(AS_OF, zone).format_time(time) == text


def test_days_are_those_of_the_clubs_calendar() -> None:
    clock = TenantClock(datetime(2026, 11, 20, 7, 30, tzinfo=UTC), "America/Vancouver")  # half past midnight
    assert clock.days_since(datetime(2026, 11, 20, 7, 5, tzinfo=UTC)) == 0
    assert clock.days_since(datetime(2026, 11, 20, 6, 55, tzinfo=UTC)) == 1
