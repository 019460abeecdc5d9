"""Clocks go by one database of time zones, and where the two at hand differ it is said."""

import shutil
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from crm_pipeline.domain.ingest.time_zones import find_zone_differences
from crm_pipeline_tests.fixtures.input.delivered import AS_OF, a_connection

CHANGED_IN_2026 = ["America/Vancouver", "America/Edmonton", "America/Winnipeg", "Africa/Casablanca", "Europe/Chisinau"]
OTHERS = ["Europe/London", "Africa/Johannesburg", "America/Phoenix", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]


@pytest.fixture
def other_rules(tmp_path: Path) -> Iterator[Path]:
    """A folder that Python takes time zones from."""
    zoneinfo.ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    yield tmp_path
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()


def test_the_systems_time_zones_are_not_used() -> None:
    assert zoneinfo.TZPATH == ()
    assert datetime(2026, 11, 20, 18, tzinfo=UTC).astimezone(zoneinfo.ZoneInfo("America/Vancouver")).hour == 11


def test_both_databases_have_the_rules_of_2026() -> None:
    assert find_zone_differences(a_connection(), CHANGED_IN_2026 + OTHERS, AS_OF) == []


def test_rules_that_differ_are_found_with_the_time_between(other_rules: Path) -> None:
    """A Python whose Denver goes by the rules of Phoenix, which has no summer time."""
    (other_rules / "America").mkdir()
    shutil.copy(str(files("tzdata") / "zoneinfo" / "America" / "Phoenix"), other_rules / "America" / "Denver")
    [found] = find_zone_differences(a_connection(), ["America/Denver", "Europe/London", "America/Denver"], AS_OF)
    assert found.timezone == "America/Denver"
    # Both ends of the five years are in Denver's summer.
    assert abs(found.first - datetime(2024, 3, 31, 12, tzinfo=UTC)) <= timedelta(days=1)
    assert abs(found.last - datetime(2029, 3, 31, 12, tzinfo=UTC)) <= timedelta(days=1)
