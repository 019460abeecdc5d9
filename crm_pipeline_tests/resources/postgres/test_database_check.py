"""Databases that cannot be used are said by setting, host, port and reason; those that can are passed in silence."""

import pytest
from sqlalchemy import make_url

from crm_pipeline.resources.postgres import database_check
from crm_pipeline.resources.postgres.database_check import (
    ADMINISTRATOR,
    DAGSTER_STORAGE,
    OFFICERS_WAREHOUSE,
    READERS_WAREHOUSE,
    WAREHOUSE,
    DatabaseNeed,
    check_database,
    format_server,
)
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.settings import SettingError, parse_database_url
from crm_pipeline_tests.fixtures.servers.service_databases import administer

READ_ONLY = "it is read-only: a standby, or with default_transaction_read_only on"


def problem_of(url: str, need: DatabaseNeed = WAREHOUSE) -> str:
    """What is said of a database; empty where it can be used."""
    try:
        check_database(parse_database_url(need.setting, url).render_as_string(hide_password=False), need)
    except SettingError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def place(shared_server: EmbeddedPostgres) -> str:
    """Where the server is, as messages say it."""
    return f"127.0.0.1:{make_url(shared_server.url('crm')).port}"


@pytest.mark.parametrize(
    ("database", "need"),
    [
        ("crm", WAREHOUSE),
        ("crm", OFFICERS_WAREHOUSE),
        ("crm", READERS_WAREHOUSE),
        ("dagster", DAGSTER_STORAGE),
        ("postgres", ADMINISTRATOR),
    ],
)
def test_a_database_that_can_be_used(shared_server: EmbeddedPostgres, database: str, need: DatabaseNeed) -> None:
    assert problem_of(shared_server.url(database), need) == ""


@pytest.mark.parametrize("need", [WAREHOUSE, DAGSTER_STORAGE, ADMINISTRATOR])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1/crm", "database crm on 127.0.0.1:1 cannot be used: the connection is refused"),
        ("no-host.invalid/crm", "database crm on no-host.invalid:5432 cannot be used: the host is not known"),
        ("/crm?host=/no-such-folder", "database crm on /no-such-folder:5432 cannot be used: no server has that socket"),
        ("127.0.0.1:1,[::1]:2/crm", "database crm on 127.0.0.1:1, ::1:2 cannot be used: the connection is refused"),
        ("127.0.0.1:1/a%0Ab", "database a\\nb on 127.0.0.1:1 cannot be used: the connection is refused"),
        ("127.0.0.1:99999/crm", "database crm on 127.0.0.1:99999 cannot be used: the URL is not valid"),
    ],
)
def test_a_server_that_cannot_be_reached(need: DatabaseNeed, address: str, said: str) -> None:
    assert problem_of(f"postgresql://ada:hunter2@{address}", need) == f"{need.setting}: {said}"


def test_a_server_that_does_not_let_the_role_in(shared_server: EmbeddedPostgres, place: str) -> None:
    url = make_url(shared_server.url("crm"))
    said = {
        "the role or its password is wrong": url.set(password="open-sesame"),
        "there is no such database or role": url.set(database="lost"),
        "the role may not connect to it": url.set(database="dagster"),
        "it cannot be encrypted as asked": url.update_query_dict({"sslmode": "require"}),
    }
    for reason, wrong in said.items():
        message = problem_of(wrong.render_as_string(hide_password=False))
        assert message == f"WAREHOUSE_URL: database {wrong.database} on {place} cannot be used: {reason}"


@pytest.mark.parametrize("need", [WAREHOUSE, READERS_WAREHOUSE, DAGSTER_STORAGE, ADMINISTRATOR])
def test_a_server_older_than_the_bound(
    shared_server: EmbeddedPostgres, need: DatabaseNeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_check, "MIN_SERVER_VERSION", 19)
    said = problem_of(shared_server.url("crm"), need)
    assert said.endswith("cannot be used: its PostgreSQL 18 is too old, 19 or newer is needed")


@pytest.mark.parametrize(
    ("need", "said"),
    [
        (WAREHOUSE, READ_ONLY),
        (OFFICERS_WAREHOUSE, READ_ONLY),
        (DAGSTER_STORAGE, READ_ONLY),
        (ADMINISTRATOR, READ_ONLY),
        (READERS_WAREHOUSE, ""),
    ],
)
def test_a_database_that_takes_no_writes_serves_readers_alone(
    shared_server: EmbeddedPostgres, need: DatabaseNeed, said: str
) -> None:
    options = {"options": "-c default_transaction_read_only=on"}
    url = make_url(shared_server.url("crm")).update_query_dict(options).render_as_string(hide_password=False)
    assert problem_of(url, need).rpartition("cannot be used: ")[2] == said


def test_a_standby_serves_readers_alone(server: EmbeddedPostgres) -> None:
    server.stop()
    (server.home / "postgres/data/standby.signal").touch()
    server.start()
    assert problem_of(server.url("crm")).endswith(READ_ONLY)
    assert problem_of(server.url("crm"), READERS_WAREHOUSE) == ""


def test_a_role_that_may_not_create_what_is_missing(shared_server: EmbeddedPostgres) -> None:
    administer(shared_server, "create database closed")
    for database, need, action in (
        ("crm", WAREHOUSE, "create schema crm or tables in it"),
        ("dagster", DAGSTER_STORAGE, "create tables in it"),
    ):
        url = make_url(shared_server.url(database)).set(database="closed").render_as_string(hide_password=False)
        assert problem_of(url, need).endswith(f"cannot be used: its role may not {action}")
    assert problem_of(url, OFFICERS_WAREHOUSE) == ""
    administer(shared_server, "drop database closed")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada@db.example/crm", "db.example:5432"),
        ("postgresql://ada@db1,db2:5433/crm", "db1:5432, db2:5433"),
        ("postgresql://ada@/crm?host=db1,db2&port=5433", "db1:5433, db2:5433"),
        ("postgresql://ada@/crm?host=/run/postgresql", "/run/postgresql:5432"),
        ("postgresql://ada@/crm", "the local socket:5432"),
    ],
)
def test_the_server_as_messages_show_it(url: str, shown: str) -> None:
    assert format_server(parse_database_url("WAREHOUSE_URL", url)) == shown
