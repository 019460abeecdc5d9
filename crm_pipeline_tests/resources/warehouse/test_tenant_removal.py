"""Dropping a club blocks no reader, and can be resumed after an interruption."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from crm_pipeline.resources.warehouse.schema import tenant_table_name
from crm_pipeline.resources.warehouse.tenant_removal import delete_tenant_rows, drop_tenant_partitions
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS
from crm_pipeline_tests.fixtures.servers.warehouses import a_row, ask, connected, publish, rows_of

CLUB = {
    tenant: {
        customer_profiles: [a_row(customer_profiles, tenant_id=tenant)],
        customer_timeline: [a_row(customer_timeline, tenant_id=tenant, event_id="e")],
    }
    for tenant in ("leaves", "stays")
}
WAITS = """select count(*) from pg_stat_activity
    where query like '%detach partition%' and wait_event_type = 'Lock' and pid <> pg_backend_pid()"""


def has_partition(warehouse: Warehouse) -> bool:
    names = [tenant_table_name(table, "leaves") for table in CLUB["leaves"]]
    return bool(
        ask(
            warehouse,
            "select from unnest(cast(:names as text[])) name where to_regclass(name) is not null",
            names=names,
        )
    )


def test_the_rows_go_at_once_and_the_partition_when_its_last_reader_is_done(warehouse: Warehouse) -> None:
    for tenant, rows in CLUB.items():
        publish(warehouse, tenant, rows, 1)
    with connected(warehouse, "REPEATABLE READ") as reader, ThreadPoolExecutor(1) as pool:
        count = text("select count(*) from crm.customer_timeline")
        assert reader.execute(count).scalar() == 2
        assert delete_tenant_rows(warehouse, "leaves") == 2
        removal = pool.submit(drop_tenant_partitions, warehouse, "leaves")
        while ask(warehouse, WAITS) == [(0,)]:
            assert not removal.done()
        assert len(rows_of(warehouse, customer_timeline, "stays")) == 1
        assert reader.execute(count).scalar() == 2
        reader.rollback()
        removal.result(PATIENCE_SECONDS)
    assert not has_partition(warehouse)
    assert len(rows_of(warehouse, customer_timeline, "stays")) == 1
    drop_tenant_partitions(warehouse, "leaves")


def test_an_interrupted_removal_is_resumed(warehouse: Warehouse) -> None:
    publish(warehouse, "leaves", CLUB["leaves"], 1)
    with connected(warehouse, "REPEATABLE READ") as reader, ThreadPoolExecutor(1) as pool:
        reader.execute(text("select count(*) from crm.customer_timeline"))
        removal = pool.submit(drop_tenant_partitions, warehouse, "leaves")
        while ask(warehouse, WAITS) == [(0,)]:
            assert not removal.done()
        ask(
            warehouse,
            "select pg_terminate_backend(pid) from pg_stat_activity where query like '%detach partition%'"
            " and pid <> pg_backend_pid()",
        )
        assert removal.exception(PATIENCE_SECONDS)
        reader.rollback()
    assert has_partition(warehouse)
    drop_tenant_partitions(warehouse, "leaves")
    assert not has_partition(warehouse)


def test_a_dropped_club_can_be_published_again(warehouse: Warehouse) -> None:
    publish(warehouse, "leaves", CLUB["leaves"], 1)
    delete_tenant_rows(warehouse, "leaves")
    drop_tenant_partitions(warehouse, "leaves")
    publish(warehouse, "leaves", CLUB["leaves"], 1)
    assert len(rows_of(warehouse, customer_timeline, "leaves")) == 1
