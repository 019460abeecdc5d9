"""After incremental refreshes a full refresh changes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm_pipeline_tests.fixtures.histories.incremental import ALL_MOVES, Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered
from crm_pipeline_tests.fixtures.homes.soak import SOAK

MORNING = datetime(2026, 3, 24, 8, tzinfo=UTC)
DAYS = (0, 5, 7, 12, 19) if SOAK else (0,)
"""After the morning; on the fifth, clocks in Europe go forward."""
HOURS = 12 if SOAK else 3
TENANTS, PEOPLE = (15, 1_200) if SOAK else (3, 120)
MOVES_AN_HOUR = PEOPLE // 6


@pytest.mark.parametrize("days", DAYS)
def test_incremental_hours_end_where_a_full_refresh_does(tmp_path: Path, days: int) -> None:
    at = MORNING + timedelta(days=days)
    hours = Hours(
        tmp_path, delivered(tmp_path / "services", tenants=TENANTS, people=PEOPLE, events=20 * PEOPLE, until=at)
    )
    hours.refresh(at)
    for hour in range(1, HOURS + 1):
        at += timedelta(hours=1)
        hours.services.hour(at, ALL_MOVES, MOVES_AN_HOUR)
        hours.refresh(at)
        if SOAK or hour == HOURS:
            hours.compare_with_full_refresh(at, tmp_path / f"copy {hour}")
