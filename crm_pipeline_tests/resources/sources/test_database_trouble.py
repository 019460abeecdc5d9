"""Errors of a service's database: those that may pass are tried again, others are reported at once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from itertools import repeat

import pytest
from sqlalchemy import Engine, create_engine

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.sources import database
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.input.delivered import a_connection

NO_URL = (
    "CRM_SOURCE is no database URL such as postgresql://role:password@host:5432/database;"
    " in a role or a password, @ is written %40, / is %2F and : is %3A"
)


@pytest.fixture
def engine(server: EmbeddedPostgres) -> Iterator[Engine]:
    engine = create_engine(server.url("crm"), isolation_level="AUTOCOMMIT")
    source_metadata.create_all(engine, [crm.tenant])
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", (0.1, 0.1))


def one_attempt() -> Iterator[float]:
    """Delays of a database that must not be read twice."""
    yield 0.0
    pytest.fail("a fault that does not pass is tried again")


def url_of(engine: Engine, password: str | None = None) -> str:
    return engine.url.set(password=password or engine.url.password).render_as_string(hide_password=False)


def read(url: str) -> str:
    """Returns the error of reading the tenants, empty without one."""
    try:
        with closing(a_connection()) as con:
            Sources({Service.CRM: url}).read_snapshot(con, Service.CRM, only_table=crm.tenant)
    except SourceError as error:
        return str(error)
    return ""


def test_a_server_that_comes_back_in_time_was_never_away(
    server: EmbeddedPostgres, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", repeat(0.2, 6000))
    engine.dispose()
    server.stop()
    with ThreadPoolExecutor() as meanwhile:
        reading = meanwhile.submit(read, url_of(engine))
        time.sleep(0.5)
        server.start()
        assert reading.result() == ""


def test_a_server_that_stays_away_is_named_after_three_attempts(
    server: EmbeddedPostgres, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", (0.1, 0.3))
    engine.dispose()
    server.stop()
    before = time.monotonic()
    assert read(url_of(engine)) == "CRM: the database on 127.0.0.1 does not answer: the connection is refused"
    assert time.monotonic() - before > 0.4


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (
            "postgresql://ada:hunter2@127.0.0.1:1/x",
            "the database on 127.0.0.1 does not answer: the connection is refused",
        ),
        (
            "postgres://ada:hunter2@127.0.0.1:1/x",
            "the database on 127.0.0.1 does not answer: the connection is refused",
        ),
        (
            "postgresql+psycopg2://ada:hunter2@no-host.invalid/x",
            "the database on no-host.invalid does not answer: the host is not known",
        ),
        (
            "postgresql+psycopg://ada:hunter2@no-host.invalid/x",
            "the database on no-host.invalid does not answer: the host is not known",
        ),
        ("postgresql://ada:or@hunter2@no-host.invalid/x", NO_URL),
        ("postgresql://ada:hunter2@127.0.0.1/x?nonsense=1", NO_URL),
        ("postgresql://ada:hunter2@127.0.0.1:port/x", NO_URL),
        ("postgresql://ada:hunter2@[::1/x", NO_URL),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_without_its_password(
    url: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", (0.1, 0.1))
    message = read(url)
    assert message == f"CRM: {fault}"


def test_a_wrong_password_is_not_tried_again_nor_printed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", one_attempt())
    fault = read(url_of(engine, password="open-sesame"))
    assert fault == "CRM: the database on 127.0.0.1 does not answer: the role or its password is wrong"


def test_a_query_that_takes_too_long_is_given_up(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", one_attempt())
    monkeypatch.setitem(database.TIMEOUTS, "statement_timeout", "2s")
    columns = ", ".join(f'null::text as "{column.name}"' for column in crm.tenant.columns)
    with engine.connect() as connection:
        connection.exec_driver_sql('drop table "Tenant"')
        connection.exec_driver_sql(f'create view "Tenant" as select {columns} from pg_sleep(600)')
    assert read(url_of(engine)) == 'CRM: table "Tenant" cannot be read: the query took too long, or was cancelled'


def test_an_error_about_a_value_quotes_none(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", one_attempt())
    columns = ", ".join(f'null::text as "{column.name}"' for column in crm.tenant.columns if column.name != "id")
    with engine.connect() as connection:
        connection.exec_driver_sql('drop table "Tenant"')
        value = "('jean@example.org' || random())::int"
        connection.exec_driver_sql(f'create view "Tenant" as select {value} as id, {columns}')
    assert read(url_of(engine)) == 'CRM: table "Tenant" cannot be read: PostgreSQL reports SQLSTATE 22P02'


def test_a_function_that_resets_the_timeouts_and_catches_a_cancellation_meets_a_deadline(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_DELAYS", one_attempt())
    monkeypatch.setattr(database, "READING_DEADLINE", timedelta(seconds=3))
    monkeypatch.setitem(database.TIMEOUTS, "statement_timeout", "1s")
    columns = ", ".join(f'null::text as "{column.name}"' for column in crm.tenant.columns)
    with engine.connect() as connection:
        connection.exec_driver_sql("""
            create function linger() returns int language plpgsql volatile as $$ begin
                perform set_config('statement_timeout', '0', false);
                begin perform pg_sleep(600); exception when query_canceled then perform pg_sleep(600); end;
                return 1;
            end $$""")
        connection.exec_driver_sql('drop table "Tenant"')
        connection.exec_driver_sql(f'create view "Tenant" as select {columns} from linger()')
    assert read(url_of(engine)) == "CRM: the database takes longer than 0.05 minutes to read"


def test_a_table_that_is_being_altered_is_waited_for_and_then_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database.TIMEOUTS, "lock_timeout", "100ms")
    monkeypatch.setattr(database, "RETRY_DELAYS", (0.1, 0.1))
    with engine.connect() as connection, connection.execution_options(isolation_level="READ COMMITTED").begin():
        connection.exec_driver_sql('lock table "Tenant" in access exclusive mode')
        assert read(url_of(engine)) == 'CRM: table "Tenant" cannot be read: it is locked'
    assert read(url_of(engine)) == ""
