"""The audit of a resolution: SQL that looks for faults in the results, independent of the code that made them."""

from pathlib import Path
from typing import Final, NamedTuple

import duckdb

AUDIT_QUERIES: Final = [
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("audit_links.sql", "audit_ids.sql")
]
"""Queries that return (violation, tenant_id, subject) per fault: of links and profiles, and of profile ids."""


class Violation(NamedTuple):
    """A fault: what is wrong, the tenant, and the subject: a profile id, or a record as service and id."""

    violation: str
    tenant_id: str
    subject: str


def find_violations(con: duckdb.DuckDBPyConnection) -> list[Violation]:
    """Returns every fault of a resolution. All relations must be about the same tenants.

    Reads: customer_identities, identity_reviews, profile_ids and profile_events (of all runs), as declared; records,
        tenants, suppressed and overrides, with the columns of `ResolutionInputs`.
    """
    return [Violation(*row) for query in AUDIT_QUERIES for row in con.sql(query).fetchall()]
