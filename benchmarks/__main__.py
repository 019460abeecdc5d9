"""All benchmarks that the table is made of, then the table: `python -m benchmarks [--people N ...] [--only NAME ...]`.

Each is a process of its own, and what it measured is kept (`results`), so one that failed, or that is to be measured
anew, is run alone by `--only`; `--only` and no name makes the table from what is there. Some are not in the table, and
are run by their name alone: linking, backtest and forecasts (how well, not how fast), many_tenants, dagster_growth,
identity_stages, two_commits.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.performance import write
from benchmarks.results import show
from benchmarks.whole import EVENTS_PER_PERSON

SIZES: Final = (10_000, 100_000)
LARGE: Final = 1_000_000
ONCE: Final = ("make_run", "phones", "churn", "overhead")
"""What has one size, whatever is asked for."""


def main() -> None:
    """Run, print and write; exits with 1 where one failed or something asked for is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    failed = []
    for module, *arguments in chosen(given.people, given.only):
        print(f"--- {module} {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
        if subprocess.run(command, check=False).returncode:  # noqa: S603
            failed.append(f"{module} {' '.join(arguments)}")
    show(write())
    sys.exit(f"failed, or missed what is asked for: {', '.join(failed)}" if failed else 0)


def chosen(people: Sequence[int], only: Sequence[str] | None) -> Iterator[Sequence[str]]:
    """The commands, those of the smaller sizes first."""
    for command in (*((name,) for name in ONCE), *(command for size in people for command in of_size(size))):
        if only is None or command[0] in only:
            yield command


def of_size(people: int) -> Iterator[Sequence[str]]:
    """The benchmarks that grow with the people; two runs at once only where three are quick."""
    events, size = EVENTS_PER_PERSON * people, str(people)
    yield "whole", "--people", size
    yield "extraction", "--rows", str(5 * people)
    yield "identities", "--records", str(22 * people // 10)
    yield "scores", "--people", size, "--events", str(events)
    yield "publishing", "20", size, str(events)
    if people < LARGE:
        yield "two_at_once", "--people", size
    else:
        yield "overhead", "--tenants", "1000", "--people", str(people // 2), "--events", str(events // 2)


if __name__ == "__main__":
    main()
