"""How Dagster's own storage grows: `python -m benchmarks.dagster_growth [TENANTS ...]`, 3 and 1,000 by default.

Synthetic clubs are refreshed on the embedded server, as the schedule would. The first hour is left out, since most of
it is made once; what the next adds, 24 times over, is a day. A part of it goes in the nightly purge, the rest with its
run after the days runs are kept: so much is there once it has levelled off. Ticks of schedules and sensors are not in
it: `dagster.yaml` keeps them for days, and they are as many whatever the tenants.
"""

import logging
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import NullPool, create_engine, inspect, text

from crm_pipeline.cli.options import override_environment
from crm_pipeline.cli.run import refresh_tenants
from crm_pipeline.defs.jobs.dagster_purge import RUN_RETENTION
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.resources.dagster_storage.purge import delete_old_runs
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres, start_embedded_postgres
from crm_pipeline.sample import generate_sample

TENANTS: Final = (3, 1_000)
PEOPLE_PER_TENANT: Final = 5
EVENTS_PER_TENANT: Final = 20
UNTIL: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)


class Size(NamedTuple):
    """Rows and bytes of a table, indexes and all."""

    rows: float
    size: float


class Growth(NamedTuple):
    """What an hour's refresh adds to a table, and what of it the nightly purge leaves."""

    added: Size
    kept: Size

    @property
    def levels_off_at(self) -> float:
        """Bytes, once as much is purged as is added."""
        return 24 * (self.kept.size * RUN_RETENTION.days + self.added.size - self.kept.size)


def sizes_of(home: Path) -> dict[str, Size]:
    """Dagster's tables as they are now, without the room that dead rows take."""
    engine = create_engine(EmbeddedPostgres(home).url("dagster"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("vacuum full"))
        return {
            name: Size(
                connection.execute(text(f'select count(*) from "{name}"')).scalar_one(),
                connection.execute(text("select pg_total_relation_size(:name)"), {"name": name}).scalar_one(),
            )
            for name in inspect(connection).get_table_names()
        }


def measure(tenants: int) -> tuple[dict[str, Growth], float]:
    """The growth of each table that grows, and the seconds a refresh took."""
    with tempfile.TemporaryDirectory() as folder:
        home, sources = Path(folder) / "home", Path(folder) / "sources"
        people, events = tenants * PEOPLE_PER_TENANT, tenants * EVENTS_PER_TENANT
        generate_sample(tenants=tenants, people=people, events=events, seed=1, out=sources, until=UNTIL)
        server = start_embedded_postgres(home)
        try:
            refresh(home, sources, 0)
            before = purged(home)
            begun = time.perf_counter()
            refresh(home, sources, 1)
            seconds = time.perf_counter() - begun
            grown, kept = sizes_of(home), purged(home)
        finally:
            server.stop()
    growth = {n: Growth(_less(grown[n], before[n]), _less(kept[n], before[n])) for n in before}
    return {name: hour for name, hour in growth.items() if any(hour.added)}, seconds


def purged(home: Path) -> dict[str, Size]:
    """The tables after a nightly purge."""
    with open_instance(override_environment(home)) as instance:
        delete_old_runs(instance, datetime.now(UTC) - RUN_RETENTION)
    return sizes_of(home)


def _less(one: Size, other: Size) -> Size:
    return Size(one.rows - other.rows, one.size - other.size)


def refresh(home: Path, sources: Path, hour: int) -> None:
    """The refresh of that hour after the data end."""
    settings = override_environment(home, sources, (UNTIL + timedelta(hours=hour)).isoformat())
    outcome = refresh_tenants(settings, [], [], dry_run=False)
    if outcome.failures:
        raise SystemExit("; ".join(outcome.failures))


def main(*counts: int) -> None:
    """Measure and print."""
    logging.disable(logging.INFO)
    console = Console()
    for tenants in counts or TENANTS:
        growth, seconds = measure(tenants)
        shown = RichTable(
            *("table", "rows a run", "kB a run", "rows a day", "MB a day", f"MB in {RUN_RETENTION.days} days"),
            title=f"{tenants:,} tenants, a refresh in {seconds:.0f} s",
        )
        largest = sorted(growth.items(), key=lambda item: -item[1].added.size)
        for name, hour in largest:
            shown.add_row(name, *figures(hour.added, hour.levels_off_at))
        total = Size(*(sum(values) for values in zip(*(hour.added for hour in growth.values()), strict=True)))
        shown.add_row("together", *figures(total, sum(hour.levels_off_at for hour in growth.values())))
        console.print(shown)


def figures(hour: Size, level: float) -> list[str]:
    """An hour's growth as the table shows it, and where it levels off."""
    values = (hour.rows, hour.size / 1e3, 24 * hour.rows, 24 * hour.size / 1e6, level / 1e6)
    return [f"{value:,.1f}" for value in values]


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
