"""How rows travel from DuckDB into a PostgreSQL table: as Arrow batches of exactly the table's types, through COPY.

Which rows, and into which table, is decided elsewhere. ADBC writes garbage where an Arrow type is not the column's, so
every column is cast to its declared type on the way.
"""

from collections.abc import Iterator, Mapping

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pyarrow as pa
from sqlalchemy import Table

from crm_pipeline.tables.projections import duckdb_type, warehouse_type

ROWS_AT_ONCE = 4096
"""The server writes what it has while the next rows are made: in one batch a million take a third longer."""
OF_A_ROW = {"row_hash": ("_row_hash", "BIGINT", pa.int64())}
OF_A_CHANGE = OF_A_ROW | {"is_gone": ("_is_gone", "BOOLEAN", pa.bool_())}
"""Columns beside the declared ones: where they come from in DuckDB, their type there and in Arrow."""


def copy_rows(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str, *, into: str) -> int:
    """COPY the rows of query `source` into the table called `into` in the table's schema; return how many."""
    reader = _reader(con, table, source, OF_A_ROW)
    return int(cursor.adbc_ingest(into, reader, mode="append", db_schema_name=table.schema))


def stage_changes(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str) -> str:
    """COPY the changes of query `source` into a temporary table with no rows but these; return its name.

    It lasts as long as the session and is emptied by every commit: making one for each publication would bloat
    PostgreSQL's catalogs.
    """
    staged = f"staged_{table.name}"
    _make_stage(cursor, table, staged, "on commit delete rows")
    cursor.execute(f"delete from {staged}")
    cursor.adbc_ingest(staged, _reader(con, table, source, OF_A_CHANGE), mode="append", temporary=True)
    return staged


def send_ahead(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str) -> None:
    """COPY the changes of query `source`, many tenants', to where `sent_ahead` says, in the place of any before."""
    ahead = sent_ahead(table)
    _make_stage(cursor, table, ahead, "on commit preserve rows")
    cursor.execute(f"create index if not exists {ahead}_tenant on {ahead} (tenant_id)")
    cursor.execute(f"truncate {ahead}")
    cursor.adbc_ingest(ahead, _reader(con, table, source, OF_A_CHANGE), mode="append", temporary=True)
    cursor.execute(f"analyze {ahead}")


def sent_ahead(table: Table) -> str:
    """Name of the temporary table that lasts from one transaction of a session to the next."""
    return f"ahead_{table.name}"


def _make_stage(cursor: adbc.Cursor, table: Table, name: str, on_commit: str) -> None:
    cursor.execute(
        f"""create temp table if not exists {name} {on_commit} as
        select *, false as is_gone from {table.schema}.{table.name} with no data"""
    )


def _reader(
    con: duckdb.DuckDBPyConnection, table: Table, source: str, more: Mapping[str, tuple[str, str, pa.DataType]]
) -> pa.RecordBatchReader:
    schema = pa.schema(
        [(column.name, warehouse_type(column)) for column in table.columns]
        + [(name, kind) for name, (_, _, kind) in more.items()]
    )
    cast = {c.name: f"cast({c.name} as {duckdb_type(c)})" for c in table.columns}
    cast |= {name: f"cast({where} as {kind})" for name, (where, kind, _) in more.items()}
    uuids = {field.name for field in schema if field.type == pa.uuid()}
    selected = ", ".join(
        f"{f'cast({value} as uuid)::blob' if name in uuids else value} as {name}" for name, value in cast.items()
    )
    batches = con.sql(f"select {selected} from ({source})").to_arrow_reader(ROWS_AT_ONCE)
    return pa.RecordBatchReader.from_batches(schema, _as(schema, batches))


def _as(schema: pa.Schema, batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = [
            pa.ExtensionArray.from_storage(field.type, column.cast(field.type.storage_type))
            if isinstance(field.type, pa.BaseExtensionType)
            else column.cast(field.type)
            for field, column in zip(schema, batch.columns, strict=True)
        ]
        yield pa.record_batch(columns, schema=schema)
