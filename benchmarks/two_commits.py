"""This tree next to an earlier commit, on the same services: `python -m benchmarks.two_commits COMMIT [--people N]`.

Each has a home of its own: two first runs, of which the second is kept, then in turn hours in which nothing changed and
hours in which 0.1 % of every service table's rows did, three of each kind. Who goes first alternates. A machine's
seconds vary by more than what is asked for, so the CPU seconds of the process stand beside them.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from sqlalchemy import create_engine

from benchmarks.observed import Observed, prepared, run
from benchmarks.results import AT_MOST, PLACE, Row, keep
from benchmarks.services import HOURS, Size, change, databases, execute, sample_of
from benchmarks.whole import ASKED_FROM, CHANGED, FIRST, QUIET, SHARE_CHANGED, TENANTS
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres

ROOT: Final = Path(__file__).parents[1]
EVENTS_PER_PERSON, ROUNDS = 3, 3
MOST_TIMES_THE_COMMIT: Final = 1.03
THIS_TREE: Final = "this tree"


class Contestant(NamedTuple):
    """A tree of the code and the home it keeps."""

    name: str
    tree: Path
    home: Path

    def start_anew(self) -> None:
        """Deletes the home, and makes its server and starts it."""
        if self.home.exists():
            EmbeddedPostgres(self.home).stop()
            shutil.rmtree(self.home)
        prepared(self.home)

    def run(self, kind: str, sources: Mapping[str, str], as_of: str) -> Observed:
        """One refresh, told on standard output as soon as it has ended."""
        found = run(self.home, {**sources, "PYTHONPATH": str(self.tree)}, as_of)
        steps = ", ".join(f"{name} {seconds}" for name, seconds in found.steps.items())
        sys.stdout.write(f"{self.name}, {kind}: {found.seconds:.1f} s, CPU {found.cpu:.1f} s: {steps}\n")
        sys.stdout.flush()
        return found


def main() -> None:
    """Measure, keep and print; exits with 1 where this tree takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--people", type=int, default=10_000)
    given = parser.parse_args()
    size = Size(given.people, given.people * EVENTS_PER_PERSON, TENANTS)
    folders = sample_of(size)
    with tempfile.TemporaryDirectory(dir=PLACE) as name, databases(Path(name) / "services", folders) as sources:
        folder = Path(name)
        clone_commit(given.commit, folder / "tree")
        pair = (
            Contestant(given.commit, folder / "tree", folder / "theirs"),
            Contestant(THIS_TREE, ROOT, folder / "ours"),
        )
        try:
            found = race(pair, sources)
        finally:
            for contestant in pair:
                EmbeddedPostgres(contestant.home).stop()
    sys.exit(not keep(__spec__.name, compare(size.people, given.commit, found), size.people))


def clone_commit(commit: str, tree: Path) -> None:
    """Creates a clone of this repository at the commit."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tree)], check=True)  # noqa: S603, S607
    subprocess.run(["git", "-C", str(tree), "checkout", "--quiet", commit], check=True)  # noqa: S603, S607


def race(pair: tuple[Contestant, Contestant], sources: Mapping[str, str]) -> dict[tuple[str, str], list[Observed]]:
    """All runs of each kind and contestant, in the order they were made."""
    found: dict[tuple[str, str], list[Observed]] = {}
    for place, (kind, as_of) in enumerate(plan()):
        if kind == CHANGED:
            change(dict(sources), as_of, SHARE_CHANGED)
        for contestant in pair if place % 2 else reversed(pair):
            if kind == FIRST:
                contestant.start_anew()
            found.setdefault((kind, contestant.name), []).append(contestant.run(kind, sources, as_of))
            if kind == FIRST:
                settle(contestant.home)
    return found


def plan() -> list[tuple[str, str]]:
    """The kind and the time of each run."""
    first = datetime.fromisoformat(HOURS[0])
    hours = [(kind, first + timedelta(hours=1 + hour)) for hour, kind in enumerate((QUIET, CHANGED) * ROUNDS)]
    return [(kind, f"{at:%Y-%m-%dT%H:%M:%SZ}") for kind, at in [(FIRST, first), (FIRST, first), *hours]]


def settle(home: Path) -> None:
    """Do what autovacuum would do in the middle of what is measured next."""
    engine = create_engine(EmbeddedPostgres(home).url("crm"))
    execute(engine, "vacuum analyze")
    engine.dispose()


def compare(people: int, commit: str, found: Mapping[tuple[str, str], list[Observed]]) -> list[Row]:
    """The median seconds of each kind of run next to the commit's, then its CPU seconds and memory."""
    rows = []
    for kind in (FIRST, QUIET, CHANGED):
        ours, theirs = found[kind, THIS_TREE], found[kind, commit]
        required = MOST_TIMES_THE_COMMIT if people >= ASKED_FROM else None
        for name, seconds in (("", attrgetter("seconds")), (", CPU", attrgetter("cpu"))):
            figures = median(map(seconds, ours)), commit, median(map(seconds, theirs))
            peak = max(run.peak_mb for run in ours)
            rows.append(Row(f"{kind}{name}", people, "people", *figures, AT_MOST, required, peak))
    return rows


if __name__ == "__main__":
    main()
