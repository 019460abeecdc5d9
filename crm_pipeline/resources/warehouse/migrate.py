"""Creation and upgrade of schema `crm` to what this release declares."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateSchema

from crm_pipeline.resources.warehouse import bi_access
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, STATES_TABLE, build_views_sql, build_warehouse_tables

LOCK_TIMEOUT = "5s"
"""Longest wait of an upgrade for a table's readers; new readers wait behind it. After a timeout it can be retried."""
FIRST_REVISION = "0001"


def migrate_schema(connection: Connection) -> None:
    """Creates missing tables and upgrades older ones, one migration at a time; readers wait `LOCK_TIMEOUT` at most."""
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('crm schema', 0))"))
    connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(CreateSchema(CRM_SCHEMA, if_not_exists=True))
    configuration = build_alembic_config(connection)
    head = ScriptDirectory.from_config(configuration).get_current_head()
    revision = _read_revision(connection)
    if revision == head:
        _create_missing_tables(connection)
    elif revision is None and not _has_tables(connection):
        _create_missing_tables(connection)
        command.stamp(configuration, "head")
    else:
        if revision is None:
            command.stamp(configuration, FIRST_REVISION)
        _upgrade_schema(connection)


def _read_revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": CRM_SCHEMA})
    return context.get_current_revision()


def _has_tables(connection: Connection) -> bool:
    return bool(connection.execute(text(f"select to_regclass('{CRM_SCHEMA}.publications')")).scalar())


def _upgrade_schema(connection: Connection) -> None:
    """Runs the revisions; the clubs' BI views are dropped before and created again afterwards."""
    schemas = bi_access.drop_bi_views(connection)
    command.upgrade(build_alembic_config(connection), "head")
    _create_missing_tables(connection)
    for tenant, schema in schemas.items():
        bi_access.create_bi_views(connection, schema, tenant)


def _create_missing_tables(connection: Connection) -> None:
    """Creates missing tables and views; an existing view stays, since replacing it would block its readers."""
    existing = set(inspect(connection).get_table_names(schema=CRM_SCHEMA))
    declared = build_warehouse_tables()
    missing = [table.name for table in declared.sorted_tables if table.name not in existing]
    if missing:
        declared.create_all(connection)
        # A recreated table is empty, so the published state of the old one is wrong.
        connection.execute(
            text(f"delete from {CRM_SCHEMA}.{STATES_TABLE} where table_name = any(:missing)"), {"missing": missing}
        )
    for name, statements in build_views_sql().items():
        if not connection.execute(text(f"select to_regclass('{CRM_SCHEMA}.{name}')")).scalar():
            for statement in statements:
                connection.execute(text(statement))


def build_alembic_config(connection: Connection) -> Config:
    """Returns Alembic's configuration for this connection and its current transaction."""
    configuration = Config()
    configuration.set_main_option("script_location", "crm_pipeline:migrations")
    configuration.attributes["connection"] = connection
    return configuration
