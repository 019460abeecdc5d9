"""An independent check of a resolution against the records: what should never be found, looked for in SQL alone.

Belongs here: faults of the result. Does not belong here: any of the code it checks.
"""

from pathlib import Path
from typing import Final, NamedTuple

import duckdb

AUDIT_QUERIES: Final = [
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("audit_links.sql", "audit_ids.sql")
]
"""What must not be, of links and profiles and of profile ids: queries of violation, tenant and subject."""


class Violation(NamedTuple):
    """A fault: what is wrong, and of whom: a profile id, or a record as service and id."""

    violation: str
    tenant_id: str
    subject: str


def find_violations(con: duckdb.DuckDBPyConnection) -> list[Violation]:
    """Every fault in relations `customer_identities`, `identity_reviews`, `profile_ids` and `profile_events`.

    They are as declared, the events those of all runs, and are held against the relations `records`, `tenants`,
    `suppressed` and `overrides`, with the columns of `identities.Inputs`. All of them must be about the same tenants.
    """
    return [Violation(*row) for check in AUDIT_QUERIES for row in con.sql(check).fetchall()]
