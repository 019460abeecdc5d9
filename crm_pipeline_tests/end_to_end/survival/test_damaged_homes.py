"""Any file of a home damaged: the next run repairs it, or says in one line what is wrong and publishes nothing."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy.exc import DBAPIError

from crm_pipeline.faults import describe_error
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.locking import LOCK_TIMEOUT_SECONDS
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.reconcile import find_differences
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.moving_home import (
    Clock,
    assert_names_nobody,
    list_profiles,
    read_published,
    refresh_here,
    refreshing,
)
from crm_pipeline_tests.fixtures.homes.soak import SOAK

CASES: Final = 200 if SOAK else 5
KINDS: Final = ("truncated", "deleted", "swapped", "zeroed", "older copy")
WAIT_SECONDS: Final = LOCK_TIMEOUT_SECONDS + 300
"""A run waits so long for whoever holds what it needs, and then says so."""
Published = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class History:
    """A stopped home after two hours, a copy after the first, and what is published after the second and third."""

    home: Path
    earlier: Path
    clock: Clock
    before: Published
    after: Published


@pytest.fixture(scope="module")
def history(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("damaged")
    clock = Clock(folder / "services")
    with copied(blank, folder / "home") as home:
        refresh_here(home, clock)
        copy_stopped(home, folder / "earlier")
        EmbeddedPostgres(home).start()
        clock.pass_hour(list_profiles(home))
        refresh_here(home, clock)
        before = read_published(home)
        clock.pass_hour(list_profiles(home))
        copy_stopped(home, folder / "later")
        with copied(folder / "later", folder / "undisturbed") as undisturbed:
            refresh_here(undisturbed, clock)
            after = read_published(undisturbed)
        yield History(folder / "later", folder / "earlier", clock, before, after)


def copy_stopped(home: Path, copy: Path) -> None:
    EmbeddedPostgres(home).stop()
    subprocess.run(["cp", "-a", str(home), str(copy)], check=True)  # noqa: S607


@pytest.mark.parametrize("case", range(CASES))
def test_a_damaged_file_is_repaired_or_named_and_nothing_wrong_is_published(
    history: History, case: int, tmp_path: Path
) -> None:
    chance = Random(case)
    home = tmp_path / "home"
    subprocess.run(["cp", "-a", str(history.home), str(home)], check=True)  # noqa: S607
    kind = KINDS[case % len(KINDS)]
    file = choose_file(home, history.earlier, kind, chance)
    damaged = damage(file, kind, history.earlier / file.relative_to(home), chance)
    with refreshing(home, history.clock) as command:
        exit_code, said = command.wait(WAIT_SECONDS)
    try:
        assert "Traceback" not in said, said
        assert_names_nobody(said, history.clock)
        if exit_code:
            assert len([line for line in said.splitlines() if line.startswith(("Error: ", "failed "))]) == 1, said
            EmbeddedPostgres(home).stop()
            for each in damaged:
                subprocess.run(["cp", "-a", str(history.home / each.relative_to(home)), str(each)], check=True)  # noqa: S607
            EmbeddedPostgres(home).start()
            assert read_published(home) == history.before
        else:
            assert_published_or_refused(home, history.after)
    finally:
        EmbeddedPostgres(home).stop()


def assert_published_or_refused(home: Path, expected: Published) -> None:
    """Asserts that these rows are published, or cannot be read and the nightly comparison says what is damaged.

    The hour may have had nothing to read in the damaged file.
    """
    try:
        published = read_published(home)
    except DBAPIError:
        with pytest.raises(Exception) as found:  # noqa: PT011  which library reports it is chance
            find_differences(Lake(str(home / "lake"), home / "spill"), Warehouse(EmbeddedPostgres(home).url("crm")))
        assert "is damaged" in describe_error(found.value)
    else:
        assert published == expected


def choose_file(home: Path, earlier: Path, kind: str, chance: Random) -> Path:
    """Returns a file of the home, small and large folders alike; one that was another before for an older copy.

    A page of a table that PostgreSQL itself cannot tell from the right one is no case: nobody can.
    """
    folders = [home, home / "lake", home / "dagster", home / "postgres"]
    folder = chance.choice(folders)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)
    if kind in ("older copy", "swapped"):
        files = [file for file in files if "base" not in file.relative_to(home).parts]
    if kind == "older copy":
        files = [
            file
            for file in files
            if (copy := earlier / file.relative_to(home)).is_file() and copy.read_bytes() != file.read_bytes()
        ] or [home / "lake" / "tables.json"]
    return chance.choice(files)


def damage(file: Path, kind: str, older: Path, chance: Random) -> list[Path]:
    """Damages the file; returns it, and the one it was swapped with."""
    content, damaged = file.read_bytes(), [file]
    if kind == "deleted":
        file.unlink()
    elif kind == "truncated":
        file.write_bytes(content[: chance.randrange(len(content))])
    elif kind == "zeroed":
        file.write_bytes(bytes(len(content)))
    elif kind == "older copy":
        shutil.copyfile(older, file)
    else:
        others = [other for other in file.parent.iterdir() if other.is_file() and other != file]
        if others:
            other = chance.choice(sorted(others))
            swapped = other.read_bytes()
            other.write_bytes(content)
            file.write_bytes(swapped)
            damaged.append(other)
    return damaged
