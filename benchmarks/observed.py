"""`crm-pipeline run` as users start it, looked at from outside: seconds in all, of each step and of start-up, memory.

Start-up is everything before the first step, and every import after it: what a process costs that has nothing to do.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.apart import peak_mb
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres

PROGRAM: Final = Path(sys.executable).parent / "crm-pipeline"
_STEP: Final = re.compile(r"  ([…✓]) (\w+)(?: \((\d+\.\d) s\))?")
_IMPORT: Final = re.compile(r"import time: +(\d+) \|")
_ROWS: Final = re.compile(r"^([\d,]+) rows changed", re.MULTILINE)


@dataclass
class Observed:
    """One process."""

    seconds: float = 0.0
    before_first_step: float = 0.0
    imports_later: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)
    """The most memory there was by the end of each step; what a step needs shows where it rises."""
    peak_mb: float = 0.0
    cpu: float = 0.0
    """CPU seconds of the process, its threads included; the database server's are not."""
    rows: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def start_up(self) -> float:
        """Seconds until the first step, and of imports since."""
        return self.before_first_step + self.imports_later

    @property
    def work(self) -> float:
        """The rest."""
        return self.seconds - self.start_up


def run(home: Path, sources: Mapping[str, str], as_of: str, tenants: Sequence[str] = ()) -> Observed:
    """One run in a process of its own. Exits where it fails, with what it said last."""
    chosen = [word for tenant in tenants for word in ("--tenant", tenant)]
    command = [str(PROGRAM), "run", "--home", str(home), "--as-of", as_of, *chosen]
    environment = {**os.environ, **sources, "PYTHONPROFILEIMPORTTIME": "1"}
    found, began = Observed(), time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.PIPE, text=True)  # noqa: S603
        assert process.stderr  # noqa: S101
        for line in process.stderr:
            if step := _listen(line, found, began):
                found.peaks[step] = peak_mb(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        found.seconds = time.perf_counter() - began
        said.seek(0)
        words = said.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"a run failed:\n{words[-2000:]}\n{''.join(found.complaints[-20:])}")
    found.peak_mb, found.cpu = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    found.rows = int(match[1].replace(",", "")) if (match := _ROWS.search(words)) else 0
    return found


def _listen(line: str, found: Observed, began: float) -> str | None:
    """Take in what the process says of its steps and imports; returns the step that has just ended, if one has."""
    if (loaded := _IMPORT.match(line)) and found.before_first_step:
        found.imports_later += int(loaded[1]) / 1e6
    elif step := _STEP.match(line):
        found.before_first_step = found.before_first_step or time.perf_counter() - began
        if step[3]:
            found.steps[step[2]] = float(step[3])
            return step[2]
    elif not loaded:
        found.complaints.append(line)
    return None


def prepared(home: Path) -> Path:
    """The home with its server made and running: a database server is not what is measured."""
    start_embedded_postgres(home)
    return home
