"""`crm-pipeline status` counts what is open at each club: decisions without effect, quarantined rows and questions."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Table, insert

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.schema import ensure_partition
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.identity import identity_reviews
from crm_pipeline.tables.outputs.operations import data_quality_results, quarantined_records, tenant_refreshes
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.questions import command
from crm_pipeline_tests.fixtures.servers.warehouses import AS_OF, a_row, connected

DECIDED, CALM, CROWDED = "decided", "calm", "[red]crowded"
OVERRIDE, SUPPRESSED = "IdentityOverride", "SuppressedIdentifier"
Fault = tuple[str | None, str, str | None, str, str]
FAULTS: Final[list[Fault]] = [
    # One decision of two faults, and two of one id.
    (DECIDED, OVERRIDE, "1", "recordIdA", "ORPHAN"),
    (DECIDED, OVERRIDE, "1", "recordIdB", "ORPHAN"),
    (DECIDED, OVERRIDE, "2", "recordIdB", "NO_EFFECT"),
    (DECIDED, SUPPRESSED, "2", "value", "INVALID_PHONE"),
    # Two without an id, one of which has another fault.
    (DECIDED, SUPPRESSED, None, "id", "MISSING_KEY"),
    (DECIDED, SUPPRESSED, None, "id", "MISSING_KEY"),
    (DECIDED, SUPPRESSED, None, "value", "INVALID_EMAIL"),
    # No decisions.
    (DECIDED, "Contact", "2", "emailOptIn", "NOT_A_BOOLEAN"),
    (DECIDED, "Contact", None, "id", "MISSING_KEY"),
    (CROWDED, SUPPRESSED, "2", "value", "INVALID_EMAIL"),
    *((CROWDED, "Payment", str(number), "paidAt", "NOT_A_TIME") for number in range(1_200)),
    # Of no club that is known.
    (None, OVERRIDE, "3", "tenantId", "MISSING_TENANT"),
]
OPEN: Final = {
    CALM: {"open_reviews": 0, "quarantined_records": 0, "ineffective_decisions": 0},
    CROWDED: {"open_reviews": 0, "quarantined_records": 1_201, "ineffective_decisions": 1},
    DECIDED: {"open_reviews": 1, "quarantined_records": 9, "ineffective_decisions": 5},
}
"""What is open at each club."""


def list_rows() -> Iterator[tuple[Table, Mapping[str, Any]]]:
    """Yields what runs have published: the refreshes, the faults, an open and a closed question, and checks."""
    for club in OPEN:
        yield tenant_refreshes, {"tenant_id": club, "status": "ACTIVE"}
    for number, (owner, table, record_id, column, reason) in enumerate(FAULTS):
        where = {"tenant_id": owner, "table_name": table, "service_record_id": record_id, "column_name": column}
        yield quarantined_records, {"quarantine_id": f"fault {number}", "reason": reason, **where}
    for closed_at in (None, AS_OF):
        yield identity_reviews, {"tenant_id": DECIDED, "review_id": f"closed at {closed_at}", "closed_at": closed_at}
    for success in (True, False):
        yield (
            data_quality_results,
            {"tenant_id": CALM, "suite": "links", "expectation": f"{success}", "success": success},
        )


@pytest.fixture(scope="module")
def home(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in whose warehouse the clubs are."""
    with copied(blank, tmp_path_factory.mktemp("status") / "home") as home:
        with connected(Warehouse(EmbeddedPostgres(home).url("crm"))) as connection:
            for table, values in list_rows():
                if table.info.get("partitioned_by"):
                    with closing(connection.connection.cursor()) as cursor:
                        ensure_partition(cursor, table, str(values["tenant_id"]))
                connection.execute(insert(table), a_row(table, **values))
        yield home


def test_the_document_counts_each_clubs_quarantined_rows_decisions_and_questions(home: Path) -> None:
    done = command(home, "status", "--json")
    clubs = {club["tenant_id"]: club for club in json.loads(done.stdout)["tenants"]}
    assert {name: {key: club[key] for key in OPEN[name]} for name, club in clubs.items()} == OPEN
    failed = [(name, check["suite"], check["expectation"]) for name in clubs for check in clubs[name]["failed_checks"]]
    assert failed == [(CALM, "links", "False")]


def test_the_page_has_the_same_counts(home: Path) -> None:
    done = command(home, "status", COLUMNS="60")
    assert done.exit_code == 0
    facts: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if line.strip() in OPEN:
            lines = facts.setdefault(line.strip(), [])
        elif line.strip().startswith(("open reviews", "quarantined", "decisions without effect", "failed checks")):
            lines.append(" ".join(line.split()))
    assert facts == {
        CALM: ["open reviews 0", "quarantined 0", "decisions without effect 0", "failed checks links: False"],
        CROWDED: ["open reviews 0", "quarantined 1,201", "decisions without effect 1", "failed checks none"],
        DECIDED: ["open reviews 1", "quarantined 9", "decisions without effect 5", "failed checks none"],
    }
