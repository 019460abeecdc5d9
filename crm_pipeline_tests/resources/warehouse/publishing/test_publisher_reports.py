"""What the warehouse has about the pipeline itself: quarantined rows, check results, and the hour of the tables."""

from datetime import UTC, datetime

import pytest

from crm_pipeline.resources.warehouse.publishing.publisher import SnapshotAge, TenantRefresh
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.operations import data_quality_results, quarantined_records
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.servers.warehouses import AS_OF, a_connection, a_row, ask, publish, rows_of

LATER = datetime(2026, 3, 31, 13, tzinfo=UTC)
REFRESHED = TenantRefresh("t", "ACTIVE", None)


def test_quarantined_rows_of_no_tenant_are_published_as_such(warehouse: Warehouse) -> None:
    rows = [
        a_row(quarantined_records, quarantine_id="q1"),
        a_row(quarantined_records, quarantine_id="q2", tenant_id="t"),
    ]
    for tenant in ("", "t"):
        publish(warehouse, tenant, {quarantined_records: rows}, 1)
    assert [row["quarantine_id"] for row in rows_of(warehouse, quarantined_records, None)] == ["q1"]
    assert [row["quarantine_id"] for row in rows_of(warehouse, quarantined_records, "t")] == ["q2"]
    publish(warehouse, "", {quarantined_records: rows[1:]}, 2)
    assert rows_of(warehouse, quarantined_records, None) == []
    assert len(rows_of(warehouse, quarantined_records, "t")) == 1


@pytest.mark.parametrize("order", [("", "t"), ("t", "")])
def test_a_quarantined_row_whose_tenant_becomes_known_moves(warehouse: Warehouse, order: tuple[str, str]) -> None:
    unknown, known = (a_row(quarantined_records, quarantine_id="q", tenant_id=tenant) for tenant in (None, "t"))
    publish(warehouse, "", {quarantined_records: [unknown]}, 1)
    for tenant in order:
        publish(warehouse, tenant, {quarantined_records: [known]}, 2)
    assert rows_of(warehouse, quarantined_records, "t") == [known]
    assert rows_of(warehouse, quarantined_records, None) == []


def test_finishing_stores_the_hour_of_the_tables_and_the_age_of_the_snapshots(warehouse: Warehouse) -> None:
    quarantined = [a_row(quarantined_records, quarantine_id=t, tenant_id=t) for t in ("kept", "t")]
    for tenant in ("kept", "t"):
        publish(
            warehouse,
            tenant,
            {customer_profiles: [a_row(customer_profiles, tenant_id=tenant)], quarantined_records: quarantined},
            1,
        )
    with warehouse.publisher(a_connection(), as_of=LATER, run_id="later") as publisher:
        publisher.store_refresh_time(
            [REFRESHED], ["t"], [SnapshotAge("SCL", "t", AS_OF, 12), SnapshotAge("SCL", "kept", AS_OF, 3)]
        )
        publisher.store_refresh_time([REFRESHED], ["t"], [SnapshotAge("SCL", "t", AS_OF, 13)])
    found = ask(warehouse, "select table_name, tenant_id, as_of, run_id, rows from crm.publications order by 1, 2")
    assert found == [
        ("SCL.snapshot", "kept", AS_OF, "later", 3),
        ("SCL.snapshot", "t", AS_OF, "later", 13),
        ("customer_profiles", "kept", AS_OF, "run 1", 1),
        ("customer_profiles", "t", LATER, "later", 1),
        ("quarantined_records", "kept", AS_OF, "run 1", 1),
        ("quarantined_records", "t", LATER, "later", 1),
    ]
    assert ask(warehouse, "select tenant_id, last_seen_at from crm.quarantined_records order by 1") == [
        ("kept", AS_OF),
        ("t", LATER),
    ]


def test_finishing_a_run_of_everything_covers_the_rows_of_no_tenant(warehouse: Warehouse) -> None:
    publish(warehouse, "", {quarantined_records: [a_row(quarantined_records, quarantine_id="q")]}, 1)
    with warehouse.publisher(a_connection(), as_of=LATER, run_id="later") as publisher:
        publisher.store_refresh_time([], None, [])
    assert ask(warehouse, "select last_seen_at from crm.quarantined_records") == [(LATER,)]


def test_check_results_of_a_tenant_without_rows_leave(warehouse: Warehouse) -> None:
    publish(warehouse, "t", {data_quality_results: [a_row(data_quality_results, tenant_id="t")]}, 1)
    publish(warehouse, "t", {data_quality_results: []}, 2)
    assert rows_of(warehouse, data_quality_results, "t") == []
