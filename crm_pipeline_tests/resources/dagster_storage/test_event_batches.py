"""Planned events in batches: what is stored is what Dagster stores one by one."""

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy import text

from crm_pipeline.resources.dagster_storage.event_batches import BatchEventLogStorage
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline_tests.fixtures.servers.service_databases import administer, new_database

STORED = {
    "event_logs": "id, run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition",
    "asset_keys": "asset_key, last_run_id, last_materialization_timestamp",
    "asset_event_tags": "event_id, asset_key, key, value",
}
PLANNED = [("customer_profiles", "downs"), ("customer_timeline", "downs"), ("customer_profiles", "heath")]


def plan_event(asset: str, partition: str, timestamp: float) -> dg.EventLogEntry:
    """Returns the event of a planned materialization."""
    data = AssetMaterializationPlannedData(dg.AssetKey(asset), partition)
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    event = DagsterEvent(kind.value, "refresh", step_key="published", event_specific_data=data)
    return dg.EventLogEntry(None, 20, "", "the-run", timestamp, "published", "refresh", event)  # type: ignore[no-untyped-call]


def test_planned_materializations_are_stored_as_dagster_stores_them(shared_server: EmbeddedPostgres) -> None:
    events = [plan_event(*planned, timestamp=1.0 + number) for number, planned in enumerate(PLANNED)]
    stored = []
    for storage_class in (PostgresEventLogStorage, BatchEventLogStorage):
        engine = new_database(shared_server, f"events_of_{storage_class.__name__.lower()}")
        storage = storage_class(engine.url.render_as_string(hide_password=False))
        storage.store_event_batch(events)
        storage.store_event_batch([])
        with engine.connect() as connection:
            queries = (f"select {columns} from {table} order by 1" for table, columns in STORED.items())
            stored.append([connection.execute(text(query)).all() for query in queries])
        planned = storage.get_records_for_run("the-run").records
        assert [record.event_log_entry for record in planned] == events
        storage.dispose()
        engine.dispose()
        administer(shared_server, f"drop database {engine.url.database} with (force)")
    one_by_one, in_batches = stored
    assert in_batches == one_by_one
