"""docs/performance.md: the table of all that is kept, how it grows with size, and the machine it was measured on.

Belongs here: showing. Does not belong here: measuring, and what is asked for (each benchmark).
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.results import AT_MOST, COLUMNS, Row, kept
from benchmarks.whole import ASKED_FROM, CHANGED, FIRST, PER_RECORD, QUIET

DOCS: Final = Path("docs").absolute()
MOST_GROWTH: Final = 1.3
HEAD: Final = """# Performance

Measured {days} on {cores} cores of {model}, {memory:.0f} GB of memory, by `make bench`; each figure beside a peer's or
a limit's of the same run. The ratio is theirs / ours for a peer (≥), ours / theirs for a limit (≤). Much of a small run
costs the same whatever its size, so of whole runs and hours something is asked from {asked_from:,} people on.

A first run is held against DuckDB hashing every row the lake has of the services and the timeline, DuckDB grouping the
timeline by profile, and psql's COPY of all published rows into the same tables; an hour against the first run. Start-up
is apart: all before the first step, and imports after it.

{table}

## Growth

![seconds of whole runs by people](performance-runs.svg)
![seconds of identity resolution by records](performance-identities.svg)
"""

_Lines = Mapping[str, Sequence[tuple[int, float]]]


def write() -> list[Row]:
    """Write the page and its plots from what is kept, and return the rows it shows."""
    measured, days = kept()
    rows = sorted([*measured, *growth(measured)], key=lambda row: (row.stage, row.of, row.size))
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    page = HEAD.format(
        days=" to ".join(dict.fromkeys([days[0], days[-1]])) if days else "never",
        cores=os.cpu_count(),
        model=_of_machine("/proc/cpuinfo", "model name"),
        memory=int(_of_machine("/proc/meminfo", "MemTotal").split()[0]) / 1e6,
        asked_from=ASKED_FROM,
        table="\n".join(lines),
    )
    (DOCS / "performance.md").write_text(page, encoding="utf-8")
    plot("performance-runs.svg", "people", runs_by_size(rows))
    plot("performance-identities.svg", "records", identities_by_size(rows))
    return rows


def growth(rows: Sequence[Row]) -> Iterator[Row]:
    """What a source row costs at each size beside the size before."""
    sizes = sorted((row for row in rows if row.stage == PER_RECORD), key=lambda row: row.size)
    for smaller, row in pairwise(sizes):
        required = MOST_GROWTH if row.size >= ASKED_FROM else None
        peer = f"{smaller.size:,} people"
        yield Row(
            "growth, per source row", row.size, row.of, row.ours, peer, smaller.ours, AT_MOST, required, unit="ms"
        )


def runs_by_size(rows: Sequence[Row]) -> _Lines:
    """Whole runs, and the limits of the first."""
    lines = defaultdict(list)
    for row in rows:
        if row.stage in (FIRST, QUIET, CHANGED):
            lines[row.stage].append((row.size, row.ours))
        if row.stage == FIRST and row.theirs:
            lines[row.peer].append((row.size, row.theirs))
    return lines


def identities_by_size(rows: Sequence[Row]) -> _Lines:
    """Ours and every peer's."""
    lines = defaultdict(set)
    for row in rows:
        if row.stage == "identities" and row.theirs:
            lines["ours"].add((row.size, row.ours))
            lines[row.peer].add((row.size, row.theirs))
    return {name: sorted(points) for name, points in lines.items()}


def plot(name: str, of: str, lines: _Lines) -> None:
    """Seconds by size, both in powers of ten."""
    figure = Figure(figsize=(6, 4), layout="tight")
    axes = figure.subplots()
    for label, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set(xlabel=of, ylabel="seconds", xscale="log", yscale="log")
    axes.grid(visible=True, linewidth=0.3)
    if lines:
        axes.legend()
    FigureCanvasSVG(figure)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(DOCS / name, format="svg", metadata={"Date": None})


def _of_machine(file: str, name: str) -> str:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "an unnamed model")


if __name__ == "__main__":
    write()
