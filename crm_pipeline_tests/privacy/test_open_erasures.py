"""Erasures that cannot end at once: each stays open, says why, and is complete after the next upkeep."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from crm_pipeline.cli import main
from crm_pipeline.cli.options import override_environment
from crm_pipeline.resources.connections import open_warehouse
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.privacy import warehouse_erasure
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline_tests.fixtures.homes.erasures import forgotten, money
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import run_job, said
from crm_pipeline_tests.fixtures.homes.small_disk import full_disk, needs_mount, own_disk
from crm_pipeline_tests.fixtures.homes.support import clean_environment, refresh
from crm_pipeline_tests.fixtures.servers.embedded_servers import kill_server
from crm_pipeline_tests.fixtures.worlds.zephyrine import CLUB, EMAIL, KEY, find_words, traces, write_clubs

FORGET = ("forget", "--tenant", CLUB, "--email", EMAIL, "--yes")
ROOMS_ON_DISK: Final = (0, 1_000_000, 10_000_000)
"""Bytes: for nothing, for the lake's files, for some of the tables too."""
FULL_DISK: Final = re.compile("disk is full|No space left on device|the connection (fails|broke)")
"""The last where the server's own log has no room: it gives up and starts again."""
FIRST, SECOND = "2026-03-31T12:00:00Z", "2026-04-02T12:00:00Z"


@pytest.fixture(scope="module")
def refreshed(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home, stopped, in which both clubs were refreshed twice."""
    folder = tmp_path_factory.mktemp("open")
    with copied(blank, folder / "home") as home:
        for is_later, as_of in ((False, FIRST), (True, SECOND)):
            write_clubs(folder / "services", is_later=is_later)
            assert refresh(home, folder / "services", as_of=as_of).failures == []
        EmbeddedPostgres(home).stop()
        yield home


@pytest.fixture
def home(refreshed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(warehouse_erasure, "SNAPSHOT_TIMEOUT_SECONDS", 0.0)
    with copied(refreshed, tmp_path / "home") as copy:
        yield copy


def upkeep(home: Path, key: str = KEY) -> dg.ExecuteInProcessResult:
    """The result of a run of the daily job."""
    return run_job(home, "lake_upkeep", ERASURE_KEY=key)


def is_open(home: Path) -> bool:
    return (home / "lake" / "_pending_erasures").exists()


def superuser(home: Path, database: str = "crm") -> Engine:
    return create_engine(make_url(EmbeddedPostgres(home).url("postgres")).set(database=database), poolclass=NullPool)


@contextmanager
def old_snapshot(home: Path) -> Iterator[None]:
    """Keeps a transaction of somebody else's open that sees everything as it was before, and locks no table."""
    with superuser(home).connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("select 1"))
        yield


def test_with_a_foreign_snapshot_it_stays_open_and_the_next_upkeep_completes_it(home: Path) -> None:
    with old_snapshot(home):
        certificate = forgotten(home, "email", EMAIL)
        left = {place["place"]: place["left"] for place in certificate["places"] if place["left"]}
        assert not certificate["is_complete"]
        assert left["warehouse: sessions that still see what was deleted"] == 1
        assert is_open(home)
        again = upkeep(home)
        assert not again.success
        assert said(again).startswith("people who are to be forgotten are still there: something is left")
        assert is_open(home)
    assert upkeep(home).success
    assert not is_open(home)
    assert traces(home) == {}


def test_an_analyze_of_the_whole_database_leaves_no_statistics_of_her(home: Path) -> None:
    with superuser(home).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("set default_statistics_target = 10000"))
        connection.execute(text("analyze"))
    assert forgotten(home, "email", EMAIL)["is_complete"]
    assert traces(home) == {}


def test_it_waits_for_a_refresh_that_runs(home: Path) -> None:
    with clean_environment():
        warehouse = open_warehouse(override_environment(home))
    certificates: list[dict[str, Any]] = []
    with hold_tenants(warehouse, "refresh", [CLUB], lambda _: None):
        waiting = threading.Thread(target=lambda: certificates.append(forgotten(home, "email", EMAIL)))
        waiting.start()
        waiting.join(3)
        assert waiting.is_alive()
    waiting.join()
    assert certificates[0]["is_complete"]
    assert traces(home) == {}


@pytest.mark.parametrize("place", ["warehouse: files", "write-ahead log"])
def test_when_the_server_is_killed_the_next_upkeep_completes_it(
    home: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"warehouse: files": "rewrite_tables", "write-ahead log": "delete_wal_segments"}[place]
    original = getattr(warehouse_erasure, name)

    def kill_server_first(*arguments: object) -> None:
        kill_server(EmbeddedPostgres(home))
        original(*arguments)

    monkeypatch.setattr(warehouse_erasure, name, kill_server_first)
    with pytest.raises(Exception, match=r"connection|server"):
        forgotten(home, "email", EMAIL)
    monkeypatch.setattr(warehouse_erasure, name, original)
    assert is_open(home)
    assert upkeep(home).success
    assert not is_open(home)
    assert traces(home) == {}


@needs_mount
@pytest.mark.parametrize("room", ROOMS_ON_DISK)
def test_with_a_full_disk_it_says_so_and_the_next_upkeep_completes_it(
    refreshed: Path, tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warehouse_erasure, "SNAPSHOT_TIMEOUT_SECONDS", 0.0)
    with own_disk(tmp_path / "disk") as disk, copied(refreshed, disk / "home") as home:
        with full_disk(disk, room), clean_environment(ERASURE_KEY=KEY):
            result = CliRunner().invoke(main, [*FORGET, "--home", str(home)])
        reason = result.stderr.splitlines()[-1]
        assert (result.exit_code, bool(FULL_DISK.search(reason))) == (1, True), result.stderr
        assert find_words(reason.encode()) == set()
        if is_open(home):
            assert upkeep(home).success
        else:
            assert forgotten(home, "email", EMAIL)["is_complete"]
        assert not is_open(home)
        assert traces(home) == {}


def test_with_another_key_it_stays_open_and_says_so(home: Path) -> None:
    with old_snapshot(home):
        forgotten(home, "email", EMAIL)
    refused = upkeep(home, key="another key of a sufficient length")
    assert not refused.success
    assert "ERASURE_KEY" in said(refused)
    assert is_open(home)
    assert upkeep(home).success
    assert traces(home) == {}


def test_a_closed_club_has_her_money_without_another_publication(home: Path, tmp_path: Path) -> None:
    services = tmp_path / "services"
    write_clubs(services, is_later=True, status="CLOSED")
    assert refresh(home, services, as_of="2026-04-03T12:00:00Z", ERASURE_KEY=KEY).failures == []
    before = money(home)
    assert forgotten(home, "email", EMAIL)["is_complete"]
    assert money(home) == before
    assert traces(home) == {}
