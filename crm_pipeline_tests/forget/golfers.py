"""Two golfers of Fynbos Links who stopped coming, those who look like them and stay, and a job that removes them.

Belongs here: their rows, the weekly job in this process, and one in a process that dies: python -m ... HOME PLACE.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dagster as dg

from crm_pipeline.cli.options import choose
from crm_pipeline.definitions import build_defs
from crm_pipeline.privacy.inactive_golfers import remove_inactive
from crm_pipeline.resources.connections import lake_of, warehouse_of
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.settings import Settings
from crm_pipeline_tests.forget.zephyrine import KEY
from crm_pipeline_tests.support import clean_environment
from crm_pipeline_tests.world_rows import (
    FYNBOS,
    HEATHER,
    Row,
    booking,
    contact,
    lead,
    member,
    message,
    note,
    player,
    tag,
    tenant,
    write_rows,
)

MONTHS: Final = {FYNBOS.slug: 24, HEATHER.slug: 240}
_SHARED: Final = {"email": "thistlewood@example.com"}
GUSTAV: Final = player("gq-gustav", FYNBOS, "Gustav Quagga", "2019-02-01", email="gustav.quagga@example.com")
GUSTAVS_CONTACT: Final = contact("gq-gustav", FYNBOS, "Gustav Quagga", "2019-02-01", email="gustav.quagga@example.com")
HESTER: Final = player("hq-hester", FYNBOS, "Hester Thistlewood", "2018-02-01", **_SHARED)
SON: Final = player("thistlewood-son", FYNBOS, "Jacques Thistlewood", "2018-02-01", **_SHARED)
BOOKED: Final = player("debtor", FYNBOS, "Ottmar Debtor", "2018-02-01")
FORMER: Final = player("former-member", FYNBOS, "Philippa Former", "2018-02-01", authUserId="account-former")
FORMER_MEMBER: Final = member(
    77, FYNBOS, "Philippa Former", "2018-02-01", authUserId="account-former", membershipStatus="RESIGNED",
    endedAt="2020-01-01T08:00:00Z", updatedAt="2020-01-01T08:00:00Z",
)  # fmt: skip
FAR: Final = player("far-away", HEATHER, "Gustav Quagga", "2019-02-01", email="gustav.quagga@example.com")
AGAIN: Final = booking(GUSTAV, "2026-04-02", cents=7_000)
GUSTAVS: Final = ("player-gq-gustav", "contact-gq-gustav", GUSTAV.profile_id)
HESTERS: Final = ("player-hq-hester", HESTER.profile_id)


def rows() -> Iterator[Row]:
    """Who is to go, then who stays."""
    yield from (
        GUSTAV,
        GUSTAVS_CONTACT,
        booking(GUSTAV, "2020-03-08", cents=6_000),
        note(GUSTAV, "2020-03-09", "Tall."),
    )
    yield from (booking(GUSTAV, "2021-03-08", cents=8_000), message(GUSTAVS_CONTACT, "2026-03-11"))
    yield from (tag(GUSTAV, "2020-03-09", "gq-tag"), HESTER, booking(HESTER, "2021-06-08", cents=4_000))
    yield from (SON, booking(SON, "2026-02-08", cents=4_000), BOOKED, FORMER, FORMER_MEMBER)
    yield booking(BOOKED, "2020-03-08").but(paidAt=None)
    yield from (FAR, booking(FAR, "2020-03-08"), lead("far", HEATHER, "Gustav Quagga", "2019-02-01"))


def write_clubs(out: Path, *more: Row) -> None:
    """Both clubs, with some rows more."""
    write_rows(out, [tenant(FYNBOS), tenant(HEATHER), *rows(), *more])


def retain(home: Path, key: str | None = KEY) -> dg.ExecuteInProcessResult:
    """A run of the weekly job."""
    with clean_environment(**({"ERASURE_KEY": key} if key else {})):
        settings = choose(home)
        with open_instance(settings) as instance:
            job = build_defs(settings).resolve_job_def("people_retention")
            return job.execute_in_process(instance=instance, raise_on_error=False)


def removed(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    """How many the job removed of each club."""
    outputs = [e for e in result.all_events if e.event_type == dg.DagsterEventType.STEP_OUTPUT]
    (output,) = [e.step_output_data for e in outputs if e.step_key == "remove_casual_golfers"]
    table = output.metadata["tenants"]
    assert isinstance(table, dg.TableMetadataValue)
    return {str(row.data["tenant"]): int(str(row.data["golfers_removed"])) for row in table.records}


def main(home: str, place: str) -> None:
    """Die where it says it has come to `place`."""

    def say(line: str) -> None:
        if line == place:
            os.kill(os.getpid(), signal.SIGKILL)

    settings: Settings = choose(Path(home))
    remove_inactive(settings, lake_of(settings), warehouse_of(settings), MONTHS, say)


if __name__ == "__main__":
    main(*sys.argv[1:])
