"""Warehouses of older releases are upgraded to the schema of a new one; rows and BI logins stay."""

from collections.abc import Iterator
from itertools import product
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
from crm_pipeline.resources.warehouse.schema import build_warehouse_tables, tenant_table_name
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_events, profile_ids
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.servers import warehouses
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
FIRST_SCHEMA_FILE = Path(warehouses.__file__).with_name("first_schema.sql")
"""What the first release made."""
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


def make_schema(warehouse: Warehouse, revision: str) -> None:
    """Makes the schema of the first release, and upgrades it."""
    with warehouse.engine().begin() as connection:
        connection.execute(text("create schema crm"))
        connection.exec_driver_sql(FIRST_SCHEMA_FILE.read_text(encoding="utf-8"))
        command.upgrade(migrate.build_alembic_config(connection), revision)


def shape(warehouse: Warehouse) -> set[tuple[Any, ...]]:
    return set(ask(warehouse, SHAPE))


def test_the_first_schema_upgraded_is_the_one_made_directly(empty: Warehouse) -> None:
    make_schema(empty, migrate.FIRST_REVISION)
    empty.migrate_schema()
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


PEOPLE_TABLES = (customer_identities, customer_profiles, identity_reviews, profile_events, profile_ids)
CLUBS = ("t", "o'hara 100% :club")


def rows_of_tables(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table.name: ask(warehouse, f"select to_jsonb(t)::text from crm.{table.name} t order by 1")
        for table in PUBLISHED_TABLES
    }


def make_schema_of(warehouse: Warehouse, revision: str) -> None:
    """Makes the published schema one of an older revision, with the same rows."""
    tables = build_warehouse_tables().sorted_tables
    for name in (table.name for table in tables):
        ask(warehouse, f"create table public.{name} as select * from crm.{name}")
    ask(warehouse, "drop schema crm cascade")
    make_schema(warehouse, revision)
    for table in tables:
        columns = ", ".join(column.name for column in table.columns)
        ask(warehouse, f"insert into crm.{table.name} ({columns}) select {columns} from public.{table.name}")


@pytest.fixture
def unpartitioned(empty: Warehouse) -> Warehouse:
    """The warehouse of two clubs before their tables were partitioned."""
    empty.migrate_schema()
    for club in CLUBS:
        publish(empty, club, {table: [a_row(table, tenant_id=club)] for table in PEOPLE_TABLES}, 1)
    make_schema_of(empty, "0004")
    return empty


def test_tables_of_people_are_partitioned_with_their_rows_rights_and_views(unpartitioned: Warehouse) -> None:
    for statement in (
        "comment on table crm.profile_events is null",
        "grant select on crm.customer_profiles to pg_monitor with grant option",
        "grant select (redirects_to), update (redirects_to) on crm.profile_ids to pg_monitor",
        """create view public.emails with (security_barrier) as
            select p.email, p.status, p.id from crm.customer_profiles p group by p.tenant_id, p.id""",
        "grant select on public.emails to pg_monitor",
    ):
        ask(unpartitioned, statement)
    before, emails = rows_of_tables(unpartitioned), ask(unpartitioned, "select * from public.emails order by 1")
    unpartitioned.migrate_schema()
    assert rows_of_tables(unpartitioned) == before
    assert ask(unpartitioned, "select * from public.emails order by 1") == emails
    assert ask(unpartitioned, "select reloptions from pg_class where relname = 'emails'") == [
        (["security_barrier=true"],)
    ]
    for table, club in product(PEOPLE_TABLES, CLUBS):
        held = ask(unpartitioned, f"select tenant_id from {tenant_table_name(table, club)}")
        assert held == [(club,)]
    rights = """select has_table_privilege('pg_monitor', 'crm.customer_profiles', 'select with grant option'),
        has_column_privilege('pg_monitor', 'crm.profile_ids', 'redirects_to', 'update'),
        has_column_privilege('pg_monitor', 'crm.profile_ids', 'is_live', 'select'),
        has_table_privilege('pg_monitor', 'public.emails', 'select')"""
    assert ask(unpartitioned, rights) == [(True, True, False, True)]


def test_a_partitioned_warehouse_is_published_to_as_if_it_had_always_been(unpartitioned: Warehouse) -> None:
    unpartitioned.migrate_schema()
    changed = a_row(customer_profiles, tenant_id=CLUBS[1], email="new")
    rows = {table: [a_row(table, tenant_id=CLUBS[1])] for table in PEOPLE_TABLES} | {customer_profiles: [changed]}
    changes = publish(unpartitioned, CLUBS[1], rows, 2)
    assert {name: tuple(change) for name, change in changes.items()} == {
        table.name: (0, int(table is customer_profiles), 0) for table in PEOPLE_TABLES
    }
    assert ask(unpartitioned, "select tenant_id, email from crm.customer_profiles order by 2") == [
        (CLUBS[1], "new"),
        (CLUBS[0], None),
    ]


def test_a_clubs_views_of_an_older_release_read_its_partitions_after_the_upgrade(
    unpartitioned: Warehouse, administrator: Engine
) -> None:
    with _engine_of(administrator).begin() as connection:
        if not connection.execute(text("select from pg_roles where rolname = 'crm_bi_owner'")).all():
            connection.execute(text("create role crm_bi_owner"))
        for statement in (
            "create role bi_t_12345678",
            "grant crm_bi_owner to crm_pipeline",
            "grant usage on schema crm to crm_bi_owner",
            "grant select on crm.customer_profiles, crm.customer_timeline to crm_bi_owner",
            "create schema bi_t_12345678 authorization crm_bi_owner",
            "comment on schema bi_t_12345678 is 't'",
            "create view bi_t_12345678.customer_profiles as select * from crm.customer_profiles where tenant_id = 't'",
            "alter view bi_t_12345678.customer_profiles owner to crm_bi_owner",
        ):
            connection.execute(text(statement))
    try:
        unpartitioned.migrate_schema()
        with _engine_of(administrator).begin() as connection:
            connection.execute(text("grant usage on schema bi_t_12345678 to bi_t_12345678"))
            connection.execute(text("set local role bi_t_12345678"))
            assert connection.execute(
                text("select tenant_id from bi_t_12345678.customer_profiles")
            ).scalars().all() == ["t"]
            assert connection.execute(text("select tenant_id from bi_t_12345678.customer_timeline")).all() == []
        definition = "select pg_get_viewdef('bi_t_12345678.customer_profiles'::regclass)"
        assert tenant_table_name(customer_profiles, "t") in ask(unpartitioned, definition)[0][0]
        for table in ("customer_profiles", "customer_timeline"):
            assert ask(unpartitioned, f"select has_table_privilege('crm_bi_owner', 'crm.{table}', 'select')") == [
                (False,)
            ]
    finally:
        with _engine_of(administrator).begin() as connection:
            revoke_bi_access(connection, "t")


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
