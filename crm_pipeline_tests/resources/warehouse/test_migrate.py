"""Warehouses of older releases are upgraded to the schema of a new one; rows and BI logins stay."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from psycopg2 import connect  # type: ignore[import-untyped]
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline import migrations
from crm_pipeline.resources.warehouse import migrate
from crm_pipeline.resources.warehouse.bi_access import grant_bi_access, revoke_bi_access
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.servers.warehouses import a_row, ask, connected, publish

SHAPE = """
    select 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod) || a.attnotnull,
        coalesce(col_description(c.oid, a.attnum), '')
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    where c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p', 'v')
    union all select 'relation', relname, relkind::text || coalesce(reloptions::text, ''),
        coalesce(pg_get_partkeydef(oid), ''), coalesce(obj_description(oid), '')
    from pg_class where relnamespace = 'crm'::regnamespace
    union all select 'index', indexrelid::regclass::text, '', pg_get_indexdef(indexrelid), ''
    from pg_index where indexrelid::regclass::text like 'crm.%'
    union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), ''
    from pg_constraint where connamespace = 'crm'::regnamespace
    union all select 'view', viewname, '', definition, '' from pg_views where schemaname = 'crm'"""
NEXT = '''"""What a later release might do."""
from alembic import op
revision = "0006"
down_revision = "0005"
def upgrade():
    op.execute("alter table crm.customer_profiles alter column status type varchar(20)")
    op.execute("alter table crm.customer_profiles add column shoe_size bigint")
'''


@pytest.fixture
def empty(prepared: Warehouse, administrator: Engine) -> Iterator[Warehouse]:
    """An empty database of the test's own."""
    with administrator.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("create database scratch owner crm_pipeline"))
        yield Warehouse(make_url(prepared.url).set(database="scratch").render_as_string(hide_password=False))
        connection.execute(text("drop database scratch with (force)"))


def shape(warehouse: Warehouse) -> set[tuple[Any, ...]]:
    return set(ask(warehouse, SHAPE))


def test_a_schema_made_by_all_revisions_is_the_one_made_directly(empty: Warehouse) -> None:
    with empty.engine().begin() as connection:
        connection.execute(text("create schema crm"))
        command.upgrade(migrate.build_alembic_config(connection), "head")
    migrated = shape(empty)
    assert len(migrated) > 100
    ask(empty, "drop schema crm cascade")
    empty.migrate_schema()
    assert shape(empty) == migrated


def test_migrating_leaves_the_newest_revision(empty: Warehouse) -> None:
    for _ in range(2):
        empty.migrate_schema()
        assert ask(empty, "select version_num from crm.alembic_version") == [("0005",)]


def test_a_schema_older_than_the_revisions_counts_as_the_first(empty: Warehouse) -> None:
    empty.migrate_schema()
    complete = shape(empty)
    ask(empty, "drop table crm.alembic_version")
    ask(empty, "drop table crm.publication_states")
    empty.migrate_schema()
    assert shape(empty) == complete


def test_a_recreated_table_counts_as_never_published(empty: Warehouse) -> None:
    rows = {customer_profiles: [a_row(customer_profiles, tenant_id="t")]}
    empty.migrate_schema()
    publish(empty, "t", rows, 1)
    ask(empty, "drop table crm.customer_profiles cascade")
    empty.migrate_schema()
    publish(empty, "t", rows, 1)
    assert ask(empty, "select count(*) from crm.customer_profiles") == [(1,)]


def with_next_revision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the package one more revision."""
    (folder / "0006_next.py").write_text(NEXT, encoding="utf-8")
    original = migrate.build_alembic_config

    def config(connection: Connection) -> Config:
        configuration = original(connection)
        versions = Path(migrations.__file__).parent / "versions"
        configuration.set_main_option("path_separator", "os")
        configuration.set_main_option("version_locations", f"{versions}:{folder}")
        return configuration

    monkeypatch.setattr(migrate, "build_alembic_config", config)


def test_an_older_schema_is_upgraded_with_its_rows_and_its_clubs_views(
    empty: Warehouse, administrator: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.migrate_schema()
    publish(empty, "t", {customer_profiles: [a_row(customer_profiles, tenant_id="t")]}, 1)
    with _engine_of(administrator).begin() as connection:
        login = grant_bi_access(connection, "t", empty.url)
    with_next_revision(tmp_path, monkeypatch)
    empty.migrate_schema()
    assert ask(empty, "select status, shoe_size from crm.customer_profiles") == [("plain", None)]
    with connect(login.url) as reader, reader.cursor() as cursor:
        cursor.execute("select tenant_id, status from customer_profiles")
        assert cursor.fetchall() == [("t", "plain")]
    reader.close()
    with _engine_of(administrator).begin() as connection:
        revoke_bi_access(connection, "t")


def _engine_of(administrator: Engine) -> Engine:
    return create_engine(administrator.url.set(database="scratch"), poolclass=NullPool)


def test_an_upgrade_that_would_block_readers_gives_up_and_changes_nothing(
    empty: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.migrate_schema()
    before = shape(empty)
    with_next_revision(tmp_path, monkeypatch)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "200ms")
    with connected(empty, "REPEATABLE READ") as reader:
        reader.execute(text("select count(*) from crm.customer_profiles"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            empty.migrate_schema()
    assert shape(empty) == before
