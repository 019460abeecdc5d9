"""Removal of a club from the warehouse by a command: its rows in one transaction, then its partitions."""

from sqlalchemy import Connection, Table, text

from crm_pipeline.resources.warehouse.publishing.table_publication import acquire_publish_lock
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, STATES_TABLE, tenant_table_name
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES, PUBLISHER_TABLES


def delete_tenant_rows(warehouse: Warehouse, tenant_id: str) -> int:
    """Returns how many rows of the club were deleted, from all tables in one transaction under its publish lock."""
    with warehouse.engine().begin() as connection:
        acquire_publish_lock(connection, tenant_id)
        deleted = {
            name: connection.execute(
                text(f"delete from {CRM_SCHEMA}.{name} where tenant_id = :tenant"), {"tenant": tenant_id}
            ).rowcount
            for name in (STATES_TABLE, *(table.name for table in PUBLISHED_TABLES))
        }
    own = (STATES_TABLE, *(table.name for table in PUBLISHER_TABLES))
    return sum(rows for name, rows in deleted.items() if name not in own)


def drop_tenant_partitions(warehouse: Warehouse, tenant_id: str) -> None:
    """Detaches and drops the club's partitions without blocking readers; can be called again after an interruption."""
    engine = warehouse.engine().execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for table in PUBLISHED_TABLES:
            if table.info.get("partitioned_by"):
                _drop_partition(connection, table, tenant_table_name(table, tenant_id))


def _drop_partition(connection: Connection, table: Table, partition: str) -> None:
    is_detach_pending = connection.execute(
        text("select inhdetachpending from pg_inherits where inhrelid = to_regclass(:name)"), {"name": partition}
    ).scalar()
    if is_detach_pending is not None:
        mode = "finalize" if is_detach_pending else "concurrently"
        connection.execute(text(f"alter table {CRM_SCHEMA}.{table.name} detach partition {partition} {mode}"))
    connection.execute(text(f"drop table if exists {partition}"))
