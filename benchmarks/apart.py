"""Contestants in processes of their own, so that none runs on what another has loaded, compiled or allocated."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa


def measured(module: str, *arguments: str) -> dict[str, Any]:
    """What `python -m module arguments` hands to `tell`: the process must say nothing else on standard output."""
    ran = subprocess.run([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def tell(**figures: Any) -> None:  # noqa: ANN401
    """Hand figures to the process that waits in `measured`."""
    sys.stdout.write(json.dumps(figures))


def forget_peak() -> None:
    """Begin to measure the peak of this process anew; Linux only."""
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb(process: int | str = "self") -> float:
    """The most memory this or that process held at once, since `forget_peak`, in MB; Linux only."""
    [line] = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
