"""Making schema `crm` what this release declares, whatever it is now: nothing, an older release's, or that already."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateSchema

from crm_pipeline.resources.warehouse import bi_access
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, REDIRECTS_VIEW_SQL, STATES_TABLE, build_warehouse_tables

LOCK_TIMEOUT = "5s"
"""How long an upgrade waits for a table's readers, and keeps new ones waiting; who meets that runs it again."""


def migrate_schema(connection: Connection) -> None:
    """Create what is missing and upgrade what is older; one preparer at a time, and no reader waits for long."""
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('crm schema', 0))"))
    connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(CreateSchema(CRM_SCHEMA, if_not_exists=True))
    setup = build_alembic_config(connection)
    head = ScriptDirectory.from_config(setup).get_current_head()
    revision = _read_revision(connection)
    if revision == head:
        _create_missing_tables(connection)
    elif revision is None and not _has_tables(connection):
        _create_missing_tables(connection)
        command.stamp(setup, "head")
    else:
        if revision is None:
            command.stamp(setup, FIRST_REVISION)
        _upgrade_schema(connection)


def _read_revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": CRM_SCHEMA})
    return context.get_current_revision()


def _has_tables(connection: Connection) -> bool:
    return bool(connection.execute(text(f"select to_regclass('{CRM_SCHEMA}.publications')")).scalar())


def _upgrade_schema(connection: Connection) -> None:
    """The clubs' views make way for what happens to their tables, and come back as these are then."""
    clubs = bi_access.drop_bi_views(connection)
    command.upgrade(build_alembic_config(connection), "head")
    _create_missing_tables(connection)
    for tenant, schema in clubs.items():
        bi_access.create_bi_views(connection, schema, tenant)


def _create_missing_tables(connection: Connection) -> None:
    """What is there is left alone, the view too: replacing it would wait for its readers, and keep new ones waiting."""
    there = set(inspect(connection).get_table_names(schema=CRM_SCHEMA))
    declared = build_warehouse_tables()
    lost = [table.name for table in declared.sorted_tables if table.name not in there]
    if lost:
        declared.create_all(connection)
        # A table made anew is empty, whatever was published into the old one.
        connection.execute(
            text(f"delete from {CRM_SCHEMA}.{STATES_TABLE} where table_name = any(:lost)"), {"lost": lost}
        )
    if not connection.execute(text(f"select to_regclass('{CRM_SCHEMA}.profile_redirects')")).scalar():
        for statement in REDIRECTS_VIEW_SQL:
            connection.execute(text(statement))


FIRST_REVISION = "0001"


def build_alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for work on this connection, in the transaction it is in."""
    made = Config()
    made.set_main_option("script_location", "crm_pipeline:migrations")
    made.attributes["connection"] = connection
    return made
