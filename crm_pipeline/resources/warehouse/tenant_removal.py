"""Dropping a club from the warehouse: its rows at once, then its partitions. A command asks for it, never a run."""

from sqlalchemy import Connection, Table, text

from crm_pipeline.resources.warehouse.publishing.table_publication import acquire_publish_lock
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, STATES_TABLE, tenant_table_name
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.outputs.operations import publications


def delete_tenant_rows(warehouse: Warehouse, tenant_id: str) -> int:
    """Delete the club's rows from every table, in one transaction no publication can come between; return how many."""
    with warehouse.engine().begin() as connection:
        acquire_publish_lock(connection, tenant_id)
        deleted = {
            name: connection.execute(
                text(f"delete from {CRM_SCHEMA}.{name} where tenant_id = :tenant"), {"tenant": tenant_id}
            ).rowcount
            for name in (STATES_TABLE, *(table.name for table in PUBLISHED_TABLES))
        }
    return sum(rows for name, rows in deleted.items() if name not in (STATES_TABLE, publications.name))


def drop_tenant_partitions(warehouse: Warehouse, tenant_id: str) -> None:
    """Detach and drop what then is empty, keeping no reader waiting; after an interruption it can be called again."""
    engine = warehouse.engine().execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for table in PUBLISHED_TABLES:
            if table.info.get("partitioned_by"):
                _drop_partition(connection, table, tenant_table_name(table, tenant_id))


def _drop_partition(connection: Connection, table: Table, partition: str) -> None:
    pending = connection.execute(
        text("select inhdetachpending from pg_inherits where inhrelid = to_regclass(:name)"), {"name": partition}
    ).scalar()
    if pending is not None:
        how = "finalize" if pending else "concurrently"
        connection.execute(text(f"alter table {CRM_SCHEMA}.{table.name} detach partition {partition} {how}"))
    connection.execute(text(f"drop table if exists {partition}"))
