"""Who is brought up to date by what changed, and who is computed whole."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm_pipeline.incremental import watermarks
from crm_pipeline.incremental.required_rows import FULL_REFRESH_TRIGGERS, TIMELINE_INPUTS
from crm_pipeline.incremental.watermarks import plan_refresh
from crm_pipeline.run_context import RunContext
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered

AFTERNOON = datetime(2026, 3, 24, 14, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = ("Europe/London", "Asia/Tokyo", "America/Los_Angeles")


@pytest.fixture
def hours(tmp_path: Path) -> Hours:
    """Three clubs on three continents, computed in the afternoon of the first."""
    services = delivered(tmp_path / "services", tenants=3, people=60, events=1_200, until=AFTERNOON)
    for tenant, zone in zip(services.tables["Tenant"], ZONES, strict=True):
        tenant["timezone"] = zone
    services.deliver(services.folder)
    hours = Hours(tmp_path, services)
    hours.refresh(AFTERNOON)
    return hours


def clubs(hours: Hours) -> dict[str, str]:
    return {tenant["timezone"]: tenant["id"] for tenant in hours.services.tables["Tenant"]}


def computed_whole(hours: Hours, at: datetime) -> set[str]:
    with closing(hours.lake.connect()) as con:
        this = RunContext(con, hours.lake, at, "run", None)
        tenants = [tenant.tenant_id for tenant in this.load_tenants()[0]]
        found = plan_refresh(
            this, "timeline_events", TIMELINE_INPUTS, tenants, full_refresh_triggers=FULL_REFRESH_TRIGGERS
        )
        assert sorted([*found.full_refresh_tenants, *found.incremental_tenants]) == sorted(tenants)
        return set(found.full_refresh_tenants)


def test_whoever_was_computed_is_brought_up_to_date_until_the_local_day_ends(hours: Hours) -> None:
    assert computed_whole(hours, AFTERNOON) == set()
    assert computed_whole(hours, AFTERNOON + HOUR) == {clubs(hours)["Asia/Tokyo"]}
    assert computed_whole(hours, AFTERNOON + 24 * HOUR) == set(clubs(hours).values())


def test_an_hour_before_what_was_computed_is_computed_whole(hours: Hours) -> None:
    assert computed_whole(hours, AFTERNOON - HOUR) == set(clubs(hours).values())


def test_another_version_of_the_code_computes_everybody(hours: Hours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermarks, "compute_code_hash", lambda: "another")
    assert computed_whole(hours, AFTERNOON) == set(clubs(hours).values())


def test_a_club_whose_own_row_changed_is_computed_whole(hours: Hours) -> None:
    london = clubs(hours)["Europe/London"]
    for tenant in hours.services.tables["Tenant"]:
        tenant["minConfidence"] = "0.95" if tenant["id"] == london else tenant["minConfidence"]
    extract_again(hours)
    assert computed_whole(hours, AFTERNOON) == {london}


def test_a_club_much_of_which_changed_is_computed_whole(hours: Hours) -> None:
    london, angeles = clubs(hours)["Europe/London"], clubs(hours)["America/Los_Angeles"]
    for booking in hours.services.tables["Booking"]:
        booking["players"] = "4" if booking["tenantId"] == london else booking["players"]
    next(row for row in hours.services.tables["Booking"] if row["tenantId"] == angeles)["players"] = "4"
    extract_again(hours)
    assert computed_whole(hours, AFTERNOON) == {london}


def extract_again(hours: Hours) -> None:
    hours.services.deliver(hours.services.folder)
    hours.extract(AFTERNOON)
