"""Synthetic clubs: sources to run the pipeline on, and the true person of every record, which the pipeline never reads.

`make.py` calls the modules that draw people, records and events, in order.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from crm_pipeline.sample.clubs import Club, build_blocks, create_clubs
from crm_pipeline.sample.faults.decisions import build_odd_suppressions
from crm_pipeline.sample.make import SampleFiles, write_block
from crm_pipeline.sample.office import build_suppressed_columns, build_tenant_columns
from crm_pipeline.settings import SAMPLE_FILE, format_time
from crm_pipeline.tables.sources import crm

__all__ = ["DEFAULT_FAULTS", "Club", "generate_sample", "generate_sample_for_clubs"]

DEFAULT_FAULTS: Final = 0.005
"""The share of rows with a fault of real input."""


def generate_sample(  # noqa: PLR0913  each is a different question
    *,
    tenants: int,
    people: int,
    events: int,
    seed: int,
    out: Path,
    until: datetime,
    faults: float = DEFAULT_FAULTS,
) -> None:
    """Creates `tenants` made-up clubs in `out/scl`, `out/teetime`, `out/messaging`, `out/crm` and `out/truth.csv`.

    `out/sample.json` says how they were made, and when their data end. The same arguments always
    give the same bytes. Memory does not grow with `people` or `events`.

    Args:
        tenants: how many clubs; a few are big, most are small.
        people: how many persons there are in all clubs together, each known to one to four services.
        events: about how many rows the event tables have in all.
        seed: the seed of all random draws.
        out: a folder; files of an earlier sample in it are replaced.
        until: the last moment of the data, with a zone.
        faults: the share of rows with a fault of real input, see `faults`; with 0, operators' decisions have none too.
    """
    generate_sample_for_clubs(
        create_clubs(tenants), people=people, events=events, seed=seed, out=out, until=until, faults=faults
    )


def generate_sample_for_clubs(  # noqa: PLR0913  each is a different question
    clubs: Sequence[Club],
    *,
    people: int,
    events: int,
    seed: int,
    out: Path,
    until: datetime,
    faults: float = DEFAULT_FAULTS,
) -> None:
    """Creates a sample of the given clubs, the biggest first; see `generate_sample`.

    Raises: ValueError where `until` has no zone, or a count is out of range.
    """
    if until.tzinfo is None:
        raise ValueError(f"until {until} has no time zone: say which, for example {until.isoformat()}Z")
    if not clubs or min(people, events) < 0:
        raise ValueError(
            f"{len(clubs)} clubs, {people} people, {events} events: give one club or more, and no negatives"
        )
    with SampleFiles(out) as files:
        now = int(until.timestamp())
        files.write_rows(crm.tenant, build_tenant_columns(clubs, now))
        files.write_rows(crm.suppressed_identifier, build_suppressed_columns(clubs, now))
        if faults:
            files.write_texts(crm.suppressed_identifier, build_odd_suppressions(clubs, now))
        for block in build_blocks(clubs, people, events, seed, until, faults):
            write_block(block, files)
    asked = {
        "until": format_time(until),
        "tenants": len(clubs),
        "people": people,
        "events": events,
        "seed": seed,
        "faults": faults,
    }
    (out / SAMPLE_FILE).write_text(f"{json.dumps(asked, indent=2)}\n", encoding="utf-8")
