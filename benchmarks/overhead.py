"""What an hour over 200 clubs spends outside our own computing and loading: imports, Dagster, Great Expectations.

Each hour is a process of its own, as a run is in production, looked at from outside: a thread notes every few
milliseconds where the main thread is, and the time since its last look goes to the innermost package it knows. A
query that DuckDB or PostgreSQL works on is the time of whoever asked. `python -m benchmarks.overhead`
"""

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

TENANTS: Final = 200
PEOPLE: Final = 20_000
EVENTS: Final = 200_000
HOURS: Final = ("2026-03-31T12:00:00Z", "2026-03-31T13:00:00Z", "2026-03-31T14:00:00Z")
ONE_IN: Final = 100
"""One row in so many changes from hour to hour."""
MOST_SECONDS: Final = 40.0
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
    **{f"/crm_pipeline/resources/{name}": LOADING for name in ("publi", "loading", "warehouse", "embedded_postgres")},
    "/crm_pipeline/resources/dagster": DAGSTER,
    "/crm_pipeline/workplace": DAGSTER,
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
        from crm_pipeline.refresh_run import refresh_once  # noqa: PLC0415
        from crm_pipeline.working_copy import working_copy  # noqa: PLC0415
        from crm_pipeline.workplace import choose  # noqa: PLC0415

        with working_copy(choose(home, sources, as_of), dry_run=False) as settings:
            outcome = refresh_once(settings, [], [], dry_run=False)
    print("\n" + json.dumps({"faults": outcome.faults, "rows": outcome.published_rows, "spent": spent}))


def move(sources: Path, number: int) -> None:
    """Let one row in a hundred change or, of what people do, go away, another one every hour."""
    for path in sorted(sources.glob("*/*.csv")):
        if path.stem == "Tenant":
            continue
        with path.open(encoding="utf-8", newline="") as lines:
            header, *rows = list(csv.reader(lines))
        if "lastName" in header:
            for row in rows[number::ONE_IN]:
                row[header.index("lastName")] += "son"
        else:
            del rows[number::ONE_IN]
        with path.open("w", encoding="utf-8", newline="") as lines:
            csv.writer(lines).writerows([header, *rows])


def measure(folder: Path) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Per hour the rows published and the seconds by whose they were; what no look caught is the interpreter's."""
    from crm_pipeline.sample import generate  # noqa: PLC0415
    from crm_pipeline.settings import parse_time  # noqa: PLC0415

    sources = folder / "services"
    until = parse_time("until", HOURS[0])
    generate(tenants=TENANTS, people=PEOPLE, events=EVENTS, seed=1, out=sources, until=until)
    for number, as_of in enumerate(HOURS):
        start = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.overhead", str(folder / "home"), str(sources), as_of]
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603
        total = time.perf_counter() - start
        said = json.loads(ran.stdout.splitlines()[-1])
        assert said["faults"] == [], said["faults"]  # noqa: S101
        spent = dict.fromkeys(ORDER, 0.0) | said["spent"]
        spent[IMPORTS] += total - sum(spent.values())
        yield as_of, said["rows"], spent
        move(sources, number)


def main() -> bool:
    """Measure and print; whether every hour stayed within the limit."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from crm_pipeline.resources.embedded_postgres import EmbeddedPostgres  # noqa: PLC0415

    shown = Table("hour", "rows published", *ORDER, "overhead", title=f"seconds, {TENANTS} clubs")
    is_within = True
    with tempfile.TemporaryDirectory() as folder:
        try:
            for as_of, rows, spent in measure(Path(folder)):
                outside = sum(spent[name] for name in OVERHEAD)
                is_within &= outside <= MOST_SECONDS
                shown.add_row(as_of[11:16], f"{rows:,}", *(f"{spent[name]:.1f}" for name in ORDER), f"{outside:.1f}")
        finally:
            EmbeddedPostgres(Path(folder) / "home").stop()
    Console().print(shown)
    return is_within


if __name__ == "__main__":
    if sys.argv[1:]:
        hour(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(not main())
