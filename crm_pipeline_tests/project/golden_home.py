"""Proof that a change of code changes no result: `python -m crm_pipeline_tests.project.golden_home COMMIT`.

The given commit, in a worktree of its own, makes homes (lake, warehouse, Dagster storage) that go through three hours
of changes. The working tree must then publish nothing new on a copy, replay every hour to the same rows, and make the
same of the next hour's changes. Every edit changes the code's hash, so the working tree computes everything anew.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, NullPool, create_engine, text

from crm_pipeline.settings import SAMPLE_FILE
from crm_pipeline_tests.fixtures.histories.moves import MOVES
from crm_pipeline_tests.fixtures.histories.moving_services import MovingServices, delivered, read_services
from crm_pipeline_tests.fixtures.homes.support import SAMPLE

ROOT: Final = Path(__file__).parents[2]
START: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOURS: Final = 3
MOVES_PER_HOUR: Final = 150
RUN_COLUMNS: Final = ("run_id", "lake_id")
"""Columns that differ from run to run whatever the code does."""
NOT_COMPARED: Final = ("publications", "tenant_refreshes", "alembic_version")
Hashes = dict[str, str]


class Golden(NamedTuple):
    """One data set: its folder holds `services/<hour>`, `home` as of the last hour, and `hashes.json`."""

    name: str
    deliver_first: Callable[[Path], MovingServices]


def deliver_sample(folder: Path) -> MovingServices:
    """Copies the committed sample to `folder`."""
    shutil.copytree(SAMPLE, folder)
    return read_services(folder)


def deliver_clubs(folder: Path) -> MovingServices:
    """Writes 20 synthetic clubs with 5,000 people and 100,000 events to `folder`."""
    return delivered(folder, tenants=20, people=5_000, events=100_000, until=START)


GOLDEN: Final = (Golden("sample", deliver_sample), Golden("clubs", deliver_clubs))


class Checkout(NamedTuple):
    """A tree of the code whose command line is run."""

    path: Path

    def run(self, home: Path, hour: int, sources: Path | None, **variables: str) -> str:
        """Refreshes `home` as of the hour; returns what the command printed. Raises RuntimeError where it failed."""
        options = ["run", "--home", str(home), "--as-of", as_of(hour)]
        options += ["--sources", str(sources)] if sources else []
        return self.command(*options, **variables)

    def command(self, *arguments: str, **variables: str) -> str:
        """Returns what `crm-pipeline` prints from this tree, whatever is installed. Raises RuntimeError on failure."""
        given = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-c", "from crm_pipeline.cli import main; main()", *arguments],
            cwd=self.path,
            env={**given, "PYTHONPATH": str(self.path), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.path}: {' '.join(arguments)} failed\n{done.stdout}\n{done.stderr}")
        return done.stdout

    @contextmanager
    def copy_of(self, made: Path, home: Path) -> Iterator[Path]:
        """A copy of a home whose server is stopped; the copy's server is stopped and the copy deleted at the end."""
        subprocess.run(["cp", "-a", str(made), str(home)], check=True)  # noqa: S607  keeps owners
        with self.passing(home):
            yield home

    @contextmanager
    def passing(self, home: Path) -> Iterator[Path]:
        """A home that is stopped and deleted at the end."""
        try:
            yield home
        finally:
            self.command("database", "stop", "--home", str(home))
            shutil.rmtree(home)

    def hash_tables(self, home: Path) -> Hashes:
        """Returns a hash of every published table of the home: of all its rows and columns but those of the run."""
        url = self.command("database", "url", "--home", str(home)).strip()
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://", 1), poolclass=NullPool)
        with engine.connect() as connection:
            columns = connection.execute(
                text("""
                select table_name, string_agg(quote_ident(column_name), ', ' order by column_name)
                from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
                where table_schema = 'crm' and table_type = 'BASE TABLE' and not column_name = any(:of_runs)
                    and not table_name = any(:left_out) and table_name not like 'customer_timeline\\_%'
                group by table_name"""),
                {"of_runs": list(RUN_COLUMNS), "left_out": list(NOT_COMPARED)},
            ).all()
            return {table: hash_rows(connection, table, names) for table, names in columns}


