"""What an hour over 200 clubs spends outside our own computing and loading: imports, Dagster, Great Expectations.

Each hour is a process of its own, as a run is in production, looked at from outside: a thread notes every few
milliseconds where the main thread is, and the time since its last look goes to the innermost package it knows. A
query that DuckDB or PostgreSQL works on is the time of whoever asked.

`python -m benchmarks.overhead [--tenants N --people N --events N]`
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

HOURS: Final = ("2026-03-31T12:00:00Z", "2026-03-31T13:00:00Z", "2026-03-31T14:00:00Z")
ONE_IN: Final = 100
"""One row in so many changes from hour to hour."""
MOST_SECONDS: Final = 40.0
"""Of overhead, at so many clubs."""
ASKED_UP_TO: Final = 200
WELL_INSIDE_THE_HOUR: Final = 1800.0
LOOK_EVERY: Final = 0.005
IMPORTS, DAGSTER, EXPECTATIONS = "imports", "Dagster", "Great Expectations"
LOADING, COMPUTING = "loading", "our own computing"
ORDER: Final = (IMPORTS, DAGSTER, EXPECTATIONS, LOADING, COMPUTING)
OVERHEAD: Final = ORDER[:3]
PLACES: Final = {
    "<frozen importlib": IMPORTS,
    "/site-packages/great_expectations/": EXPECTATIONS,
    "/crm_pipeline/checks/data_docs": EXPECTATIONS,
    "/site-packages/dagster": DAGSTER,
    "/crm_pipeline/resources/warehouse": LOADING,
    "/crm_pipeline/resources/postgres": LOADING,
    "/crm_pipeline/resources/dagster_storage": DAGSTER,
    "/crm_pipeline/": COMPUTING,
}
"""Of the files a stack goes through, from the innermost outwards, the first that is here says whose time it is."""


def whose(frame: FrameType | None) -> str:
    """Whose time it is while the stack is at this frame."""
    while frame is not None:
        for part, name in PLACES.items():
            if part in frame.f_code.co_filename:
                return name
        frame = frame.f_back
    return IMPORTS  # the interpreter itself


@contextmanager
def watched(spent: dict[str, float]) -> Iterator[None]:
    """Add up the seconds the calling thread spends in the body, by whose they are."""
    main, over = threading.get_ident(), threading.Event()

    def watch() -> None:
        before = time.perf_counter()
        while not over.wait(LOOK_EVERY):
            now = time.perf_counter()
            spent[whose(sys._current_frames()[main])] += now - before  # noqa: SLF001
            before = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def hour(home: Path, sources: Path, as_of: str) -> None:
    """One refresh in this process; prints the seconds as JSON on the last line."""
    spent: dict[str, float] = defaultdict(float)
    with watched(spent):
        # Imported where they are timed.
        from crm_pipeline.cli.lake_copy import create_working_copy  # noqa: PLC0415
        from crm_pipeline.cli.options import override_environment  # noqa: PLC0415
        from crm_pipeline.cli.run import refresh_tenants  # noqa: PLC0415

        with create_working_copy(override_environment(home, sources, as_of), dry_run=False) as settings:
            outcome = refresh_tenants(settings, [], [], dry_run=False)
    print("\n" + json.dumps({"faults": outcome.failures, "rows": outcome.published_rows, "spent": spent}))


def move(sources: Path, number: int) -> None:
    """Let one row in a hundred change or, of what people do, go away, another one every hour."""
    for path in sorted(sources.glob("*/*.csv")):
        if path.stem == "Tenant":
            continue
        draft = path.with_suffix(".new")
        with path.open(encoding="utf-8", newline="") as lines, draft.open("w", encoding="utf-8", newline="") as moved:
            rows = csv.reader(lines)
            header = next(rows)
            csv.writer(moved).writerows([header, *_moved(header, rows, number)])
        draft.replace(path)


def _moved(header: list[str], rows: Iterator[list[str]], number: int) -> Iterator[list[str]]:
    for place, row in enumerate(rows):
        if place % ONE_IN == number:
            if "lastName" not in header:
                continue
            row[header.index("lastName")] += "son"
        yield row


def measure(folder: Path, tenants: int, people: int, events: int) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Per hour the rows published and the seconds by whose they were; what no look caught is the interpreter's."""
    from crm_pipeline.sample import generate_sample  # noqa: PLC0415
    from crm_pipeline.settings import parse_time  # noqa: PLC0415

    sources = folder / "services"
    until = parse_time("until", HOURS[0])
    generate_sample(tenants=tenants, people=people, events=events, seed=1, out=sources, until=until)
    for number, as_of in enumerate(HOURS):
        start = time.perf_counter()
        hour_of = ["--hour", str(folder / "home"), str(sources), as_of]
        command = [sys.executable, "-m", "benchmarks.overhead", *hour_of]
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603
        total = time.perf_counter() - start
        said = json.loads(ran.stdout.splitlines()[-1])
        assert said["faults"] == [], said["faults"]  # noqa: S101
        spent = dict.fromkeys(ORDER, 0.0) | said["spent"]
        spent[IMPORTS] += total - sum(spent.values())
        yield as_of, said["rows"], spent
        move(sources, number)


def main() -> bool:
    """Measure, keep and print; whether every hour stayed within the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--hour", nargs=3, metavar=("HOME", "SOURCES", "AS_OF"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hour:
        home, sources, as_of = given.hour
        hour(Path(home), Path(sources), as_of)
        return True
    return report(given.tenants, given.people, given.events)


def report(tenants: int, people: int, events: int) -> bool:
    """All hours at one size."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from benchmarks.results import AT_MOST, PLACE, Row, keep  # noqa: PLC0415
    from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres  # noqa: PLC0415

    shown = Table("hour", "rows published", *ORDER, "overhead", title=f"seconds, {tenants:,} clubs")
    rows = []
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        try:
            for as_of, published, spent in measure(Path(folder), tenants, people, events):
                outside, whole = sum(spent[name] for name in OVERHEAD), sum(spent.values())
                name, size = f"{as_of[11:16]}, {people:,} people", (tenants, "clubs")
                required = 1 if tenants <= ASKED_UP_TO else None
                rows += [
                    Row(f"{name}, whole hour", *size, whole, "half an hour", WELL_INSIDE_THE_HOUR, AT_MOST, 1),
                    Row(f"{name}, overhead", *size, outside, "40 s", MOST_SECONDS, AT_MOST, required),
                    Row(f"{name}, Dagster", *size, spent[DAGSTER]),
                ]
                shown.add_row(
                    as_of[11:16], f"{published:,}", *(f"{spent[name]:.1f}" for name in ORDER), f"{outside:.1f}"
                )
        finally:
            EmbeddedPostgres(Path(folder) / "home").stop()
    Console().print(shown)
    return keep("overhead", rows, tenants)


if __name__ == "__main__":
    sys.exit(not main())
