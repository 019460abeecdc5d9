"""The state the warehouse stores of every publication: lake, version, row count and checksum."""

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
from crm_pipeline.vocabulary import TenantStatus

UPSERT_PUBLICATIONS_SQL = """
    with incoming as (
        select * from json_to_recordset($1::json) as incoming (
            table_name text, tenant_id text, as_of timestamptz, rows bigint, version bigint, lake_id text,
            checksum numeric)),
    upserted as (
        insert into crm.publications (table_name, tenant_id, run_id, as_of, rows, version, published_at)
        select table_name, tenant_id, $2, as_of, rows, version, $3 from incoming
        on conflict (table_name, tenant_id) do update
        set run_id = excluded.run_id, as_of = excluded.as_of, rows = excluded.rows, version = excluded.version,
            published_at = excluded.published_at)
    insert into crm.publication_states (table_name, tenant_id, lake_id, checksum)
    select table_name, tenant_id, lake_id, checksum from incoming where lake_id is not null
    on conflict (table_name, tenant_id) do update set lake_id = excluded.lake_id, checksum = excluded.checksum"""
PUBLICATION_STATES_QUERY = """
    select tenant_id, table_name, version, lake_id, rows, coalesce(checksum, 0)::text, as_of
    from crm.publications left join crm.publication_states using (table_name, tenant_id)"""
UPSERT_TENANT_REFRESHES_SQL = """
    insert into crm.tenant_refreshes (tenant_id, status, unpublished_reason, as_of, refreshed_at, run_id)
    select tenant_id, status, unpublished_reason, $2, now(), $3
    from json_to_recordset($1::json) as incoming (tenant_id text, status text, unpublished_reason text)
    on conflict (tenant_id) do update
    set status = excluded.status, unpublished_reason = excluded.unpublished_reason, as_of = excluded.as_of,
        refreshed_at = excluded.refreshed_at, run_id = excluded.run_id"""
UPDATE_REFRESH_TIME_SQL = """
    update crm.publications set as_of = $1, run_id = $2
    where tenant_id = any($3) and table_name not like '%.snapshot' or table_name = any($4)"""
"""Report tables get the run's hour for every tenant of the run, published or not."""


class ContentFingerprint(NamedTuple):
    """The number of rows and the sum of their hashes; equal fingerprints mean equal rows."""

    rows: int
    checksum: int


class PublicationState(NamedTuple):
    """The lake version a tenant's table was last published from, and its fingerprint."""

    version: int
    lake_id: str | None
    fingerprint: ContentFingerprint
    as_of: datetime


class SnapshotAge(NamedTuple):
    """The hour of a service's last accepted snapshot of a tenant, and its row count."""

    service: str
    tenant_id: str
    as_of: datetime
    rows: int


class TenantRefresh(NamedTuple):
    """How a refresh ended for a tenant: its status in the CRM where known, and why it was not published."""

    tenant_id: str
    status: str | None
    unpublished_reason: str | None

    @property
    def is_published(self) -> bool:
        """Whether its tables are of this refresh."""
        return self.unpublished_reason is None and self.status != TenantStatus.CLOSED


def read_publication_states(
    cursor: adbc.Cursor, tenant_id: str | None = None
) -> dict[tuple[str, str], PublicationState]:
    """Returns the published states of every tenant's tables, or of one tenant's, by table name and tenant."""
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
    """Stores the new published states, given by table name and tenant."""
    rows = [
        {
            "table_name": name,
            "tenant_id": tenant_id,
            "as_of": state.as_of.isoformat(),
            "rows": state.fingerprint.rows,
            "version": state.version,
            "lake_id": state.lake_id,
            "checksum": state.fingerprint.checksum,
        }
        for (name, tenant_id), state in states.items()
    ]
    cursor.execute(UPSERT_PUBLICATIONS_SQL, (json.dumps(rows), run_id, datetime.now(UTC)))


def store_snapshot_ages(cursor: adbc.Cursor, run_id: str, ages: Sequence[SnapshotAge]) -> None:
    """Stores the hour and the row count of the snapshots that tenants' tables were made from."""
    snapshots = {
        (f"{age.service}.snapshot", age.tenant_id): PublicationState(
            0, None, ContentFingerprint(age.rows, 0), age.as_of
        )
        for age in ages
    }
    store_publication_states(cursor, run_id, snapshots)


def store_refresh_time(
    cursor: adbc.Cursor, run_id: str, as_of: datetime, tenants: Sequence[str], run_tenants: Sequence[str] | None
) -> None:
    """Stores this hour as that of the tenants' tables, and of the reports and quarantined rows of `run_tenants`.

    None for `run_tenants` means every tenant.
    """
    reports = [table.name for table in REPORT_TABLES]
    cursor.execute(
        f"{UPDATE_REFRESH_TIME_SQL} and {build_tenant_condition(run_tenants)}", (as_of, run_id, list(tenants), reports)
    )
    cursor.execute(
        f"update crm.quarantined_records set last_seen_at = $1 where {build_tenant_condition(run_tenants)}", (as_of,)
    )


def store_tenant_refreshes(
    cursor: adbc.Cursor, run_id: str, as_of: datetime, refreshes: Sequence[TenantRefresh]
) -> None:
    """Stores how this refresh ended for its tenants."""
    rows = json.dumps([refresh._asdict() for refresh in refreshes])
    cursor.execute(UPSERT_TENANT_REFRESHES_SQL, (rows, as_of, run_id))


def read_lake_id(lake: Lake, table: Table) -> str:
    """Returns the Delta id of the lake's table, unique even for a rebuilt lake; "none" where there is no table."""
    path = lake.path(table)
    return str(DeltaTable(path).metadata().id) if DeltaTable.is_deltatable(path) else "none"


def tenant_id_sql(table: Table) -> str:
    """Returns the SQL expression of a row's tenant id, which is empty where the row has no tenant."""
    return "coalesce(tenant_id, '')" if table.c.tenant_id.nullable else "tenant_id"


def find_fingerprints(con: duckdb.DuckDBPyConnection, table: Table, relation: str) -> dict[str, ContentFingerprint]:
    """Returns the fingerprint of each tenant's rows in the relation, which has `_row_hash`."""
    totals = con.sql(f"select {tenant_id_sql(table)}, count(*), sum(_row_hash) from {relation} group by 1").fetchall()
    return {tenant: ContentFingerprint(rows, int(checksum)) for tenant, rows, checksum in totals}
