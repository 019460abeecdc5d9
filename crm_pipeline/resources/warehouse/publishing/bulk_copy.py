"""COPY of DuckDB rows into PostgreSQL tables, as Arrow batches.

ADBC writes garbage where an Arrow type is not the column's, so every column is cast to its declared type first.
"""

from collections.abc import Iterator, Mapping

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pyarrow as pa
from sqlalchemy import Table

from crm_pipeline.tables.projections import to_copy_arrow_type, to_duckdb_type

ARROW_BATCH_ROWS = 4096
"""The server writes one batch while the next is made; a million rows in a single batch take a third longer."""
EXTRA_ROW_COLUMNS = {"row_hash": ("_row_hash", "BIGINT", pa.int64())}
EXTRA_CHANGE_COLUMNS = EXTRA_ROW_COLUMNS | {"is_removed": ("_is_removed", "BOOLEAN", pa.bool_())}
"""Columns besides the declared ones: per PostgreSQL name the DuckDB column, its type there and its Arrow type."""


def read_rows(con: duckdb.DuckDBPyConnection, table: Table, source: str) -> pa.RecordBatchReader:
    """Returns the rows of query `source` with `row_hash`, which are read as they are copied."""
    return _build_arrow_reader(con, table, source, EXTRA_ROW_COLUMNS)


def copy_rows(cursor: adbc.Cursor, table: Table, rows: pa.RecordBatchReader, *, target: str) -> int:
    """Returns how many rows were copied into `target`, a name within the table's schema."""
    return int(cursor.adbc_ingest(target, rows, mode="append", db_schema_name=table.schema))


def copy_changes(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str) -> str:
    """Returns the name of a PostgreSQL temp table that holds the changes of query `source` and no other rows.

    It lasts as long as the session and every commit empties it, since one per publication would bloat the catalogs.

    Creates: `tenant_changes_<table>` in PostgreSQL: the table's columns, `row_hash` and `is_removed`.
    """
    changes_table = f"tenant_changes_{table.name}"
    _create_changes_table(cursor, table, changes_table, "on commit delete rows")
    cursor.execute(f"delete from {changes_table}")
    reader = _build_arrow_reader(con, table, source, EXTRA_CHANGE_COLUMNS)
    cursor.adbc_ingest(changes_table, reader, mode="append", temporary=True)
    return changes_table


def load_pending_rows(cursor: adbc.Cursor, con: duckdb.DuckDBPyConnection, table: Table, source: str) -> None:
    """Copies the changes of query `source`, of many tenants, into `pending_table_name`, replacing its rows.

    Creates: `pending_<table>` in PostgreSQL: the table's columns, `row_hash` and `is_removed`.
    """
    pending_table = pending_table_name(table)
    _create_changes_table(cursor, table, pending_table, "on commit preserve rows")
    cursor.execute(f"create index if not exists {pending_table}_tenant on {pending_table} (tenant_id)")
    cursor.execute(f"truncate {pending_table}")
    reader = _build_arrow_reader(con, table, source, EXTRA_CHANGE_COLUMNS)
    cursor.adbc_ingest(pending_table, reader, mode="append", temporary=True)
    cursor.execute(f"analyze {pending_table}")


def pending_table_name(table: Table) -> str:
    """Returns the name of the PostgreSQL temp table whose rows last for the whole session."""
    return f"pending_{table.name}"


def _create_changes_table(cursor: adbc.Cursor, table: Table, name: str, on_commit: str) -> None:
    cursor.execute(
        f"""create temp table if not exists {name} {on_commit} as
        select *, false as is_removed from {table.schema}.{table.name} with no data"""
    )


def _build_arrow_reader(
    con: duckdb.DuckDBPyConnection, table: Table, source: str, extra_columns: Mapping[str, tuple[str, str, pa.DataType]]
) -> pa.RecordBatchReader:
    """Returns the rows of query `source` in the table's types; UUIDs leave DuckDB as blobs of 16 bytes."""
    schema = pa.schema(
        [(column.name, to_copy_arrow_type(column)) for column in table.columns]
        + [(name, kind) for name, (_, _, kind) in extra_columns.items()]
    )
    cast = {c.name: f"cast({c.name} as {to_duckdb_type(c)})" for c in table.columns}
    cast |= {name: f"cast({source_column} as {kind})" for name, (source_column, kind, _) in extra_columns.items()}
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
