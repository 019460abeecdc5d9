"""Which tenants get an incremental refresh, and which a full one."""

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm_pipeline.incremental import watermarks
from crm_pipeline.incremental.required_rows import FULL_REFRESH_TRIGGERS, TIMELINE_INPUTS
from crm_pipeline.incremental.watermarks import plan_refresh
from crm_pipeline.run_context import RunContext
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered, read_services

AFTERNOON = datetime(2026, 3, 24, 14, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = ("Europe/London", "Asia/Tokyo", "America/Los_Angeles")


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Hours:
    """Three clubs on three continents, refreshed in the afternoon of the first. For reading only."""
    folder = tmp_path_factory.mktemp("three-clubs")
    services = delivered(folder / "services", tenants=3, people=60, events=1_200, until=AFTERNOON)
    for tenant, zone in zip(services.tables["Tenant"], ZONES, strict=True):
        tenant["timezone"] = zone
    services.deliver(services.folder)
    hours = Hours(folder, services)
    hours.refresh(AFTERNOON)
    return hours


@pytest.fixture
def own_hours(hours: Hours, tmp_path: Path) -> Hours:
    """The same clubs, to be changed."""
    folder = shutil.copytree(hours.folder, tmp_path / "three-clubs")
    return Hours(folder, read_services(folder / "services"))


def clubs(hours: Hours) -> dict[str, str]:
    return {tenant["timezone"]: tenant["id"] for tenant in hours.services.tables["Tenant"]}


def fully_refreshed(hours: Hours, at: datetime) -> set[str]:
    with closing(hours.lake.connect()) as con:
        run = RunContext(con, hours.lake, at, "run", None)
        tenants = run.load_tenant_ids()
        plan = plan_refresh(
            run, "timeline_events", TIMELINE_INPUTS, tenants, full_refresh_triggers=FULL_REFRESH_TRIGGERS
        )
        assert sorted([*plan.full_refresh_tenants, *plan.incremental_tenants]) == sorted(tenants)
        return set(plan.full_refresh_tenants)


def test_a_refreshed_tenant_is_incremental_until_its_local_day_ends(hours: Hours) -> None:
    assert fully_refreshed(hours, AFTERNOON) == set()
    assert fully_refreshed(hours, AFTERNOON + HOUR) == {clubs(hours)["Asia/Tokyo"]}
    assert fully_refreshed(hours, AFTERNOON + 24 * HOUR) == set(clubs(hours).values())


def test_an_hour_before_the_watermark_is_a_full_refresh(hours: Hours) -> None:
    assert fully_refreshed(hours, AFTERNOON - HOUR) == set(clubs(hours).values())


def test_another_version_of_the_code_is_a_full_refresh(hours: Hours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermarks, "compute_code_hash", lambda: "another")
    assert fully_refreshed(hours, AFTERNOON) == set(clubs(hours).values())


def test_a_club_whose_own_row_changed_gets_a_full_refresh(own_hours: Hours) -> None:
    hours, london = own_hours, clubs(own_hours)["Europe/London"]
    for tenant in hours.services.tables["Tenant"]:
        tenant["minConfidence"] = "0.95" if tenant["id"] == london else tenant["minConfidence"]
    extract_again(hours)
    assert fully_refreshed(hours, AFTERNOON) == {london}


def test_a_club_much_of_which_changed_gets_a_full_refresh(own_hours: Hours) -> None:
    hours, zones = own_hours, clubs(own_hours)
    london, angeles = zones["Europe/London"], zones["America/Los_Angeles"]
    for booking in hours.services.tables["Booking"]:
        booking["players"] = "4" if booking["tenantId"] == london else booking["players"]
    next(row for row in hours.services.tables["Booking"] if row["tenantId"] == angeles)["players"] = "4"
    extract_again(hours)
    assert fully_refreshed(hours, AFTERNOON) == {london}


def extract_again(hours: Hours) -> None:
    hours.services.deliver(hours.services.folder)
    hours.extract(AFTERNOON)
