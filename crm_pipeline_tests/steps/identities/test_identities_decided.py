"""Whole runs: a changed minConfidence, decision or suppressed value takes effect in one run, and is undone in one."""

import csv
from pathlib import Path

import pytest

from crm_pipeline_tests.fixtures.homes.changed_identities import (
    ISLA,
    ONE,
    RUTH,
    TWO,
    Record,
    Tables,
    correct_keys,
    present,
    untouched,
)
from crm_pipeline_tests.fixtures.homes.runs import FYNBOS, HEATHER, SAGUARO, mend
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import refresh


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def write_rows(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def decide(services: Path, one: Record, other: Record, decision: str) -> None:
    file = services / "crm" / "IdentityOverride.csv"
    row = dict.fromkeys(rows_of(file)[0], "") | {"id": f"{decision} {one[2]}", "tenantId": one[0], "decision": decision}
    row |= {"serviceA": one[1], "recordIdA": one[2], "serviceB": other[1], "recordIdB": other[2]}
    row |= {"reason": "Told so", "decidedBy": "staff-1", "updatedAt": "2026-03-31T11:00:00Z"}
    write_rows(file, [*rows_of(file), row])


def suppress(services: Path, tenant: str, kind: str, value: str) -> None:
    file = services / "crm" / "SuppressedIdentifier.csv"
    row = {"id": "new", "tenantId": tenant, "kind": kind, "value": value, "reason": "A household's"}
    write_rows(file, [*rows_of(file), row | {"updatedAt": "2026-03-31T11:00:00Z"}])


GRACE, GRACES = (HEATHER, "TEETIME", "player-grace-hartwell"), (HEATHER, "MESSAGING", "contact-grace-hartwell")
ROBERT, BEA = (HEATHER, "TEETIME", "player-robert-langmere"), (HEATHER, "CRM", "lead-bea-langmere")
PAUL, PAULA = (SAGUARO, "SCL", "31"), (SAGUARO, "TEETIME", "player-paula-inglewood")
MARGARET, MEG = (SAGUARO, "SCL", "32"), (SAGUARO, "TEETIME", "player-meg-yarrow")
OLIVER, LAURA = (SAGUARO, "TEETIME", "player-oliver-walk-in"), (SAGUARO, "MESSAGING", "contact-laura-kirkby")
THANDI, THANDIS = (FYNBOS, "SCL", "18"), (FYNBOS, "TEETIME", "player-thandi-molefane")
CAUSES = {
    "minConfidence raised": ([(THANDI, THANDIS)], True),
    "NEVER added": ([(GRACE, GRACES)], True),
    "value suppressed": ([(ROBERT, BEA)], True),
    "ALWAYS added": ([(ISLA, RUTH)], False),
    "NEVER withdrawn": ([(PAUL, PAULA)], False),
    "ALWAYS withdrawn": ([(MARGARET, MEG)], True),
    "value allowed again": ([(OLIVER, LAURA)], False),
}
"""Per cause the pair it is about, and whether the two were one before."""


def change_everything(services: Path) -> None:
    """All causes at once, each about people of its own. Undone, each is its opposite: a lowered minConfidence, ..."""
    mend(services / "crm" / "Tenant.csv", "Johannesburg,ACTIVE,,", "Johannesburg,ACTIVE,0.86,")
    for file, ids in (
        ("IdentityOverride", ("identityoverride-31-2026-02-10", "identityoverride-32-2026-02-10")),
        ("SuppressedIdentifier", ("suppressed-saguaro-ridge-phone",)),
    ):
        path = services / "crm" / f"{file}.csv"
        write_rows(path, [row for row in rows_of(path) if row["id"] not in ids])
    decide(services, GRACE, GRACES, "NEVER")
    decide(services, ISLA, RUTH, "ALWAYS")
    suppress(services, HEATHER, "EMAIL", " Langmere@Example.net")


def holder(tables: Tables, record: Record) -> str:
    [row] = [
        row
        for row in tables["customer_identities"]
        if (row["tenant_id"], row["service"], row["service_record_id"]) == record
    ]
    return str(row["profile_id"])


@pytest.mark.skipif(not SOAK, reason="half a minute of whole runs: make soak")
def test_every_cause_is_one_run_away_and_fully_reversible(
    refreshed: Path, services: Path, first_run: Path, tmp_path: Path
) -> None:
    before = present(refreshed)
    change_everything(services)
    assert refresh(refreshed, services, as_of=ONE).failures == []
    changed = present(refreshed)
    for cause, (pairs, were_one) in CAUSES.items():
        for one, other in pairs:
            assert (holder(before, one) == holder(before, other)) is were_one, cause
            assert (holder(changed, one) == holder(changed, other)) is not were_one, cause
    correct_keys(services)
    assert refresh(refreshed, services, as_of=TWO).failures == []
    assert present(refreshed) == untouched(first_run, tmp_path, TWO)
