"""Comparison of the warehouse with the lake: row counts and hash sums on both sides, tenant by tenant.

A tenant is compared with the lake at its published version, so one that waits for its checks is no difference. The next
refresh publishes what differs in full again, once its published state is deleted.
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
from crm_pipeline.tables import PUBLISHED_TABLES, PUBLISHER_TABLES

EMPTY_FINGERPRINT = ContentFingerprint(0, 0)


class TableDifference(NamedTuple):
    """A tenant's table that differs between warehouse and lake."""

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
    """Returns all differences in the tables published from the lake; no run may publish meanwhile."""
    # A transaction for each query: it locks every partition of a table.
    engine = warehouse.engine().execution_options(isolation_level="AUTOCOMMIT")
    with closing(lake.connect()) as con, engine.connect() as connection:
        return [
            difference
            for table in PUBLISHED_TABLES
            if table not in PUBLISHER_TABLES
            for difference in _compare_table(lake, con, connection, table)
        ]


def delete_publication_states(warehouse: Warehouse, differences: list[TableDifference]) -> None:
    """Deletes the published states of these tables, so that their next publication compares all rows."""
    with warehouse.engine().begin() as connection:
        for difference in differences:
            connection.execute(
                text(f"delete from {CRM_SCHEMA}.{STATES_TABLE} where table_name = :table and tenant_id = :tenant"),
                {"table": difference.table, "tenant": difference.tenant_id},
            )


def _compare_table(
    lake: Lake, con: duckdb.DuckDBPyConnection, connection: Connection, table: Table
) -> Iterator[TableDifference]:
    versions = _read_published_versions(lake, connection, table)
    warehouse_fingerprints = {
        tenant: ContentFingerprint(rows, int(checksum))
        for tenant, rows, checksum in connection.execute(
            text(f"select {tenant_id_sql(table)}, count(*), sum(row_hash) from {CRM_SCHEMA}.{table.name} group by 1")
        )
    }
    lake_fingerprints = _find_lake_fingerprints(
        lake, con, table, {tenant: version for tenant, version in versions.items() if version is not None}
    )
    for tenant in sorted(warehouse_fingerprints.keys() | versions.keys()):
        if versions.get(tenant, -1) is None:
            continue
        in_lake = lake_fingerprints.get(tenant, EMPTY_FINGERPRINT)
        in_warehouse = warehouse_fingerprints.get(tenant, EMPTY_FINGERPRINT)
        if in_lake != in_warehouse:
            yield TableDifference(table.name, tenant, in_lake, in_warehouse)


def _read_published_versions(lake: Lake, connection: Connection, table: Table) -> dict[str, int | None]:
    """Returns each tenant's published version; None where it is of another lake or its state was deleted."""
    published = connection.execute(
        text(f"""select tenant_id, version, lake_id from {CRM_SCHEMA}.publications
            left join {CRM_SCHEMA}.{STATES_TABLE} using (table_name, tenant_id) where table_name = :table"""),
        {"table": table.name},
    )
    lake_id = read_lake_id(lake, table)
    return {tenant: version if published_id == lake_id else None for tenant, version, published_id in published}


def _find_lake_fingerprints(
    lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, versions: dict[str, int]
) -> dict[str, ContentFingerprint]:
    """Returns the fingerprint of each tenant's rows in the lake as of its version in `versions`."""
    tenant, log = tenant_id_sql(table), lake.create_log_view(con, table)
    key = ", ".join(list_lake_key_columns(table))
    con.execute("create or replace temp table published_versions (tenant varchar, version bigint)")
    if versions:
        con.executemany("insert into published_versions values (?, ?)", list(versions.items()))
    totals = con.sql(f"""
        select tenant, count(*), sum(_row_hash) from (
            select tenant, _row_hash, _deleted from {log} join published_versions on tenant = {tenant}
            where _version <= version
            qualify row_number() over (partition by {key} order by _version desc) = 1
        ) where not _deleted group by tenant""").fetchall()
    return {name: ContentFingerprint(rows, int(checksum)) for name, rows, checksum in totals}
