"""The embedded server starts once, outlives its starter and loses nothing: real servers, processes, signals."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from crm_pipeline.resources.postgres.cluster import DATABASE_OWNERS
from crm_pipeline.resources.postgres.embedded import MAX_LOG_BYTES, EmbeddedPostgres
from crm_pipeline.resources.postgres.programs import EmbeddedPostgresError
from crm_pipeline_tests.fixtures.servers.embedded_servers import ask, kill_server, passwords, postmaster, starter


def command_lines() -> set[str]:
    lines = set()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.add(process.read_text(errors="replace").replace("\0", " "))
        except OSError:
            continue
    return lines


def kill_outright(server: EmbeddedPostgres) -> None:
    kill_server(server)
    while server.is_running():
        time.sleep(0.01)


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Every command line there was while the shared server was made."""
    return set()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, seen: set[str]) -> Iterator[EmbeddedPostgres]:
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    server = EmbeddedPostgres(closed / 'Zürich\'s "home" $HOME `x`')
    both = [starter(server.home) for _ in range(2)]
    while any(process.poll() is None for process in both):
        seen |= command_lines()
    assert [process.communicate()[0] for process in both] == ["started\n"] * 2
    ask(server.url("crm"), "create table kept as select 42 as answer")
    yield server
    server.stop()


@pytest.fixture
def server(shared: EmbeddedPostgres) -> EmbeddedPostgres:
    shared.start()
    return shared


def test_two_who_start_at_once_get_one_server_that_outlives_them(shared: EmbeddedPostgres) -> None:
    log = (shared.home / "postgres/server.log").read_text()
    assert [log.count(line) for line in ("creating subdirectories", "ready to accept connections")] == [1, 1]
    assert shared.is_running()
    assert ask(shared.url("crm"), "select answer from kept") == 42


def test_passwords_are_in_one_private_file_only(server: EmbeddedPostgres, seen: set[str]) -> None:
    log = (server.home / "postgres/server.log").read_text()
    everything = "\n".join([log, *seen, *command_lines()])
    assert "postgres" in everything
    assert len(set(passwords(server))) == 3
    assert not [password for password in passwords(server) if password in everything]


def test_a_log_that_has_grown_large_begins_anew_while_the_server_runs(server: EmbeddedPostgres) -> None:
    log = server.home / "postgres/server.log"
    with log.open("a") as lines:
        lines.write("x" * (MAX_LOG_BYTES + 1))
    server.start()
    assert log.stat().st_size == 0
    assert server.is_running()


def test_files_are_closed_to_others(server: EmbeddedPostgres) -> None:
    folder = server.home / "postgres"
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}
    files = dict.fromkeys(("access.json", "server.log", "turn.lock"), "0o600")
    assert modes == {**files, "data": "0o700"}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_starting_again_changes_nothing(server: EmbeddedPostgres) -> None:
    before = postmaster(server), server.url("crm")
    server.start()
    EmbeddedPostgres(server.home).start()
    assert (postmaster(server), server.url("crm")) == before


def test_stop_and_start_again(server: EmbeddedPostgres) -> None:
    server.stop()
    server.stop()
    assert not server.is_running()
    server.start()
    assert ask(server.url("crm"), "select answer from kept") == 42


def test_data_survive_the_sudden_death_of_the_server(server: EmbeddedPostgres) -> None:
    ask(server.url("crm"), "create table late as select 7 as answer")
    kill_outright(server)
    server.start()
    assert ask(server.url("crm"), "select answer from late") == 7


def test_the_process_id_of_another_process_is_not_trusted(server: EmbeddedPostgres) -> None:
    file = server.home / "postgres/data/postmaster.pid"
    content = file.read_text().replace(str(postmaster(server)), str(os.getpid()), 1)
    server.stop()
    file.write_text(content)
    server.stop()
    assert not server.is_running()
    server.start()
    assert ask(server.url("crm"), "select answer from kept") == 42


def test_a_taken_port_is_left_to_its_owner(server: EmbeddedPostgres) -> None:
    server.stop()
    before = make_url(server.url("crm")).port
    with socket.create_server(("127.0.0.1", before or 0)):
        server.start()
        assert ask(server.url("crm"), "select answer from kept") == 42
    after = make_url(server.url("crm")).port
    assert after != before
    server.stop()
    server.start()
    assert make_url(server.url("crm")).port == after


def test_the_end_of_its_starter_does_not_end_it(server: EmbeddedPostgres) -> None:
    server.stop()
    for sign in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
        process = starter(server.home, seconds=600, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.killpg(process.pid, sign)
        process.communicate()
        assert server.is_running()


def test_lost_passwords_are_an_error_at_once(server: EmbeddedPostgres) -> None:
    file = server.home / "postgres/access.json"
    aside = file.rename(file.with_suffix(".aside"))
    with pytest.raises(EmbeddedPostgresError, match="passwords are lost"):
        server.start()
    assert not server.is_running()
    aside.rename(file)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"port": "x", "passwords": {}}', '{"passwords": 7}', '{"other": 1}']
)
def test_damaged_passwords_are_one_line_that_quotes_none(server: EmbeddedPostgres, text: str) -> None:
    file = server.home / "postgres/access.json"
    good = file.read_text()
    file.write_text(text)
    with pytest.raises(EmbeddedPostgresError, match=r"^[^\n]+access\.json is damaged$"):
        server.start()
    file.write_text(good)


def test_a_home_that_never_had_a_server(tmp_path: Path) -> None:
    never = EmbeddedPostgres(tmp_path / "never")
    never.stop()
    assert not never.is_running()
    with pytest.raises(EmbeddedPostgresError, match="not started yet"):
        never.url("crm")
    assert not never.home.exists()


def test_making_a_server_can_be_interrupted(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    process = starter(tmp_path)
    while not (tmp_path / "postgres/data.new/PG_VERSION").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not (tmp_path / "postgres/data").exists()
    server.start()
    assert [ask(server.url(database), "select 1") for database in DATABASE_OWNERS] == [1, 1]
    server.stop()
