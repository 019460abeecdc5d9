"""The hourly self-audit: sampled tenants, resolved again one by one from the lake's rows, must equal the stored tables.

It uses a separate connection: records are read, validated and normalised again. So it also finds errors of incremental
refreshes and rows mixed up between tenants. The sample is random with as_of as seed: the same hour has the same sample.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Final, NamedTuple

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.resources.lake.rows import build_row_hash_sql
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.resolution import RESOLVED_RELATIONS, read_records, resolve_tenants
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs.identity import customer_identities, profile_events
from crm_pipeline.tables.sources import crm

MAX_AUDITED_RECORDS: Final = 10_000
MAX_AUDITED_TENANTS: Final = 5
"""Tenants of 500 people take a third of a second each."""


class AuditResult(NamedTuple):
    """The audited tenants, their number of records, and per tenant the tables whose stored rows differ."""

    tenants: list[str]
    records: int
    differing_tables: dict[str, list[str]]


def audit_identities(run: RunContext, tenants: Sequence[str]) -> AuditResult:
    """Returns the audit of a random sample of tenants whose identities have just been stored; writes nothing."""
    with closing(run.lake.connect()) as con:
        sizes = _draw_tenants(run, con, tenants)
        audit_batch = replace(run, con=con, tenants=list(sizes))
        audit_batch.load_tenants()
        audit_batch.load_rows([*PERSON_TABLES.values(), crm.identity_override, crm.suppressed_identifier])
        audit_batch.define_as_of()
        read_records(audit_batch)
        differing = {tenant: _find_differing_tables(audit_batch, tenant) for tenant in sizes}
    return AuditResult(
        list(sizes), sum(sizes.values()), {tenant: tables for tenant, tables in differing.items() if tables}
    )


def _draw_tenants(run: RunContext, con: DuckDBPyConnection, tenants: Sequence[str]) -> dict[str, int]:
    """Returns tenants in random order with their number of records, as many as fit into the limits."""
    stored = run.lake.build_counts_query(customer_identities, tenants=tenants)
    rows = con.sql(
        f"select tenant_id, rows from ({stored}) order by md5($seed || tenant_id)",
        params={"seed": run.as_of.isoformat()},
    ).fetchall()
    chosen: dict[str, int] = {}
    for tenant, records in rows:
        if len(chosen) < MAX_AUDITED_TENANTS and sum(chosen.values()) + records <= MAX_AUDITED_RECORDS:
            chosen[tenant] = records
    return chosen


def _find_differing_tables(audit_batch: RunContext, tenant: str) -> list[str]:
    resolve_tenants(audit_batch, [tenant])
    return [
        table.name
        for table in RESOLVED_RELATIONS
        if _digest_resolved(audit_batch, table) != _digest_stored(audit_batch, table, tenant)
    ]


def _digest_resolved(audit_batch: RunContext, table: Table) -> tuple[Any, ...]:
    return _compute_digest(audit_batch.con, table, RESOLVED_RELATIONS[table])


def _digest_stored(audit_batch: RunContext, table: Table, tenant: str) -> tuple[Any, ...]:
    """Returns the digest of the stored rows; of no profile events, since resolving again adds none."""
    present = audit_batch.lake.create_current_view(audit_batch.con, table, tenants=[tenant], name="stored")
    return _compute_digest(audit_batch.con, table, f"{present} where {table is not profile_events}")


def _compute_digest(con: DuckDBPyConnection, table: Table, relation: str) -> tuple[Any, ...]:
    """Returns the number of rows and the sum of their hashes."""
    return con.sql(f"select count(*), sum({build_row_hash_sql(table)}) from {relation}").fetchall()[0]
