"""A batch that fails fails its tenant only: the others are stored as if it had not, and it is made up for later."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any, Final

import pytest
from sqlalchemy import Table

from crm_pipeline.incremental.failures import build_for_survivors
from crm_pipeline.incremental.model import Materialization, materialize
from crm_pipeline.resources.lake.lake import ChangeCounts, Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.model import IDENTITIES
from crm_pipeline.steps.identities.self_audit import audit_identities
from crm_pipeline.steps.validate import quarantine_rows
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.histories.incremental import ALL_MOVES, SERVICES, STAGES, Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered
from crm_pipeline_tests.fixtures.homes.soak import SOAK

MORNING: Final = datetime(2026, 3, 24, 8, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
STORED: Final = {
    operations.quarantined_records: ("first_seen_at", "last_seen_at"),
    identity.person_records: (),
    identity.withheld_consents: (),
    identity.profile_events: (),
    identity.identity_reviews: (),
    identity.customer_identities: (),
    identity.profile_ids: (),
    timeline.customer_timeline: (),
    profiles.customer_profiles: (),
}
"""The tables that models store, in their order, each with the columns that are the hours of earlier runs."""


HARDEST: Final = (
    operations.quarantined_records,
    identity.customer_identities,
    timeline.customer_timeline,
    profiles.customer_profiles,
)
"""The first table, one amid the commits that count together, and those of the last two models."""


class BrokenRowsError(Exception):
    """What the rows of a tenant lead to."""


@dataclass(frozen=True)
class FailingLake(Lake):
    """A lake that cannot store a table of a tenant, wherever its rows are in the batch."""

    table: Table | None = None
    tenant: str = ""

    def replace(self, con: Any, table: Table, incoming: str, **options: Any) -> ChangeCounts:  # noqa: ANN401
        if table is self.table and self.tenant in (options["tenants"] or ()):
            raise BrokenRowsError
        return super().replace(con, table, incoming, **options)


@dataclass(frozen=True)
class Refreshed:
    """The outcome of an hour: failures by model, and every stored row by table and tenant."""

    failures: dict[str, dict[str, str]]
    rows: dict[tuple[str, str], list[Any]]


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Hours:
    """Three clubs after their first hour, and an hour of changes that were extracted, not validated. To be copied."""
    folder = tmp_path_factory.mktemp("morning")
    services = delivered(folder / "services", tenants=3, people=90, events=900, until=MORNING)
    hours = Hours(folder, services)
    hours.refresh(MORNING)
    services.hour(MORNING + HOUR, ALL_MOVES, 60)
    hours.extract(MORNING + HOUR)
    return hours


@pytest.fixture(scope="module")
def undisturbed(morning: Hours, tmp_path_factory: pytest.TempPathFactory) -> Refreshed:
    return refresh(Lake(copy_lake(morning, tmp_path_factory.mktemp("undisturbed")), morning.folder / "spill"))


def copy_lake(hours: Hours, folder: Path) -> str:
    return str(copytree(hours.folder / "lake", folder / "lake"))


def refresh(lake: Lake, at: datetime = MORNING + HOUR) -> Refreshed:
    """Runs every model as of `at`, each as a step of its own does."""
    failures = {name: outcome.failures for name, outcome in run_models(lake, at)}
    with closing(lake.connect()) as con:
        rows = {}
        for table, moving_columns in STORED.items():
            present = lake.create_current_view(con, table)
            left_out = ", ".join((*moving_columns, "_known_at", "_version"))
            for (tenant,) in con.sql(f"select distinct coalesce(tenant_id, '') from {present}").fetchall():
                query = f"select * exclude ({left_out}) from {present} where coalesce(tenant_id, '') = $tenant"
                rows[table.name, tenant] = con.sql(f"{query} order by all", params={"tenant": tenant}).fetchall()
    return Refreshed(failures, rows)


def run_models(lake: Lake, at: datetime) -> Iterator[tuple[str, Materialization[Any]]]:
    for service in SERVICES:
        with closing(lake.connect()) as con:
            yield service, quarantine_rows(RunContext(con, lake, at, "run", None), service)
    for name, model in STAGES.items():
        with closing(lake.connect()) as con:
            yield name, materialize(model, RunContext(con, lake, at, "run", None))


def find_tenants(hours: Hours) -> list[str]:
    return sorted(row["id"] for row in hours.services.tables["Tenant"])


def select_rows_of_others(refreshed: Refreshed, tenant: str) -> dict[tuple[str, str], list[Any]]:
    return {key: rows for key, rows in refreshed.rows.items() if key[1] != tenant}


@pytest.mark.parametrize("table", STORED if SOAK else HARDEST, ids=lambda table: table.name)
def test_a_tenant_that_cannot_be_stored_is_named_and_the_others_are_as_without_it(
    morning: Hours, undisturbed: Refreshed, tmp_path: Path, table: Table
) -> None:
    broken = find_tenants(morning)[1]
    spill = tmp_path / "spill"
    lake = FailingLake(copy_lake(morning, tmp_path), spill, table=table, tenant=broken)
    disturbed = refresh(lake)
    assert select_rows_of_others(disturbed, broken) == select_rows_of_others(undisturbed, broken)
    failures = [failures for failures in disturbed.failures.values() if failures]
    assert failures
    assert all(list(failed) == [broken] and "BrokenRowsError" in failed[broken] for failed in failures)
    mended = refresh(Lake(lake.url, spill), MORNING + 2 * HOUR)
    assert not any(mended.failures.values())
    Hours(tmp_path, morning.services).compare_with_full_refresh(MORNING + 2 * HOUR, tmp_path / "copy")


@dataclass(frozen=True)
class UnreadableLake(Lake):
    """A lake in which the members of a tenant cannot be read."""

    tenant: str = ""

    def create_current_view(self, con: Any, table: Table, **options: Any) -> str:  # noqa: ANN401
        if table is scl.member and self.tenant in (options.get("tenants") or ()):
            raise BrokenRowsError
        return super().create_current_view(con, table, **options)


def test_a_tenant_that_cannot_be_read_is_not_audited(morning: Hours, undisturbed: Refreshed, tmp_path: Path) -> None:
    first, broken, last = find_tenants(morning)
    lake = UnreadableLake(copy_lake(morning, tmp_path), tmp_path / "spill", tenant=broken)
    disturbed = refresh(lake)
    assert [list(failed) for failed in disturbed.failures.values() if failed] == [[broken]]
    assert select_rows_of_others(disturbed, broken) == select_rows_of_others(undisturbed, broken)
    with closing(lake.connect()) as con:
        run = RunContext(con, lake, MORNING + HOUR, "run", None)
        built = materialize(IDENTITIES, run).built_tenants
        assert built == [first, last]
        assert sorted(audit_identities(run, built).tenants) == built
        assert not audit_identities(run, built).differing_tables


def test_a_closed_tenant_that_cannot_be_read_stops_no_snapshot(tmp_path: Path) -> None:
    services = delivered(tmp_path / "services", tenants=2, people=20, events=60, until=MORNING)
    closed, _ = services.tables["Tenant"]
    closed["status"] = "CLOSED"
    services.deliver(services.folder)
    hours = Hours(tmp_path, services)
    hours.extract(MORNING)
    lake = UnreadableLake(hours.lake.url, tmp_path / "spill", tenant=closed["id"])
    with closing(lake.connect()) as con:
        validated = quarantine_rows(RunContext(con, lake, MORNING, "run", None), Service.SCL)
    assert list(validated.failures) == [closed["id"]]
    assert "BrokenRowsError" in validated.failures[closed["id"]]
    assert len(validated.built_tenants) == 1


@pytest.mark.parametrize("tenants", [[], ["a"], ["a", "b", "c"]])
def test_what_fails_for_every_tenant_is_raised_as_it_was(tenants: list[str]) -> None:
    def fail(_: object) -> None:
        raise BrokenRowsError

    with pytest.raises(BrokenRowsError):
        build_for_survivors(fail, tenants)
