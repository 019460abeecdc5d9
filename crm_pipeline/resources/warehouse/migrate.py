"""Making schema `crm` what this release declares, whatever it is now: nothing, an older release's, or that already."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateSchema

from crm_pipeline.resources.warehouse import bi_access
from crm_pipeline.resources.warehouse.schema import REDIRECTS, SCHEMA, STATES, warehouse_tables

PATIENCE = "5s"
"""How long an upgrade waits for a table's readers, and keeps new ones waiting; who meets that runs it again."""


def prepare(connection: Connection) -> None:
    """Create what is missing and upgrade what is older; one preparer at a time, and no reader waits for long."""
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('crm schema', 0))"))
    connection.execute(text(f"set local lock_timeout = '{PATIENCE}'"))
    connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    setup = config(connection)
    head = ScriptDirectory.from_config(setup).get_current_head()
    revision = _revision(connection)
    if revision == head:
        _create_missing(connection)
    elif revision is None and not _has_tables(connection):
        _create_missing(connection)
        command.stamp(setup, "head")
    else:
        if revision is None:
            command.stamp(setup, FIRST)
        _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    return context.get_current_revision()


def _has_tables(connection: Connection) -> bool:
    return bool(connection.execute(text(f"select to_regclass('{SCHEMA}.publications')")).scalar())


def _upgrade(connection: Connection) -> None:
    """The clubs' views make way for what happens to their tables, and come back as these are then."""
    clubs = bi_access.drop_views(connection)
    command.upgrade(config(connection), "head")
    _create_missing(connection)
    for tenant, schema in clubs.items():
        bi_access.create_views(connection, schema, tenant)


def _create_missing(connection: Connection) -> None:
    """What is there is left alone, the view too: replacing it would wait for its readers, and keep new ones waiting."""
    there = set(inspect(connection).get_table_names(schema=SCHEMA))
    declared = warehouse_tables()
    lost = [table.name for table in declared.sorted_tables if table.name not in there]
    if lost:
        declared.create_all(connection)
        # A table made anew is empty, whatever was published into the old one.
        connection.execute(text(f"delete from {SCHEMA}.{STATES} where table_name = any(:lost)"), {"lost": lost})
    if not connection.execute(text(f"select to_regclass('{SCHEMA}.profile_redirects')")).scalar():
        for statement in REDIRECTS:
            connection.execute(text(statement))


FIRST = "0001"


def config(connection: Connection) -> Config:
    """Alembic's configuration for work on this connection, in the transaction it is in."""
    made = Config()
    made.set_main_option("script_location", "crm_pipeline:migrations")
    made.attributes["connection"] = connection
    return made
