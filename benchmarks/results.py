"""What benchmarks measured: kept as JSON under data/local/bench, so that any of them may be run again by itself.

A result is a measurement next to the peer or the limit it is compared with; `performance` shows them all.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

PLACE: Final = Path("data/local/bench").absolute()
"""Where samples, results and work in progress are; git ignores it, and the embedded servers are too large for /tmp."""
AT_LEAST: Final = "≥"
AT_MOST: Final = "≤"
COLUMNS: Final = ("stage", "size", "ours", "peer or limit", "theirs", "ratio", "required", "verdict", "peak MB")


@dataclass(frozen=True)
class Row:
    """Our figure next to a peer's or a limit, of one run.

    `ratio` is theirs / ours for a peer, who is to be `AT_LEAST` so many times slower, and ours / theirs for a limit,
    which is to be passed `AT_MOST` so many times. `required` is None where nothing is asked for.
    """

    stage: str
    size: int
    of: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    sense: str = AT_LEAST
    required: float | None = None
    peak_mb: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        """How far a limit is passed, or how many times faster than a peer."""
        if self.theirs is None:
            return None
        return self.theirs / self.ours if self.sense == AT_LEAST else self.ours / self.theirs

    @property
    def is_met(self) -> bool | None:
        """None where nothing is asked for."""
        if self.ratio is None or self.required is None:
            return None
        return self.ratio >= self.required if self.sense == AT_LEAST else self.ratio <= self.required

    def cells(self) -> tuple[str, ...]:
        """The row as `COLUMNS` has it."""
        return (
            self.stage,
            f"{self.size:,} {self.of}",
            f"{_short(self.ours)} {self.unit}",
            self.peer,
            f"{_short(self.theirs)} {self.unit}" if self.theirs is not None else "",
            _short(self.ratio),
            "" if self.required is None else f"{self.sense} {self.required:g}",
            {None: "", True: "met", False: "NOT MET"}[self.is_met],
            "" if self.peak_mb is None else f"{self.peak_mb:,.0f}",
        )


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def keep(benchmark: str, rows: Sequence[Row], variant: object = "") -> bool:
    """Keep and print the rows of a benchmark (at one size), in place of what it said before; whether all are met."""
    name = f"{benchmark.rpartition('.')[2]}{f'-{variant}' if variant else ''}"
    folder = PLACE / "results"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"measured": datetime.now(UTC).date().isoformat(), "rows": [asdict(row) for row in rows]}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    show(rows)
    return all(row.is_met is not False for row in rows)


def kept() -> tuple[list[Row], list[str]]:
    """All rows there are, smaller sizes first, and the days they are of."""
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((PLACE / "results").glob("*.json"))]
    rows = [Row(**row) for content in contents for row in content["rows"]]
    return rows, sorted({content["measured"] for content in contents})


def show(rows: Sequence[Row]) -> None:
    """Print rows as a table."""
    shown = Table(*COLUMNS)
    for row in rows:
        shown.add_row(*row.cells())
    Console(width=180).print(shown)
