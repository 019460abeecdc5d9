"""How rows travel from DuckDB into a PostgreSQL table: as Arrow batches of exactly the table's types, through COPY.

Which rows, and into which table, is decided elsewhere. ADBC writes garbage where an Arrow type is not the column's, so
every column is cast to its declared type on the way.
"""

from collections.abc import Iterator, Mapping

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pyarrow as pa
from sqlalchemy import Table

from crm_pipeline.tables.projections import to_copy_arrow_type, to_duckdb_type

ARROW_BATCH_ROWS = 4096
"""The server writes what it has while the next rows are made: in one batch a million take a third longer."""
EXTRA_ROW_COLUMNS = {"row_hash": ("_row_hash", "BIGINT", pa.int64())}
EXTRA_CHANGE_COLUMNS = EXTRA_ROW_COLUMNS | {"is_gone": ("_is_removed", "BOOLEAN", pa.bool_())}
"""Columns beside the declared ones: where they come from in DuckDB, their type there and in Arrow."""


def copy_rows(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str, *, into: str) -> int:
    """COPY the rows of query `source` into the table called `into` in the table's schema; return how many."""
    reader = _build_arrow_reader(con, table, source, EXTRA_ROW_COLUMNS)
    return int(cursor.adbc_ingest(into, reader, mode="append", db_schema_name=table.schema))


def copy_changes(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str) -> str:
    """COPY the changes of query `source` into a temporary table with no rows but these; return its name.

    It lasts as long as the session and is emptied by every commit: making one for each publication would bloat
    PostgreSQL's catalogs.
    """
    staged = f"staged_{table.name}"
    _create_changes_table(cursor, table, staged, "on commit delete rows")
    cursor.execute(f"delete from {staged}")
    cursor.adbc_ingest(
        staged, _build_arrow_reader(con, table, source, EXTRA_CHANGE_COLUMNS), mode="append", temporary=True
    )
    return staged


def load_pending_rows(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str) -> None:
    """COPY the changes of query `source`, many tenants', to where `sent_ahead` says, in the place of any before."""
    ahead = pending_table_name(table)
    _create_changes_table(cursor, table, ahead, "on commit preserve rows")
    cursor.execute(f"create index if not exists {ahead}_tenant on {ahead} (tenant_id)")
    cursor.execute(f"truncate {ahead}")
    cursor.adbc_ingest(
        ahead, _build_arrow_reader(con, table, source, EXTRA_CHANGE_COLUMNS), mode="append", temporary=True
    )
    cursor.execute(f"analyze {ahead}")


def pending_table_name(table: Table) -> str:
    """Name of the temporary table that lasts from one transaction of a session to the next."""
    return f"ahead_{table.name}"


def _create_changes_table(cursor: adbc.Cursor, table: Table, name: str, on_commit: str) -> None:
    cursor.execute(
        f"""create temp table if not exists {name} {on_commit} as
        select *, false as is_gone from {table.schema}.{table.name} with no data"""
    )


def _build_arrow_reader(
    con: duckdb.DuckDBPyConnection, table: Table, source: str, more: Mapping[str, tuple[str, str, pa.DataType]]
) -> pa.RecordBatchReader:
    schema = pa.schema(
        [(column.name, to_copy_arrow_type(column)) for column in table.columns]
        + [(name, kind) for name, (_, _, kind) in more.items()]
    )
    cast = {c.name: f"cast({c.name} as {to_duckdb_type(c)})" for c in table.columns}
    cast |= {name: f"cast({where} as {kind})" for name, (where, kind, _) in more.items()}
    uuids = {field.name for field in schema if field.type == pa.uuid()}
    selected = ", ".join(
        f"{f'cast({value} as uuid)::blob' if name in uuids else value} as {name}" for name, value in cast.items()
    )
    batches = con.sql(f"select {selected} from ({source})").to_arrow_reader(ARROW_BATCH_ROWS)
    return pa.RecordBatchReader.from_batches(schema, _cast_arrow_batches(schema, batches))


def _cast_arrow_batches(schema: pa.Schema, batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = [
            pa.ExtensionArray.from_storage(field.type, column.cast(field.type.storage_type))
            if isinstance(field.type, pa.BaseExtensionType)
            else column.cast(field.type)
            for field, column in zip(schema, batch.columns, strict=True)
        ]
        yield pa.record_batch(columns, schema=schema)
