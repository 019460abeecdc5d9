"""docs/performance.md: the table of all that is kept, how it grows with size, and the machine it was measured on.

It shows what the benchmarks measured and what they ask for.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
RUNS: Final = (FIRST, QUIET, CHANGED)
PARTS: Final = ("extraction, first", "scores", "loading", "loading 0.5 %")
HEAD: Final = """# Performance

Measured {days} on {cores} cores of {model}, {memory:.0f} GB of memory, by `make bench`; each figure next to a peer's or
a limit's of the same run. The ratio is theirs / ours for a peer (≥), ours / theirs for a limit (≤). Much of a small run
costs the same whatever its size, so of whole runs and hours something is asked from {asked_from:,} people on.

A first run is held against DuckDB hashing every row the lake has of the services and the timeline, DuckDB grouping the
timeline by profile, and psql's COPY of all published rows into the same tables; an hour against the first run. Start-up
is apart: all before the first step, and imports after it.

{table}

## Growth

![seconds of whole runs by people](performance-runs.svg)
![memory of whole runs by people](performance-memory.svg)
![seconds of identity resolution by records](performance-identities.svg)
![seconds of single parts by people or rows](performance-parts.svg)
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
    memory = by_size((row.stage, row.size, row.peak_mb) for row in rows if row.stage in RUNS)
    parts = by_size((row.stage, row.size, row.ours) for row in rows if row.stage in PARTS)
    plot("performance-runs.svg", "people", "seconds", runs_by_size(rows))
    plot("performance-memory.svg", "people", "MB", memory)
    plot("performance-identities.svg", "records", "seconds", identities_by_size(rows))
    plot("performance-parts.svg", "people or rows", "seconds", parts)
    return rows


def growth(rows: Sequence[Row]) -> Iterator[Row]:
    """What a source row costs at each size next to the size before."""
    sizes = sorted((row for row in rows if row.stage == PER_RECORD), key=lambda row: row.size)
    for smaller, row in pairwise(sizes):
        required = MOST_GROWTH if row.size >= ASKED_FROM else None
        peer = f"{smaller.size:,} people"
        yield Row(
            "growth, per source row", row.size, row.of, row.ours, peer, smaller.ours, AT_MOST, required, unit="ms"
        )


def by_size(points: Iterable[tuple[str, int, float | None]]) -> _Lines:
    """Lines of points without what is missing or said twice, smaller sizes first."""
    lines = defaultdict(set)
    for name, size, value in points:
        if value is not None:
            lines[name].add((size, value))
    return {name: sorted(found) for name, found in lines.items()}


def runs_by_size(rows: Sequence[Row]) -> _Lines:
    """Whole runs, and the limits of the first."""
    ours = [(row.stage, row.size, row.ours) for row in rows if row.stage in RUNS]
    return by_size([*ours, *((row.peer, row.size, row.theirs) for row in rows if row.stage == FIRST)])


def identities_by_size(rows: Sequence[Row]) -> _Lines:
    """Ours and every peer's."""
    raced = [row for row in rows if row.stage == "identities"]
    ours = [("ours", row.size, row.ours) for row in raced]
    return by_size([*ours, *((row.peer, row.size, row.theirs) for row in raced)])


def plot(name: str, of: str, unit: str, lines: _Lines) -> None:
    """A cost by size, both in powers of ten."""
    figure = Figure(figsize=(6, 4), layout="tight")
    axes = figure.subplots()
    for label, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set(xlabel=of, ylabel=unit, xscale="log", yscale="log")
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
