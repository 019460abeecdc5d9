"""The hourly self-audit: some tenants, resolved again each alone from the lake's rows, must give what is stored.

It shares no relation with the run it audits: records are read, judged and normalised anew. So it finds whatever came
between the records and the tables, or from one tenant into another. Which tenants is left to chance, seeded by as_of,
so that the same hour always audits the same.
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
MAX_AUDITED_TENANTS: Final = 10


class AuditResult(NamedTuple):
    """What was audited, and the tables of each tenant in which something else is stored."""

    tenants: list[str]
    records: int
    differing: dict[str, list[str]]


def audit_identities(run: RunContext, tenants: Sequence[str]) -> AuditResult:
    """Audit a random sample of tenants whose identities have just been kept; nothing is written."""
    with closing(run.lake.connect()) as con:
        sizes = _draw_tenants(run, con, tenants)
        own = replace(run, con=con, tenants=list(sizes))
        own.load_tenants()
        own.load_rows([*PERSON_TABLES.values(), crm.identity_override, crm.suppressed_identifier])
        own.define_as_of()
        read_records(own)
        found = {tenant: _find_differing_tables(own, tenant) for tenant in sizes}
    return AuditResult(list(sizes), sum(sizes.values()), {tenant: tables for tenant, tables in found.items() if tables})


def _draw_tenants(run: RunContext, con: DuckDBPyConnection, tenants: Sequence[str]) -> dict[str, int]:
    """Tenants in random order with their numbers of records, as many as fit; who alone is too large never does."""
    stored = run.lake.counts(customer_identities, tenants=tenants)
    rows = con.sql(
        f"select tenant_id, rows from ({stored}) order by md5($seed || tenant_id)",
        params={"seed": run.as_of.isoformat()},
    ).fetchall()
    chosen: dict[str, int] = {}
    for tenant, records in rows:
        if len(chosen) < MAX_AUDITED_TENANTS and sum(chosen.values()) + records <= MAX_AUDITED_RECORDS:
            chosen[tenant] = records
    return chosen


def _find_differing_tables(own: RunContext, tenant: str) -> list[str]:
    resolve_tenants(own, [tenant])
    return [
        table.name for table in RESOLVED_RELATIONS if _digest_resolved(own, table) != _digest_stored(own, table, tenant)
    ]


def _digest_resolved(own: RunContext, table: Table) -> tuple[Any, ...]:
    return _compute_digest(own.con, table, RESOLVED_RELATIONS[table])


def _digest_stored(own: RunContext, table: Table, tenant: str) -> tuple[Any, ...]:
    """What is stored; of events none, for a tenant resolved again has no new ones."""
    present = own.lake.current(own.con, table, tenants=[tenant], name="stored")
    return _compute_digest(own.con, table, f"{present} where {table is not profile_events}")


def _compute_digest(con: DuckDBPyConnection, table: Table, relation: str) -> tuple[Any, ...]:
    """How many rows there are, and a number that any change in one of them changes."""
    return con.sql(f"select count(*), sum({build_row_hash_sql(table)}) from {relation}").fetchall()[0]
