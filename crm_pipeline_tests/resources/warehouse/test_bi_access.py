"""The BI login of a club reads its own rows and nothing else."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from psycopg2 import OperationalError, ProgrammingError  # type: ignore[import-untyped]
from sqlalchemy import Engine, NullPool, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.privacy import schema as privacy_schema
from crm_pipeline.resources.warehouse.bi_access import (
    BI_VIEWS,
    BiLogin,
    NameTakenError,
    bi_schema_name,
    create_bi_views,
    drop_bi_views,
    grant_bi_access,
    revoke_bi_access,
)
from crm_pipeline.resources.warehouse.bi_limits import BI_OWNER_ROLE
from crm_pipeline.resources.warehouse.schema import quote_name, tenant_table_name
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.identity import profile_ids
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.servers.bi_attempts import SEES_NOTHING, WAYS_OUT
from crm_pipeline_tests.fixtures.servers.bi_logins import ask_as, granted, logged_in
from crm_pipeline_tests.fixtures.servers.service_databases import administer
from crm_pipeline_tests.fixtures.servers.warehouses import Row, a_row, ask, connected, publish

OURS, THEIRS = "ours", "o'hara 100% :club"
LEAST_PRIVILEGE: Final = "42501"
SAME_SHORT_HASH: Final = tuple("x" * 40 + number for number in ("6542", "70735"))


def profile(tenant: str, number: int, **values: object) -> Row:
    return a_row(customer_profiles, tenant_id=tenant, id=f"00000000-0000-0000-0000-{number:012}", **values)


@pytest.fixture(scope="module")
def clubs(prepared: Warehouse, administrator: Engine) -> Iterator[dict[str, BiLogin]]:
    """Logins of two published clubs."""
    for number, (tenant, email) in enumerate({OURS: "1", THEIRS: "secret@example.com"}.items()):
        ids = [
            a_row(profile_ids, tenant_id=tenant, profile_id=f"0000000{n}-0000-0000-0000-000000000000") for n in (1, 2)
        ]
        ids[0]["redirects_to"] = ids[1]["profile_id"]
        rows: dict[Any, Sequence[Row]] = {
            customer_profiles: [profile(tenant, number, email=email)],
            customer_timeline: [a_row(customer_timeline, tenant_id=tenant, event_id=tenant)],
            profile_ids: ids,
        }
        publish(prepared, tenant, rows, 1)
    with granted(administrator, prepared, OURS, THEIRS) as logins:
        yield logins


def rows(login: BiLogin, query: str) -> list[tuple[Any, ...]]:
    return ask_as(login, query)[0]


@pytest.mark.parametrize("tenant", [OURS, THEIRS])
def test_a_login_sees_its_club_under_the_plain_names(clubs: dict[str, BiLogin], tenant: str) -> None:
    assert rows(clubs[tenant], "select tenant_id from customer_profiles") == [(tenant,)]
    assert rows(clubs[tenant], "select event_id from customer_timeline") == [(tenant,)]
    assert rows(
        clubs[tenant], "select left(profile_id::text, 8), left(redirects_to::text, 8) from profile_redirects"
    ) == [("00000001", "00000002")]


def test_a_login_reads_what_every_column_means(clubs: dict[str, BiLogin]) -> None:
    comments = rows(
        clubs[OURS],
        """select attname, col_description(attrelid, attnum) from pg_attribute
        where attrelid = 'customer_profiles'::regclass and attnum > 0""",
    )
    assert dict(comments) == {column.name: column.comment for column in customer_profiles.columns}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_every_way_out_is_refused(clubs: dict[str, BiLogin], prepared: Warehouse, way: str) -> None:
    login, people = clubs[OURS], tenant_table_name(customer_profiles, THEIRS).partition(".")[2]
    with connected(prepared) as pipeline, logged_in(login) as connection, connection.cursor() as cursor:
        attempt = WAYS_OUT[way].format(
            theirs=bi_schema_name(THEIRS),
            owner=BI_OWNER_ROLE,
            login=make_url(login.url).username,
            partition=tenant_table_name(customer_timeline, THEIRS),
            of_their_people=f"from pg_class where relname = '{people}'",
            pid=pipeline.execute(text("select pg_backend_pid()")).scalar(),
        )
        with pytest.raises(ProgrammingError) as refused:
            cursor.execute(attempt)
    assert refused.value.pgcode == LEAST_PRIVILEGE


@pytest.mark.parametrize("what", SEES_NOTHING)
def test_what_cannot_be_refused_shows_nothing(clubs: dict[str, BiLogin], prepared: Warehouse, what: str) -> None:
    ask(prepared, "analyze")
    assert rows(clubs[OURS], SEES_NOTHING[what]) == []


def test_a_predicate_that_fails_on_other_clubs_rows_never_sees_them(clubs: dict[str, BiLogin]) -> None:
    assert rows(clubs[OURS], "select count(*) from customer_profiles where email::int > 0") == [(1,)]


@pytest.mark.parametrize("database", ["dagster", "postgres", "template1"])
def test_a_login_reaches_no_other_database(clubs: dict[str, BiLogin], database: str) -> None:
    assert clubs[OURS].open_databases == []
    with pytest.raises(OperationalError, match="permission denied for database"), logged_in(clubs[OURS], database):
        pytest.fail("connected")


def test_a_login_lists_tables_and_columns_as_tools_do(clubs: dict[str, BiLogin]) -> None:
    engine = create_engine(make_url(clubs[OURS].url).set(drivername="postgresql+psycopg2"), poolclass=NullPool)
    with engine.connect() as connection:
        inspector = inspect(connection)
        assert sorted(inspector.get_view_names()) == sorted(BI_VIEWS)
        columns = [column["name"] for column in inspector.get_columns("customer_profiles")]
    assert columns == [column.name for column in customer_profiles.columns]
    listed = "select table_name from information_schema.tables where table_schema = current_schema order by 1"
    assert rows(clubs[OURS], listed) == [(name,) for name in sorted(BI_VIEWS)]


def test_those_who_watch_the_server_still_read_its_counters(clubs: dict[str, BiLogin], administrator: Engine) -> None:
    assert clubs
    with administrator.begin() as connection:
        connection.execute(text("set local role pg_monitor"))
        counted = "select count(n_live_tup), count(reltuples) > 0 from pg_stat_user_tables join pg_class on oid = relid"
        assert connection.execute(text(counted)).one()[1]


def test_clubs_whose_short_hashes_are_equal_have_a_schema_each() -> None:
    short = {hashlib.sha256(club.encode()).hexdigest()[:8] for club in SAME_SHORT_HASH}
    assert len(short) == 1
    assert len({bi_schema_name(club) for club in SAME_SHORT_HASH}) == len(SAME_SHORT_HASH)
    assert all(len(bi_schema_name(club)) + len("_abcdef") < 64 for club in SAME_SHORT_HASH)


def test_a_schema_that_is_another_clubs_is_neither_shared_nor_dropped(
    clubs: dict[str, BiLogin], prepared: Warehouse, administrator: Engine
) -> None:
    with administrator.begin() as connection:
        connection.exec_driver_sql(f"comment on schema {bi_schema_name(OURS)} is 'usurper'")
        for attempt in (
            lambda: grant_bi_access(connection, OURS, prepared.url),
            lambda: revoke_bi_access(connection, OURS),
        ):
            with pytest.raises(
                NameTakenError, match=r"^ours cannot have schema bi_ours_[0-9a-f]+: it is not this club's$"
            ):
                attempt()
        connection.rollback()
    assert rows(clubs[OURS], "select tenant_id from customer_profiles") == [(OURS,)]


def test_a_club_keeps_the_schema_that_an_older_release_named(
    clubs: dict[str, BiLogin], prepared: Warehouse, administrator: Engine
) -> None:
    assert clubs
    with administrator.connect() as connection:
        for kind in ("schema", "role"):
            connection.exec_driver_sql(f"alter {kind} {bi_schema_name(OURS)} rename to bi_ours_12345678")
        assert grant_bi_access(connection, OURS, prepared.url).schema == "bi_ours_12345678"
        connection.rollback()


def test_owners_cannot_log_in_and_the_pipeline_cannot_make_roles(
    clubs: dict[str, BiLogin], prepared: Warehouse
) -> None:
    assert clubs
    powers = """select rolname, rolcanlogin, rolsuper or rolcreaterole or rolcreatedb or rolbypassrls from pg_roles
        where rolname in (:owner, :club, 'crm_pipeline') order by 1"""
    roles = ask(prepared, powers, owner=BI_OWNER_ROLE, club=bi_schema_name(OURS))
    assert roles == [(bi_schema_name(OURS), False, False), (BI_OWNER_ROLE, False, False), ("crm_pipeline", True, False)]
    with pytest.raises(DBAPIError, match="permission denied to create role"):
        ask(prepared, "create role spy")


def test_a_second_login_of_a_club_leaves_the_first_alone(
    clubs: dict[str, BiLogin], prepared: Warehouse, administrator: Engine
) -> None:
    with administrator.begin() as connection:
        second = grant_bi_access(connection, OURS, prepared.url)
    assert second.url != clubs[OURS].url
    for login in (second, clubs[OURS]):
        assert rows(login, "select tenant_id from customer_profiles") == [(OURS,)]


def test_the_pipeline_can_recreate_the_views_and_logins_still_read_them(
    clubs: dict[str, BiLogin], prepared: Warehouse
) -> None:
    with prepared.engine().begin() as connection:
        schemas = drop_bi_views(connection)
        assert schemas == {tenant: bi_schema_name(tenant) for tenant in (OURS, THEIRS)}
        for tenant, schema in schemas.items():
            create_bi_views(connection, schema, tenant)
    assert rows(clubs[THEIRS], "select tenant_id from customer_profiles") == [(THEIRS,)]


def test_access_that_is_revoked_ends_at_once(prepared: Warehouse, administrator: Engine) -> None:
    publish(prepared, "leaver", {customer_profiles: [profile("leaver", 9)]}, 1)
    with administrator.begin() as connection:
        login = grant_bi_access(connection, "leaver", prepared.url)
    with logged_in(login) as connection:
        with administrator.begin() as superuser:
            revoke_bi_access(superuser, "leaver")
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute("select 1")
    with pytest.raises(OperationalError, match="authentication failed"), logged_in(login):
        pytest.fail("connected")
    left = """select rolname from pg_roles where rolname like 'bi_leaver%'
        union all select nspname from pg_namespace where nspname like 'bi_leaver%'"""
    assert ask(prepared, left) == []


def test_role_and_database_of_the_warehouse_may_have_any_name(
    shared_server: EmbeddedPostgres, administrator: Engine
) -> None:
    role, database, tenant = 'crm-pipeline "eu"', "crm-eu.west", "elsewhere"  # roles are the server's
    create = f"""create role {quote_name(role)} login password 'open'"""
    administer(shared_server, create, f"create database {quote_name(database)} owner {quote_name(role)}")
    address = make_url(shared_server.url("crm")).set(username=role, password="open", database=database)
    warehouse = Warehouse(address.render_as_string(hide_password=False))
    warehouse.migrate_schema()
    superuser = create_engine(administrator.url.set(database=database), poolclass=NullPool)
    try:
        with superuser.begin() as connection:
            login = grant_bi_access(connection, tenant, warehouse.url)
            privacy_schema.create_privacy_schema(connection, warehouse.url)
        with logged_in(login, database) as session, session.cursor() as cursor:
            cursor.execute("select count(*) from customer_profiles")
            assert cursor.fetchall() == [(0,)]
        with warehouse.engine().begin() as connection:
            privacy_schema.write_log_entry(connection, "GRANT", tenant)
    finally:
        with superuser.begin() as connection:
            revoke_bi_access(connection, tenant)
        administer(shared_server, f"drop database {quote_name(database)} with (force)", f"drop role {quote_name(role)}")
