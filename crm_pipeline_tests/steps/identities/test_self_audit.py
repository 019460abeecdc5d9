"""The hourly self-audit and the SQL audit: which clubs are audited, and that a run reports every planted error."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from sqlalchemy import Table

from crm_pipeline.defs import resources
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.lake.lake import ChangeCounts, Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities import self_audit
from crm_pipeline.steps.identities.self_audit import audit_identities
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_ids
from crm_pipeline_tests.fixtures.homes.runs import CLUBS, FYNBOS, HEATHER, SAGUARO, dagster_of, hour, runs
from crm_pipeline_tests.fixtures.homes.support import refresh
from crm_pipeline_tests.fixtures.worlds.identity_worlds import AS_OF

NOON = hour("2026-03-31T12:00:00Z")
DAMAGE = {
    customer_identities: "not is_primary as is_primary",
    profile_ids: "not is_live as is_live",
    identity_reviews: "'somebody asked' as reason",
}


@pytest.fixture
def lake(first_run: Path, tmp_path: Path) -> Lake:
    """The lake of the refreshed sample, to be damaged."""
    shutil.copytree(first_run / "lake", tmp_path / "lake")
    return Lake(str(tmp_path / "lake"), tmp_path / "spill")


@contextmanager
def step_of(lake: Lake) -> Iterator[RunContext]:
    with closing(lake.connect()) as con:
        yield RunContext(con, lake, NOON, "audit", None)


def test_what_a_run_stored_is_what_each_club_alone_resolves_to(lake: Lake) -> None:
    with step_of(lake) as run:
        found = audit_identities(run, CLUBS)
        assert audit_identities(run, []).tenants == []
    assert sorted(found.tenants) == sorted(CLUBS)
    assert found.records > 500
    assert found.differing_tables == {}


@pytest.mark.parametrize("table", DAMAGE, ids=lambda table: table.name)
def test_whatever_is_stored_otherwise_is_found_and_the_club_named(lake: Lake, table: Table) -> None:
    with step_of(lake) as run:
        present = lake.create_current_view(run.con, table, tenants=[HEATHER])
        run.con.execute(f"create temp table damaged as select * replace ({DAMAGE[table]}) from {present}")
        lake.replace(run.con, table, "damaged", tenants=[HEATHER], known_at=NOON)
        assert list(audit_identities(run, CLUBS).differing_tables) == [HEATHER]
        assert audit_identities(run, [FYNBOS, SAGUARO]).differing_tables == {}


def test_a_row_that_was_lost_is_found(lake: Lake) -> None:
    with step_of(lake) as run:
        present = lake.create_current_view(run.con, customer_identities, tenants=[SAGUARO])
        run.con.execute(f"create temp table fewer as from {present} where service_record_id <> '36'")
        lake.replace(run.con, customer_identities, "fewer", tenants=[SAGUARO], known_at=NOON)
        assert "customer_identities" in audit_identities(run, CLUBS).differing_tables[SAGUARO]


def a_lake_of(folder: Path, sizes: dict[str, int]) -> Lake:
    """Returns a lake in which the clubs have so many records."""
    lake = Lake(str(folder / "lake"), folder / "spill")
    with closing(lake.connect()) as con:
        con.register("sizes", pa.table({"tenant_id": list(sizes), "records": list(sizes.values())}))
        con.execute("""
            create temp table rows as
            select tenant_id, 'SCL' as service, unnest(range(records))::text as service_record_id, 'x' as profile_id,
                true as is_primary, 'ANCHOR' as rule, 1.0 as confidence, null as linked_to_service,
                null as linked_to_record_id, false as email_is_shared, false as phone_is_shared from sizes""")
        lake.replace(con, customer_identities, "rows", tenants=None, known_at=NOON)
    return lake


def test_chance_draws_the_clubs_and_as_of_is_its_seed(tmp_path: Path) -> None:
    sizes = {f"club-{number}": 1_900 + number for number in range(20)} | {"union": self_audit.MAX_AUDITED_RECORDS + 1}
    lake = a_lake_of(tmp_path, sizes)

    def drawn(hours: int) -> list[str]:
        with closing(lake.connect()) as con:
            run = RunContext(con, lake, AS_OF + timedelta(hours=hours), "audit", None)
            chosen = self_audit._draw_tenants(run, con, list(sizes))
        assert chosen.items() <= sizes.items()
        assert 0.8 * self_audit.MAX_AUDITED_RECORDS < sum(chosen.values()) <= self_audit.MAX_AUDITED_RECORDS
        assert len(chosen) <= self_audit.MAX_AUDITED_TENANTS
        return sorted(chosen)

    assert drawn(1) == drawn(1)
    days = [drawn(hours) for hours in range(40)]
    assert len({tuple(some) for some in days}) == 40
    assert {tenant for some in days for tenant in some} == set(sizes) - {"union"}


class ForgetfulLake(Lake):
    """A lake that loses some stored identities of one club."""

    def replace(self, con: Any, table: Table, incoming: str, **how: Any) -> ChangeCounts:  # noqa: ANN401  Lake's own
        if table is customer_identities:
            incoming = f"(from {incoming} where tenant_id <> '{SAGUARO}' or service <> 'TEETIME')"
        return super().replace(con, table, incoming, **how)


def checked(home: Path) -> dict[str, tuple[bool, list[dict[str, Any]]]]:
    """Returns the identity checks of the last run: whether each passed, and the rows of what it found."""
    with dagster_of(home) as instance:
        logs = instance.all_logs(runs(home)[-1].run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [log.dagster_event.asset_check_evaluation_data for log in logs if log.dagster_event]
    said = {"links_hold": "faults", "self_audit": "differing"}
    tables = {e.check_name: (e.passed, e.metadata[said[e.check_name]]) for e in found if e.check_name in said}
    return {
        name: (passed, [dict(row.data) for row in table.records] if isinstance(table, dg.TableMetadataValue) else [])
        for name, (passed, table) in tables.items()
    }


def test_a_run_reports_the_club_that_is_not_stored_as_resolved(
    refreshed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(refreshed) == {"links_hold": (True, []), "self_audit": (True, [])}

    def forgetful(settings: Settings) -> Lake:
        lake = open_lake(settings)
        return ForgetfulLake(lake.url, lake.spill)

    monkeypatch.setattr(resources, "open_lake", forgetful)
    # On another day, when all tenants get a full refresh.
    refresh(refreshed, as_of="2026-04-01T13:00:00Z")
    results = checked(refreshed)
    assert results["self_audit"][0] is False
    assert [row["tenant"] for row in results["self_audit"][1]] == [SAGUARO]
    passed, rows = results["links_hold"]
    faults = [row["fault"] for row in rows]
    assert not passed
    assert all(
        fault.startswith(("a record is not in", "the links of", "a link leaves", "live ids and")) for fault in faults
    )
    assert all(SAGUARO in fault for fault in faults)
