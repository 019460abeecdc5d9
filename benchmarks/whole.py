"""The whole pipeline as users run it, next to what the same work costs at the least: `python -m benchmarks.whole`.

From services in PostgreSQL: the first run with lake and warehouse empty, an hour in which nothing changed, one in which
0.1 % of every service table's rows did, then the limits (`limits`), all on the same rows. The warehouse's and the
services' servers are up before. Start-up is apart (`observed`): the ratios are of the work alone.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.apart import measured
from benchmarks.observed import Observed, prepared, run
from benchmarks.results import AT_MOST, PLACE, Row, keep, show
from benchmarks.services import HOURS, Size, change, databases, rows_in, sample_of
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres

EVENTS_PER_PERSON: Final = 20
TENANTS: Final = 200
SHARE_CHANGED: Final = 0.001
ASKED_FROM: Final = 1_000_000
"""People. Below, what a run costs whatever its size outweighs what is asked for."""
MOST_TIMES_THE_LIMITS, MOST_MB = 2.0, 3072.0
FIRST, QUIET, CHANGED = "first run", "hour, nothing changed", "hour, 0.1 % changed"
PER_RECORD: Final = f"{FIRST}, per source row"
MOST_OF_FIRST: Final = {QUIET: 0.02, CHANGED: 0.05}


def main() -> None:
    """Measure, keep and print; exits with 1 where something asked for is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--events", type=int, help=f"{EVENTS_PER_PERSON} for each of the people by default")
    parser.add_argument("--tenants", type=int, default=TENANTS)
    given = parser.parse_args()
    size = Size(given.people, given.events or EVENTS_PER_PERSON * given.people, given.tenants)
    folders = sample_of(size)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder, databases(Path(folder) / "services", folders) as sources:
        home, rows = Path(folder) / "home", rows_in(sources)
        try:
            hours = three_hours(prepared(home), sources)
            limits = measured("benchmarks.limits", str(home))
        finally:
            EmbeddedPostgres(home).stop()
    show(steps_of(size, hours))
    sys.exit(not keep(__spec__.name, report(size, rows, hours, limits), size.people))


def three_hours(home: Path, sources: dict[str, str]) -> dict[str, Observed]:
    """The runs, in the order they need each other."""
    first, quiet = (run(home, sources, as_of) for as_of in HOURS[:2])
    change(sources, HOURS[2], SHARE_CHANGED)
    return {FIRST: first, QUIET: quiet, CHANGED: run(home, sources, HOURS[2])}


def report(size: Size, rows: int, hours: dict[str, Observed], limits: dict[str, float]) -> list[Row]:
    """What is asked for, and the figures behind it."""
    first, people, of = hours[FIRST], size.people, "people"
    is_asked = people >= ASKED_FROM
    rows_of = [
        Row(
            *(FIRST, people, of, first.work, "scan + aggregation + COPY", sum(limits.values()), AT_MOST),
            required=MOST_TIMES_THE_LIMITS if is_asked else None,
            peak_mb=first.peak_mb,
        ),
        Row(f"{FIRST}, memory", people, of, first.peak_mb, "3 GiB", MOST_MB, AT_MOST, 1, unit="MB"),
        Row(PER_RECORD, people, of, first.work / rows * 1e3, unit="ms"),
    ]
    for name, share in MOST_OF_FIRST.items():
        hour, required = hours[name], share if is_asked else None
        rows_of.append(Row(name, people, of, hour.work, FIRST, first.work, AT_MOST, required, hour.peak_mb))
    started = [Row(f"{name}, start-up", people, of, hour.start_up) for name, hour in hours.items()]
    least = [Row(f"limit: {name}", people, of, seconds) for name, seconds in limits.items()]
    return [*rows_of, *started, *least]


def steps_of(size: Size, hours: dict[str, Observed]) -> list[Row]:
    """The seconds of every step, printed and not kept."""
    return [
        Row(f"{name}: {step}", size.people, "people", seconds, peak_mb=hour.peaks[step])
        for name, hour in hours.items()
        for step, seconds in hour.steps.items()
    ]


if __name__ == "__main__":
    main()
