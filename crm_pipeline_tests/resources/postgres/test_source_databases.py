"""`crm-pipeline sample --to`: made-up clubs in databases of a PostgreSQL server, and the settings that name them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import NullPool, create_engine, make_url

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.sample import generate_sample
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.console import assert_one_clear_line, here
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.input.sample_files import TABLES, read
from crm_pipeline_tests.fixtures.worlds.world import AS_OF

SIZE = {"tenants": 2, "people": 60, "events": 900, "seed": 4}
ASKED = [word for name, value in SIZE.items() for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def server(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with copied(blank, tmp_path_factory.mktemp("server") / "home") as home:
        yield EmbeddedPostgres(home)


@pytest.fixture(scope="module")
def printed(server: EmbeddedPostgres) -> list[str]:
    """The lines for a shell."""
    done = here("sample", *ASKED, "--to", server.url("postgres").replace("+psycopg2", ""))
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[-1].endswith(" run --home sample-home")
    return done.stdout.splitlines()


def test_the_printed_settings_lead_to_every_row_of_the_sample(printed: list[str], tmp_path: Path) -> None:
    words = [shlex.split(line) for line in printed]
    settings = dict(word.split("=", 1) for command, word in words if command == "export")
    assert settings.pop("CRM_PIPELINE_AS_OF") == "2026-03-31T12:00:00Z"
    assert list(settings) == [f"{service}_SOURCE" for service in Service]
    sources = Sources({service: settings[f"{service}_SOURCE"] for service in Service})
    generate_sample(**SIZE, out=tmp_path, until=AS_OF, faults=0.0)
    counts: dict[str, int] = {}
    for service in Service:
        con = duckdb.connect()
        for name, delivered in sources.read_snapshot(con, service).tables.items():
            [(counts[name],)] = con.execute(f"select count(*) from {delivered.relation}").fetchall()
    assert counts == {table.name: len(read(tmp_path, table)) for table in TABLES}
    assert sum(counts.values()) > 900


def test_databases_that_are_there_are_left_alone(printed: list[str], server: EmbeddedPostgres) -> None:
    assert printed
    done = here("sample", *ASKED, "--to", server.url("postgres"))
    assert_one_clear_line(
        done.exit_code, done.stderr, "has sample_crm, sample_messaging, sample_scl, sample_teetime already"
    )


def test_a_server_that_refuses_is_named_without_the_password(server: EmbeddedPostgres) -> None:
    superuser, owner = make_url(server.url("postgres")), make_url(server.url("crm"))
    drop_databases(server)
    for url, reason in (
        (superuser.set(port=1), "127.0.0.1:1: PostgreSQL: the connection is refused"),
        (superuser.set(password="hunter2"), "the role or its password is wrong"),
        (owner, "the role has not the right to do it (SQLSTATE 42501)"),
    ):
        done = here("sample", *ASKED, "--to", url.render_as_string(hide_password=False))
        assert_one_clear_line(done.exit_code, done.stderr, reason)
        assert str(url.password) not in done.output


@pytest.mark.parametrize("url", ["somewhere", "postgresql://u:hunter2@host:port/db", "mysql://u:hunter2@host/db"])
def test_what_is_no_url_of_postgresql_is_refused(url: str) -> None:
    done = here("sample", *ASKED, "--to", url)
    assert_one_clear_line(done.exit_code, done.stderr, "--to is no database URL such as postgresql://")
    assert not re.search("hunter2", done.output)


def drop_databases(server: EmbeddedPostgres) -> None:
    engine = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for service in Service:
            connection.exec_driver_sql(f"drop database if exists sample_{service.lower()}")
