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
from crm_pipeline.resources.lake.rows import lake_key
from crm_pipeline.resources.warehouse.publishing.publication_state import Content, lake_id, tenant_column
from crm_pipeline.resources.warehouse.schema import SCHEMA, STATES
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED
from crm_pipeline.tables.outputs import operations

NOTHING = Content(0, 0)


class Difference(NamedTuple):
    """A tenant's table that is not in the warehouse as it is in the lake."""

    table: str
    tenant_id: str
    in_lake: Content
    in_warehouse: Content

    def __str__(self) -> str:
        where = f"{self.table} of {self.tenant_id or 'no tenant'}"
        if self.in_lake.rows == self.in_warehouse.rows:
            return f"{where}: other rows than the lake's"
        return f"{where}: {self.in_warehouse.rows} rows, the lake has {self.in_lake.rows}"


def differences(lake: Lake, warehouse: Warehouse) -> list[Difference]:
    """All differences in the tables that come from the lake; nobody may publish meanwhile."""
    with closing(lake.connect()) as con, warehouse.engine().connect() as connection:
        return [
            difference
            for table in PUBLISHED
            if table is not operations.publications
            for difference in _of_table(lake, con, connection, table)
        ]


def forget(warehouse: Warehouse, found: list[Difference]) -> None:
    """Let the next publication of these compare all rows."""
    with warehouse.engine().begin() as connection:
        for difference in found:
            connection.execute(
                text(f"delete from {SCHEMA}.{STATES} where table_name = :table and tenant_id = :tenant"),
                {"table": difference.table, "tenant": difference.tenant_id},
            )


def _of_table(lake: Lake, con: duckdb.DuckDBPyConnection, connection: Connection, table: Table) -> Iterator[Difference]:
    versions = _published_versions(lake, connection, table)
    stored = {
        tenant: Content(rows, int(checksum))
        for tenant, rows, checksum in connection.execute(
            text(f"select {tenant_column(table)}, count(*), sum(row_hash) from {SCHEMA}.{table.name} group by 1")
        )
    }
    kept = _in_lake(lake, con, table, {tenant: version for tenant, version in versions.items() if version is not None})
    for tenant in sorted(stored.keys() | versions.keys()):
        if versions.get(tenant, -1) is None:
            continue
        pair = kept.get(tenant, NOTHING), stored.get(tenant, NOTHING)
        if pair[0] != pair[1]:
            yield Difference(table.name, tenant, *pair)


def _published_versions(lake: Lake, connection: Connection, table: Table) -> dict[str, int | None]:
    """The version each tenant was published at; None where that was of another lake, or is to be compared in full."""
    found = connection.execute(
        text(f"""select tenant_id, version, lake_id from {SCHEMA}.publications
            left join {SCHEMA}.{STATES} using (table_name, tenant_id) where table_name = :table"""),
        {"table": table.name},
    )
    own = lake_id(lake, table)
    return {tenant: version if whose == own else None for tenant, version, whose in found}


def _in_lake(lake: Lake, con: duckdb.DuckDBPyConnection, table: Table, versions: dict[str, int]) -> dict[str, Content]:
    tenant, log = tenant_column(table), lake.log(con, table)
    con.execute("create or replace temp table published_at (tenant varchar, version bigint)")
    if versions:
        con.executemany("insert into published_at values (?, ?)", list(versions.items()))
    found = con.sql(f"""
        select tenant, count(*), sum(_row_hash) from (
            select tenant, _row_hash, _deleted from {log} join published_at on tenant = {tenant}
            where _version <= version
            qualify row_number() over (partition by {", ".join(lake_key(table))} order by _version desc) = 1
        ) where not _deleted group by tenant""").fetchall()
    return {name: Content(rows, int(checksum)) for name, rows, checksum in found}
