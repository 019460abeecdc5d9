"""Two runs at once over disjoint tenants next to one over all: `python -m benchmarks.two_at_once [--people N]`.

Three ways to refresh the same services, each a first run from empty and an hour with 1 % changed: one process; two at
once in one working folder; two at once in folders of their own that share lake, warehouse and Dagster's database, as
pods would. What they publish must be the same. Start-up counts, since more processes mean more of it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import NullPool, create_engine

from benchmarks.observed import prepared, run
from benchmarks.results import AT_LEAST, PLACE, Row, keep
from benchmarks.services import HOURS, Size, change, databases, sample_of
from benchmarks.whole import EVENTS_PER_PERSON, TENANTS
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA
from crm_pipeline.tables import PUBLISHED_TABLES, PUBLISHER_TABLES
from crm_pipeline.tables.outputs import operations

ASKED_FROM: Final = 100_000
"""People. Below, starting twice costs more than half the work."""
SHARE_CHANGED: Final = 0.01
ONE, TWO, PODS = "one run over all", "two at once, one folder", "two at once, a folder each"
COMPARED: Final = [t for t in PUBLISHED_TABLES if t not in (*PUBLISHER_TABLES, operations.data_quality_results)]
"""The others tell of the runs themselves."""


class Way(NamedTuple):
    """A way to refresh: the working folder and tenants of each process, what they share, whose server it is."""

    processes: Sequence[tuple[Path, Sequence[str]]]
    shared: Mapping[str, str]
    server: EmbeddedPostgres


def main() -> None:
    """Measure, compare, keep and print; exits with 1 where two are to be faster than one, and are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--tenants", type=int, default=TENANTS)
    given = parser.parse_args()
    people = given.people
    folders = sample_of(Size(people, people * EVENTS_PER_PERSON, given.tenants))
    with tempfile.TemporaryDirectory(dir=PLACE) as folder, databases(Path(folder) / "services", folders) as sources:
        ways = ways_to_refresh(Path(folder), halves_of(sources["CRM_SOURCE"], sources["MESSAGING_SOURCE"]))
        try:
            first = in_every_way(ways, sources, HOURS[0])
            change(sources, HOURS[1], SHARE_CHANGED)
            hour = in_every_way(ways, sources, HOURS[1])
        finally:
            for way in ways.values():
                way.server.stop()
    rows = [*compared("first run", people, first), *compared("hour, 1 % changed", people, hour)]
    sys.exit(not keep(__spec__.name, rows, people))


def halves_of(crm: str, messaging: str) -> list[list[str]]:
    """The tenants in two halves with about as many messages, each of neighbours in the order the CRM has them."""
    tenants = [str(tenant) for (tenant,) in _ask(crm, 'select id from "Tenant" order by 1')]
    messages: dict[str, int] = dict(_ask(messaging, 'select "tenantId", count(*) from "MessageEvent" group by 1'))
    seen, half = 0, sum(messages.values()) / 2
    for place, tenant in enumerate(tenants):
        seen += messages.get(tenant, 0)
        if seen >= half:
            return [tenants[: place + 1], tenants[place + 1 :]]
    raise ValueError("a sample of one club has no halves")


def ways_to_refresh(folder: Path, halves: Sequence[Sequence[str]]) -> dict[str, Way]:
    """The three, with servers that run."""
    homes = [prepared(folder / name) for name in ("one", "two", "shared")]
    one, two, shared = (EmbeddedPostgres(home) for home in homes)
    everything = {
        "LAKE_URL": str(homes[2] / "lake"),
        "WAREHOUSE_URL": shared.url("crm"),
        "DAGSTER_PG_URL": shared.url("dagster"),
    }
    return {
        ONE: Way([(homes[0], ())], {}, one),
        TWO: Way([(homes[1], half) for half in halves], {}, two),
        PODS: Way([(folder / f"pod-{n}", half) for n, half in enumerate(halves)], everything, shared),
    }


def in_every_way(ways: Mapping[str, Way], sources: Mapping[str, str], as_of: str) -> dict[str, float]:
    """Seconds until all processes of a way have ended, one way after the other; exits where they publish otherwise."""
    taken = {name: seconds(way, sources, as_of) for name, way in ways.items()}
    expected = published(ways[ONE])
    for name, way in ways.items():
        found = published(way)
        if wrong := [table for table, checksum in found.items() if checksum != expected[table]]:
            sys.exit(f"{name}: {', '.join(wrong)} are not what {ONE} publishes")
    return taken


def seconds(way: Way, sources: Mapping[str, str], as_of: str) -> float:
    """All processes of a way, started together."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(way.processes)) as started:
        runs = [started.submit(run, home, {**sources, **way.shared}, as_of, half) for home, half in way.processes]
    for each in runs:
        each.result()
    return time.perf_counter() - began


def published(way: Way) -> dict[str, tuple[Any, ...]]:
    """Rows and the sum of their hashes, by table."""
    url = way.server.url("crm")
    return {t.name: _ask(url, f"select count(*), sum(row_hash) from {CRM_SCHEMA}.{t.name}")[0] for t in COMPARED}


def compared(what: str, people: int, taken: Mapping[str, float]) -> list[Row]:
    """Two next to one, which they are to beat."""
    required = 1 if people >= ASKED_FROM else None
    return [
        Row(f"{what}: {name}", people, "people", taken[name], ONE, taken[ONE], AT_LEAST, required)
        for name in (TWO, PODS)
    ]


def _ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


if __name__ == "__main__":
    main()
