"""One hand-written world: three small clubs and a cast in which every row earns its place.

`as_of` is 2026-03-31T12:00:00Z. Belongs here: who is in the world, and which rows of it are bad. Does not belong here:
the stories themselves (`world_identities`, `world_lives`), how a row is spelled (`world_rows`), and what the pipeline
should make of the world (its tests).

`python -m crm_pipeline_tests.world data/sample` writes the sample clubs: the cast before a made-up background.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from crm_pipeline.sample import generate_for
from crm_pipeline.vocabulary import QuarantineReason
from crm_pipeline_tests import world_identities, world_lives
from crm_pipeline_tests.world_rows import (
    CLUBS,
    FYNBOS,
    HEATHER,
    SAGUARO,
    Row,
    booking,
    contact,
    handicap_update,
    lead,
    member,
    note,
    payment,
    player,
    refund,
    tenant,
    write_rows,
)

AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
STORIES: Final = (*world_identities.STORIES, *world_lives.STORIES)
_BACKGROUND_PEOPLE, _BACKGROUND_EVENTS, _BACKGROUND_SEED = 300, 7_000, 2026


def write_world(out: Path) -> None:
    """Write the cast alone, as folders of snapshots."""
    write_rows(out, [*map(tenant, CLUBS), *cast()])


def write_sample(out: Path) -> None:
    """Write the cast and a background of people made up by `crm_pipeline.sample`, in the same three clubs."""
    generate_for(
        CLUBS, people=_BACKGROUND_PEOPLE, events=_BACKGROUND_EVENTS, seed=_BACKGROUND_SEED, out=out, until=AS_OF
    )
    (out / "truth.csv").unlink()
    write_rows(out, cast(), mode="a")


def cast() -> list[Row]:
    """Every row of every story, the bad ones included, without the clubs themselves."""
    return [row for story in STORIES for row in story()] + [row for _, row in bad_rows()]


def bad_rows() -> list[tuple[QuarantineReason | None, Row]]:
    """What can be wrong with a row of a file, with the reason it is set aside for; None for the rows that are fine."""
    olive = player("olive-tarrant", HEATHER, "Olive Tarrant", email="olive.tarrant@example.com")
    mark = member(20, FYNBOS, "Mark Dlamani", "2024-05-01", email="mark.dlamani@example.com", renewsOn="2026-05-01")
    fee = payment(mark, "2025-05-01", 3_000)
    twin = player("paula-twin", SAGUARO, "Paula Ravensby", email="paula.ravensby@example.com")
    stranger = player("nobody", HEATHER, "Nobody Known")
    return [
        *((None, row) for row in (olive, mark, fee, twin)),
        (QuarantineReason.MISSING_KEY, booking(olive, "2026-01-02").but(id=None)),
        (QuarantineReason.MISSING_TENANT, contact("homeless", HEATHER, "Jane Farrow").but(tenantId=None)),
        (QuarantineReason.UNKNOWN_TENANT, lead("elsewhere", HEATHER, "Ben Netherby").but(tenantId="lost-dunes")),
        (QuarantineReason.MISSING_VALUE, payment(mark, "2025-06-01", 3_000, paidAt=None)),
        (QuarantineReason.UNKNOWN_VALUE, member(91, FYNBOS, "Karin Roosvelt", "2024-05-01", membershipStatus="GOLD")),
        (QuarantineReason.NOT_A_NUMBER, payment(mark, "2025-07-01", 0).but(amountCents="thirty rand")),
        (QuarantineReason.NOT_A_BOOLEAN, contact("undecided", HEATHER, "Kate Selwood", emailOptIn="maybe")),
        (QuarantineReason.NOT_A_TIME, booking(olive, "2026-01-03", teeTimeAt="2026-02-30T15:00:00Z")),
        (QuarantineReason.FUTURE_TIME, handicap_update(olive, "2026-01-04", None, 20.1).but(recordedAt="2026-05-01")),
        (QuarantineReason.ORPHAN, booking(stranger, "2026-01-05")),
        (QuarantineReason.ORPHAN, note(stranger, "2026-01-05", "About a profile that never was.")),
        (QuarantineReason.WRONG_CURRENCY, booking(olive, "2026-01-06", currency="EUR")),
        (QuarantineReason.NEGATIVE_AMOUNT, booking(olive, "2026-01-07", cents=-5_000)),
        (QuarantineReason.TOO_LONG, player("endless", HEATHER, f"Ann {'Longshanks' * 21}")),
        (QuarantineReason.DUPLICATE_KEY, twin.but(email="paula@example.org", updatedAt="2024-01-31T08:00:00Z")),
        (QuarantineReason.INVALID_EMAIL, contact("mistyped", HEATHER, "Mary Wainfield", email="mary.wainfield")),
        (QuarantineReason.INVALID_PHONE, player("too-short", HEATHER, "Lewis Winterby", phoneNumber="07911 12")),
        # No fault of this row: more was given back than paid, so it is the profile that is reported.
        (QuarantineReason.NEGATIVE_TOTAL, refund(fee, mark, "2025-08-01", 5_000)),
    ]


if __name__ == "__main__":
    write_sample(Path(sys.argv[1]))