def hash_rows(connection: Connection, table: str, columns: str) -> str:
    """Returns a hash of these columns of all rows, in any order."""
    row = f"md5(row({columns})::text)"
    query = text(
        f"select count(*) || ' rows ' || coalesce(md5(string_agg({row}, '' order by {row})), '') from crm.{table}"
    )
    return str(connection.execute(query).scalar_one())


def as_of(hour: int) -> str:
    """Returns the time of an hour of the history."""
    return f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


def make_golden(base: Checkout, golden: Golden, folder: Path) -> None:
    """Creates the golden folder: all deliveries, the home after the last hour, what the commit makes of it."""
    services, home = golden.deliver_first(folder / "services" / "now"), folder / "home"
    (services.folder / SAMPLE_FILE).unlink()  # hours pass, so it is no demo
    for hour in range(HOURS + 2):
        if hour:
            services.hour(START + timedelta(hours=hour), MOVES, MOVES_PER_HOUR)
        shutil.copytree(services.folder, folder / "services" / str(hour))
    for hour in range(HOURS + 1):
        base.run(home, hour, folder / "services" / str(hour))
    base.command("database", "stop", "--home", str(home))
    (folder / "hashes.json").write_text(json.dumps(dict(rehearse(base, folder)), indent=1))


def rehearse(checkout: Checkout, folder: Path) -> Iterator[tuple[str, Hashes]]:
    """Yields what the published tables are after the last hour again, the next hour, and the replay of each hour.

    Raises RuntimeError where the last hour again publishes a row.
    """
    home, services = folder / "home", folder / "services"
    with checkout.copy_of(home, folder / "copy") as copy:
        said = checkout.run(copy, HOURS, services / str(HOURS))
        if "Nothing changed: 0 rows published" not in said:
            raise RuntimeError(f"{folder.name}, the last hour again: {said}")
        yield "the last hour again", checkout.hash_tables(copy)
        checkout.run(copy, HOURS + 1, services / str(HOURS + 1))
        yield "the next hour", checkout.hash_tables(copy)
    for hour in range(HOURS):
        with checkout.passing(folder / "replay") as replay:
            checkout.run(replay, hour, None, LAKE_URL=str(home / "lake"))
            yield f"the replay of hour {hour}", checkout.hash_tables(replay)


def compare(candidate: Checkout, folder: Path) -> Iterator[str]:
    """Yields a line for every difference between what the golden commit and the candidate make of the folder."""
    hashes: dict[str, Hashes] = json.loads((folder / "hashes.json").read_text())
    for what, found in rehearse(candidate, folder):
        yield from differences(folder.name, what, hashes[what], found)


def differences(name: str, what: str, expected: Hashes, found: Hashes) -> Iterator[str]:
    """Yields a line for every table whose hash is another, or that one side lacks."""
    for table in sorted({*expected, *found}):
        if expected.get(table) != found.get(table):
            yield f"{name}, {what}: {table} had {expected.get(table)}, has {found.get(table)}"


@contextmanager
def worktree(commit: str, path: Path) -> Iterator[Checkout]:
    """A checkout of the commit that is gone afterwards."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--force", "--detach", str(path), commit], check=True)
    try:
        yield Checkout(path)
    finally:
        subprocess.run([*git, "remove", "--force", str(path)], check=True)


def main() -> None:
    """Makes what is missing of a commit's golden homes, compares the working tree, exits 1 on any difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="the commit whose results are right")
    parser.add_argument("--folder", type=Path, default=ROOT / "data" / "local" / "golden")
    arguments = parser.parse_args()
    commit = subprocess.check_output(["git", "-C", str(ROOT), "rev-parse", arguments.commit], text=True).strip()  # noqa: S607
    found = []
    for golden in GOLDEN:
        folder = (arguments.folder / commit[:12] / golden.name).absolute()
        if not (folder / "hashes.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            with worktree(commit, folder / "code") as base:
                make_golden(base, golden, folder)
        found += list(compare(Checkout(ROOT), folder))
        sys.stdout.write(f"{golden.name}: {len(found)} differences from {commit[:12]}\n")
        sys.stdout.flush()
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
