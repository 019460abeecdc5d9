"""The audit of a resolution: SQL that looks for faults in the results, independent of the code that made them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from crm_pipeline.domain.contact_keys.first_names import FoldedName, fold_first_name, list_nickname_pairs
from crm_pipeline.domain.table_queries import query_tables

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
    names = [name for (name,) in con.sql("select distinct first_name from records").fetchall() if name]
    pairs = [(name, nickname) for pair in list_nickname_pairs() for name in pair for nickname in pair]
    nicknames = pa.table(dict(zip(("name", "nickname"), zip(*pairs, strict=True), strict=True)))
    tables = {"folded_names": _build_folded_names(names), "nicknames": nicknames}
    return [Violation(*row.values()) for query in AUDIT_QUERIES for row in query_tables(con, query, tables).to_pylist()]


def _build_folded_names(names: Sequence[str]) -> pa.Table:
    folded = [(name, fold) for name in names if (fold := fold_first_name(name))]
    columns = {"first_name": [name for name, _ in folded]}
    columns |= {column: [getattr(fold, column) for _, fold in folded] for column in FoldedName._fields}
    types = [(name, pa.list_(pa.string()) if name == "openings" else pa.string()) for name in columns]
    return pa.table(columns, schema=pa.schema(types))
