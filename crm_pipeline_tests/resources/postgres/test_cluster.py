"""What a new embedded server has: databases closed to each other's owners, durable settings, a log without secrets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from crm_pipeline.resources.postgres import cluster
from crm_pipeline.resources.postgres.cluster import DATABASE_OWNERS
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres, start_embedded_postgres
from crm_pipeline.resources.postgres.programs import EmbeddedPostgresError
from crm_pipeline_tests.fixtures.homes.support import stopped_afterwards
from crm_pipeline_tests.fixtures.servers.embedded_servers import ask


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One as it is made, without what spares the disk of other tests."""
    with stopped_afterwards(tmp_path_factory.mktemp("cluster")) as home:
        yield start_embedded_postgres(home)


@pytest.mark.parametrize("database", DATABASE_OWNERS)
def test_each_role_owns_its_database_and_reaches_no_other(server: EmbeddedPostgres, database: str) -> None:
    own = make_url(server.url(database))
    assert own.username == DATABASE_OWNERS[database]
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = current_database()"
    assert ask(own.render_as_string(hide_password=False), owner) == own.username
    for other in {"postgres", "template1", *DATABASE_OWNERS} - {database}:
        with pytest.raises(OperationalError, match="permission denied for database"):
            ask(own.set(database=other).render_as_string(hide_password=False), "select 1")


def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    wrong = make_url(server.url("postgres")).set(password="guess")
    with pytest.raises(OperationalError, match="password authentication failed"):
        ask(wrong.render_as_string(hide_password=False), "select 1")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
        ("timezone", "UTC"),
        ("max_locks_per_transaction", "256"),
    ],
)
def test_settings(server: EmbeddedPostgres, setting: str, value: str) -> None:
    assert ask(server.url("postgres"), f"show {setting}") == value


def test_a_failing_statement_leaves_no_secret_in_the_log(server: EmbeddedPostgres) -> None:
    with pytest.raises(ProgrammingError, match="already exists"):
        ask(server.url("postgres"), "create role crm_pipeline password 'hunter2'")
    log = (server.home / "postgres/server.log").read_text()
    assert "already exists" in log
    assert "hunter2" not in log


def test_a_server_that_cannot_be_made_leaves_no_secret_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "DATABASE_OWNERS", {"crm": cluster.SUPERUSER})
    with (tmp_path / "server.log").open("w+") as log:
        with pytest.raises(EmbeddedPostgresError, match="postgres failed"):
            cluster.create_cluster(log, tmp_path / "data", {cluster.SUPERUSER: "hunter2"})
        log.seek(0)
        said = log.read()
    assert "already exists" in said
    assert "hunter2" not in said
