"""Identities are stored completely or not at all: runs that end between two commits leave no trace."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from crm_pipeline.defs import resources
from crm_pipeline.resources.lake.lake import ChangeCounts, Lake
from crm_pipeline.steps.identities.resolution import RESOLVED_RELATIONS
from crm_pipeline.tables.outputs.identity import kept_identities, profile_ids
from crm_pipeline_tests.fixtures.histories.hours import State, store_hour, stored
from crm_pipeline_tests.fixtures.homes.changed_identities import NOON, ONE, TWO, present, share_keys, untouched
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, refresh
from crm_pipeline_tests.fixtures.worlds.identity_worlds import T, world
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person, World
from crm_pipeline_tests.fixtures.worlds.random_worlds import worlds

ANN = Person("SCL", "1", None, "ann@x.example", "+1", "ann", "lee")
ANNS = Person("TEETIME", "p", None, "ann@x.example", None, "ann", "lee")
BOB = Person("MESSAGING", "c", None, "bob@x.example", "+2", "bob", "lee")
LEAD = Person("CRM", "l", None, "lead@x.example", "+2", "rob", "lee")
KIM = Person("SCL", "2", None, "kim@x.example", None, "kim", "lee")
BEFORE = world(ANN, ANNS, BOB, LEAD)
CRASHED = world(ANN._replace(email="new@x.example"), ANNS, BOB._replace(email="new@x.example", phone_number=None), KIM)
AFTER = world(ANNS, BOB, LEAD._replace(email="ann@x.example"), KIM)
COMMITS = tuple(table.name for table in (kept_identities, *RESOLVED_RELATIONS, kept_identities))
"""In the order of a run; the first changes something only where a run before it ended half-way."""
WHOLE = len(COMMITS)
Hour = tuple[Mapping[str, World], int | None]


class AbortError(Exception):
    """Ends a run in these tests."""


def _raise() -> None:
    raise AbortError


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class EndingLake(Lake):
    """A lake whose process ends once it has replaced so many tables."""

    last: int
    end: Callable[[], None] = _raise
    replaced: list[str] = field(default_factory=list)

    def replace(self, *args: Any, **kwargs: Any) -> ChangeCounts:  # noqa: ANN401  whatever the lake's own takes
        changes = super().replace(*args, **kwargs)
        self.replaced.append(args[1].name)
        if len(self.replaced) == self.last:
            self.end()
        return changes


def lake_in(folder: Path) -> Lake:
    return Lake(str(folder / "lake"), folder / "spill")


def after(folder: Path, hours: Sequence[Hour | None]) -> State:
    """Returns what is stored after these hours, each a run that may end after some commit; None: no run."""
    for hour, ran in enumerate(hours):
        if ran:
            some, last = ran
            lake = lake_in(folder)
            with suppress(AbortError):
                store_hour(EndingLake(lake.url, lake.spill, last) if last else lake, some, hour)
    return stored(lake_in(folder))


def test_the_commits_of_an_hour(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    watched = EndingLake(lake.url, lake.spill, 0)
    store_hour(watched, {T: BEFORE}, 0)
    assert tuple(watched.replaced) == COMMITS
    assert COMMITS[-2:] == ("profile_ids", "kept_identities"), "whoever has ids has the rest"


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory) -> State:
    """What is stored without the second of three hours."""
    return after(tmp_path_factory.mktemp("never"), [({T: BEFORE}, None), None, ({T: AFTER}, None)])


def test_a_run_that_did_not_end_leaves_a_trace(tmp_path: Path, never: State) -> None:
    assert never != after(tmp_path, [({T: BEFORE}, None), ({T: CRASHED}, None), ({T: AFTER}, None)])


@pytest.mark.parametrize("last", range(1, WHOLE))
def test_one_that_ended_after_a_commit_might_as_well_never_have_been(tmp_path: Path, last: int, never: State) -> None:
    assert after(tmp_path, [({T: BEFORE}, None), ({T: CRASHED}, last), ({T: AFTER}, None)]) == never


@pytest.fixture(scope="module")
def last_hour_alone(tmp_path_factory: pytest.TempPathFactory) -> State:
    return after(tmp_path_factory.mktemp("alone"), [None, ({T: AFTER}, None)])


@pytest.mark.parametrize("last", range(1, WHOLE - 1))
def test_so_might_a_clubs_very_first_run(tmp_path: Path, last: int, last_hour_alone: State) -> None:
    assert after(tmp_path, [({T: BEFORE}, last), ({T: AFTER}, None)]) == last_hour_alone


def test_a_first_run_with_all_tables_stored_counts_without_committed_versions(tmp_path: Path, never: State) -> None:
    both = after(tmp_path / "both", [({T: BEFORE}, None), ({T: AFTER}, None)])
    assert after(tmp_path / "ended", [({T: BEFORE}, WHOLE - 1), ({T: AFTER}, None)]) == both
    twice = [({T: BEFORE}, WHOLE - 1), ({T: CRASHED}, WHOLE - 1), ({T: AFTER}, None)]
    assert after(tmp_path / "twice", twice) == never


def test_a_process_killed_between_two_commits(tmp_path: Path, never: State) -> None:
    lake = lake_in(tmp_path)
    store_hour(lake, {T: BEFORE}, 0)
    command = [sys.executable, "-m", __name__, lake.url, str(lake.spill)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert stored(lake)["profile_events"] != never["profile_events"]
    assert store_hour(lake, {T: AFTER}, 2) == [T]
    assert stored(lake) == never


def test_only_the_clubs_of_the_run_that_ended_are_restored(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    store_hour(lake, {"one": BEFORE, "two": BEFORE}, 0)
    with pytest.raises(AbortError):
        store_hour(EndingLake(lake.url, lake.spill, WHOLE - 1), {"one": CRASHED}, 1)
    assert store_hour(lake, {"two": AFTER}, 2) == []
    assert store_hour(lake, {"one": AFTER, "two": AFTER}, 3) == ["one"]
    assert store_hour(lake, {"one": AFTER, "two": AFTER}, 4) == []


def test_a_second_run_commits_nothing(tmp_path: Path) -> None:
    lake = lake_in(tmp_path)
    store_hour(lake, {T: BEFORE}, 0)
    files = sorted((tmp_path / "lake").rglob("*"))
    store_hour(lake, {T: BEFORE}, 1)
    assert sorted((tmp_path / "lake").rglob("*")) == files


class FullLake(Lake):
    """A lake without room for profile ids."""

    def replace(self, con: Any, table: Table, incoming: str, **how: Any) -> ChangeCounts:  # noqa: ANN401  the lake's own
        if table is profile_ids:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().replace(con, table, incoming, **how)


@pytest.mark.skipif(not SOAK, reason="half a minute of whole runs: make soak")
def test_a_whole_run_an_hour_after_one_that_failed(
    refreshed: Path, services: Path, first_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_keys(services)
    with monkeypatch.context() as patched:
        patched.setattr(resources, "open_lake", lambda settings: FullLake(settings.lake_url, settings.home / "spill"))
        assert "No space left on device" in refresh(refreshed, services, as_of=ONE).failures[0]
    assert refresh(refreshed, as_of=TWO).failures == []
    assert present(refreshed) == untouched(first_run, tmp_path, TWO)
    assert ask(refreshed, f"select count(*) from crm.profile_events where occurred_at > '{NOON}'") == [(0,)]


ENDED = st.tuples(worlds(6).map(lambda some: {T: some}), st.integers(1, WHOLE + 4))
COMPLETED = st.tuples(worlds(6).map(lambda some: {T: some}), st.none())


@settings(max_examples=300 if SOAK else 2, deadline=None, database=None)
@given(st.lists(st.one_of(COMPLETED, ENDED), max_size=2), ENDED, st.lists(ENDED, max_size=1), COMPLETED)
def test_whatever_ended_when_the_next_whole_run_finds_some_history_of_whole_runs(
    before: list[Hour], ended: Hour, also: list[Hour], last: Hour
) -> None:
    """Each run that ended early either left no trace or had stored everything. A rollback can end early too."""
    hours = [*before, ended, *also, last]
    with TemporaryDirectory() as folder:
        found = after(Path(folder) / "found", hours)
        choices = product(*([(some, None)] if end is None else [None, (some, None)] for some, end in hours))
        assert any(after(Path(folder) / str(i), choice) == found for i, choice in enumerate(choices))


if __name__ == "__main__":
    store_hour(EndingLake(sys.argv[1], Path(sys.argv[2]), WHOLE - 2, _kill), {T: CRASHED}, 1)
