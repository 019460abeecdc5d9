"""Whether the warehouse has what the lake has: rows counted and their hashes added up on both sides, tenant by tenant.

A tenant is compared with the lake as of the version it was published at, so that one that waits for its checks is no
difference. What differs is published in full again by the next refresh, once its state is forgotten.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import duckdb
from sqlalchemy import Connection, Table, text

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import list_lake_key_columns
from crm_pipeline.resources.warehouse.publishing.publication_state import (
    ContentFingerprint,
    read_lake_id,
    tenant_id_sql,
)
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, STATES_TABLE
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.outputs import operations

EMPTY_FINGERPRINT = ContentFingerprint(0, 0)


class TableDifference(NamedTuple):
    """A tenant's table that is not in the warehouse as it is in the lake."""

    table: str
    tenant_id: str
    in_lake: ContentFingerprint
    in_warehouse: ContentFingerprint

    def __str__(self) -> str:
        where = f"{self.table} of {self.tenant_id or 'no tenant'}"
        if self.in_lake.rows == self.in_warehouse.rows:
            return f"{where}: other rows than the lake's"
        return f"{where}: {self.in_warehouse.rows} rows, the lake has {self.in_lake.rows}"


def find_differences(lake: Lake, warehouse: Warehouse) -> list[TableDifference]:
    """All differences in the tables that come from the lake; nobody may publish meanwhile."""
    with closing(lake.connect()) as con, warehouse.engine().connect() as connection:
        return [
            difference
            for table in PUBLISHED_TABLES
            if table is not operations.publications
            for difference in _compare_table(lake, con, connection, table)
        ]


def delete_publication_states(warehouse: Warehouse, found: list[TableDifference]) -> None:
    """Let the next publication of these compare all rows."""
    with warehouse.engine().begin() as connection:
        for difference in found:
            connection.execute(
                text(f"delete from {CRM_SCHEMA}.{STATES_TABLE} where table_name = :table and tenant_id = :tenant"),
                {"table": difference.table, "tenant": difference.tenant_id},
            )


def _compare_table(
    lake: Lake, con: duckdb.DuckDBPyConnection, connection: Connection, table: Table
) -> Iterator[TableDifference]:
    versions = _read_published_versions(lake, connection, table)
    stored = {
        tenant: ContentFingerprint(rows, int(checksum))
        for tenant, rows, checksum in connection.execute(
            text(f"select {tenant_id_sql(table)}, count(*), sum(row_hash) from {CRM_SCHEMA}.{table.name} group by 1")
        )
    }
    kept = _find_lake_fingerprints(
        lake, con, table, {tenant: version for tenant, version in versions.items() if version is not None}
    )
    for tenant in sorted(stored.keys() | versions.keys()):
        if versions.get(tenant, -1) is None:
            continue
        pair = kept.get(tenant, EMPTY_FINGERPRINT), stored.get(tenant, EMPTY_FINGERPRINT)
        if pair[0] != pair[1]:
            yield TableDifference(table.name, tenant, *pair)


def _read_published_versions(lake: Lake, connection: Connection, table: Table) -> dict[str, int | None]:
    """The version each tenant was published at; None where that was of another lake, or is to be compared in full."""
    found = connection.execute(
        text(f"""select tenant_id, version, lake_id from {CRM_SCHEMA}.publications
            left join {CRM_SCHEMA}.{STATES_TABLE} using (table_name, tenant_id) where table_name = :table"""),
        {"table": table.name},
    )
    own = read_lake_id(lake, table)
    return {tenant: version if whose == own else None for tenant, version, whose in found}


def _find_lake_fingerprints(
    lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, versions: dict[str, int]
) -> dict[str, ContentFingerprint]:
    tenant, log = tenant_id_sql(table), lake.log(con, table)
    con.execute("create or replace temp table published_at (tenant varchar, version bigint)")
    if versions:
        con.executemany("insert into published_at values (?, ?)", list(versions.items()))
    found = con.sql(f"""
        select tenant, count(*), sum(_row_hash) from (
            select tenant, _row_hash, _deleted from {log} join published_at on tenant = {tenant}
            where _version <= version
            qualify row_number() over (partition by {", ".join(list_lake_key_columns(table))} order by _version desc) = 1
        ) where not _deleted group by tenant""").fetchall()
    return {name: ContentFingerprint(rows, int(checksum)) for name, rows, checksum in found}
