"""What the warehouse's tests share: rows as the lake would stage them, and questions to PostgreSQL.

The lake itself is not needed: a publisher sees DuckDB relations with `_row_hash`, and those are made here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb
import pyarrow as pa
from sqlalchemy import BigInteger, Boolean, Connection, DateTime, Double, String, Table, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from crm_pipeline.resources.lake.lake import Changes
from crm_pipeline.resources.lake.rows import row_hash
from crm_pipeline.resources.warehouse.publishing.publication_state import Content, contents
from crm_pipeline.resources.warehouse.publishing.table_publication import Rows
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.projections import arrow_schema, key_columns

LAKE = "a lake"
AS_OF = datetime(2026, 3, 31, 12, tzinfo=UTC)
PLAIN: dict[type[Any], Any] = {
    String: "plain",
    BigInteger: 1,
    Boolean: True,
    Double: 0.5,
    DateTime: AS_OF,
    UUID: "00000000-0000-0000-0000-000000000000",
    JSONB: "{}",
    ARRAY: [],
}
Row = dict[str, Any]


def a_row(table: Table, **values: Any) -> Row:  # noqa: ANN401
    """A row of `table` with these values; else null where it may be, and something plain where not."""
    return {c.key: values.get(c.key, None if c.nullable else PLAIN[type(c.type)]) for c in table.columns}


def a_connection() -> duckdb.DuckDBPyConnection:
    """A DuckDB connection like the lake's."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    return con


def stage(
    con: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[Row], version: int, tenant: str | None = None
) -> Rows:
    """These rows as `Publisher.publish` wants them, to be compared in full; of the first row's tenant by default."""
    con.register("incoming", pa.Table.from_pylist(list(rows), schema=arrow_schema(table)))
    con.execute(
        f"create or replace temp table rows_{table.name} as select *, {row_hash(table)} as _row_hash from incoming"
    )
    con.unregister("incoming")
    whose = rows[0]["tenant_id"] if tenant is None and rows else tenant
    content = contents(con, table, f"rows_{table.name}").get(whose or "", Content(0, 0))
    return Rows(table, f"rows_{table.name}", content, version, LAKE)


def publish(
    warehouse: Warehouse, tenant_id: str, tables: Mapping[Table, Sequence[Row]], version: int
) -> dict[str, Changes]:
    """Make the tenant's tables equal to these rows, through a publisher of its own."""
    con = a_connection()
    staged = [stage(con, table, rows, version, tenant_id) for table, rows in tables.items()]
    with warehouse.publisher(con, as_of=AS_OF, run_id=f"run {version}") as publisher:
        return publisher.publish(tenant_id, staged)


@contextmanager
def connected(
    warehouse: Warehouse, isolation: Literal["AUTOCOMMIT", "REPEATABLE READ"] = "AUTOCOMMIT"
) -> Iterator[Connection]:
    """A connection of somebody else's."""
    with warehouse.engine().execution_options(isolation_level=isolation).connect() as connection:
        yield connection


def ask(warehouse: Warehouse, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """The rows of a query."""
    with connected(warehouse) as connection:
        result = connection.execute(text(sql), parameters)
        return [tuple(row) for row in result] if result.returns_rows else []


def rows_of(warehouse: Warehouse, table: Table, tenant_id: str | None) -> list[Row]:
    """The published rows of a tenant as Python values, by key."""
    with connected(warehouse) as connection:
        return rows_seen(connection, table, tenant_id)


def rows_seen(connection: Connection, table: Table, tenant_id: str | None) -> list[Row]:
    """What this connection sees of a tenant's rows, by key."""
    query = select(table).where(table.c.tenant_id.is_not_distinct_from(tenant_id))
    return [
        dict(row) for row in connection.execute(query.order_by(*(table.c[k] for k in key_columns(table)))).mappings()
    ]
