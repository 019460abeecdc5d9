"""What the warehouse keeps of every publication: of which version of which lake it was made, and what there is of it.

Publishing itself is `publication`'s and `publisher`'s business.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.tables import REPORT_TABLES

UPSERT_PUBLICATIONS_SQL = """
    with given as (
        select * from json_to_recordset($1::json) as given (
            table_name text, tenant_id text, as_of timestamptz, rows bigint, version bigint, lake_id text,
            checksum numeric)),
    noted as (
        insert into crm.publications (table_name, tenant_id, run_id, as_of, rows, version, published_at)
        select table_name, tenant_id, $2, as_of, rows, version, $3 from given
        on conflict (table_name, tenant_id) do update
        set run_id = excluded.run_id, as_of = excluded.as_of, rows = excluded.rows, version = excluded.version,
            published_at = excluded.published_at)
    insert into crm.publication_states (table_name, tenant_id, lake_id, checksum)
    select table_name, tenant_id, lake_id, checksum from given where lake_id is not null
    on conflict (table_name, tenant_id) do update set lake_id = excluded.lake_id, checksum = excluded.checksum"""
PUBLICATION_STATES_QUERY = """
    select tenant_id, table_name, version, lake_id, rows, coalesce(checksum, 0)::text, as_of
    from crm.publications left join crm.publication_states using (table_name, tenant_id)"""
UPDATE_REFRESH_TIME_SQL = """
    update crm.publications set as_of = $1, run_id = $2
    where tenant_id = any($3) and table_name not like '%.snapshot' or table_name = any($4)"""
"""The reports speak of the run's hour for whomever it looked at, published or not."""


class ContentFingerprint(NamedTuple):
    """What tells two sets of rows apart: their number, and the sum of their hashes."""

    rows: int
    checksum: int


class PublicationState(NamedTuple):
    """What a tenant's table was last published from."""

    version: int
    lake_id: str | None
    content: ContentFingerprint
    as_of: datetime


class SnapshotAge(NamedTuple):
    """The hour a service's last believed snapshot of a tenant is of, and its rows."""

    service: str
    tenant_id: str
    as_of: datetime
    rows: int


def read_publication_states(
    cursor: adbc.Cursor, tenant_id: str | None = None
) -> dict[tuple[str, str], PublicationState]:
    """What every tenant's tables, or one tenant's, were last published from, by table name and tenant."""
    if tenant_id is None:
        cursor.execute(PUBLICATION_STATES_QUERY)
    else:
        cursor.execute(f"{PUBLICATION_STATES_QUERY} where tenant_id = $1", (tenant_id,))
    return {
        (table, tenant): PublicationState(version, lake_id, ContentFingerprint(rows, int(checksum)), as_of)
        for tenant, table, version, lake_id, rows, checksum, as_of in cursor.fetchall()
    }


def store_publication_states(
    cursor: adbc.Cursor, run_id: str, states: Mapping[tuple[str, str], PublicationState]
) -> None:
    """Keep what these tables of these tenants, by table name and tenant, are published from now."""
    given = [
        {
            "table_name": name,
            "tenant_id": tenant_id,
            "as_of": state.as_of.isoformat(),
            "rows": state.content.rows,
            "version": state.version,
            "lake_id": state.lake_id,
            "checksum": state.content.checksum,
        }
        for (name, tenant_id), state in states.items()
    ]
    cursor.execute(UPSERT_PUBLICATIONS_SQL, (json.dumps(given), run_id, datetime.now(UTC)))


def store_snapshot_ages(cursor: adbc.Cursor, run_id: str, ages: Sequence[SnapshotAge]) -> None:
    """Keep how old the snapshots are that tenants' tables were made of."""
    snapshots = {
        (f"{age.service}.snapshot", age.tenant_id): PublicationState(
            0, None, ContentFingerprint(age.rows, 0), age.as_of
        )
        for age in ages
    }
    store_publication_states(cursor, run_id, snapshots)


def store_refresh_time(
    cursor: adbc.Cursor, run_id: str, as_of: datetime, tenants: Sequence[str], looked_at: Sequence[str] | None
) -> None:
    """Let the tenants' tables speak of this hour, and what was set aside of whom the run looked at, all for None."""
    reports = [table.name for table in REPORT_TABLES]
    cursor.execute(
        f"{UPDATE_REFRESH_TIME_SQL} and {build_tenant_condition(looked_at)}", (as_of, run_id, list(tenants), reports)
    )
    seen = f"update crm.quarantined_records set last_seen_at = $1 where {build_tenant_condition(looked_at)}"
    cursor.execute(seen, (as_of,))


def read_lake_id(lake: Lake, table: Table) -> str:
    """What tells this lake's table from that of any other lake, one made anew in its place too."""
    path = lake.path(table)
    return str(DeltaTable(path).metadata().id) if DeltaTable.is_deltatable(path) else "none"


def tenant_id_sql(table: Table) -> str:
    """SQL of the tenant a row belongs to; an empty one where it belongs to none."""
    return "coalesce(tenant_id, '')" if table.c.tenant_id.nullable else "tenant_id"


def find_fingerprints(con: duckdb.DuckDBPyConnection, table: Table, relation: str) -> dict[str, ContentFingerprint]:
    """What each tenant has in the relation."""
    found = con.sql(f"select {tenant_id_sql(table)}, count(*), sum(_row_hash) from {relation} group by 1").fetchall()
    return {tenant: ContentFingerprint(rows, int(checksum)) for tenant, rows, checksum in found}
