"""A service delivered as a PostgreSQL database: read in one consistent transaction, never written."""

import re
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import adbc_driver_postgresql.dbapi as postgres
import duckdb
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import Column, Table, make_url
from sqlalchemy.exc import ArgumentError

from crm_pipeline.resources.source_contract import SourceError, require_columns
from crm_pipeline.settings import source_variable
from crm_pipeline.tables.projections import duckdb_type
from crm_pipeline.vocabulary import Service

SECONDS_TO_CONNECT = "30"


def read_database(
    con: duckdb.DuckDBPyConnection, service: Service, url: str, tables: Sequence[Table]
) -> dict[str, str]:
    """Read every table in one transaction; return the relations by table name. Raises SourceError."""
    with closing(_connect(service, url)) as connection, closing(connection.cursor()) as cursor:
        try:
            cursor.execute("set transaction isolation level repeatable read, read only")
            return {table.name: _read_table(con, cursor, service, table) for table in tables}
        except (AdbcError, duckdb.Error) as error:  # DuckDB's where the server fails in the middle of a table
            raise SourceError(f"{service}: the database cannot be read: {_said_by_server(error)}") from None


def _connect(service: Service, url: str) -> postgres.Connection:
    try:
        parsed = make_url(url)
        query = {"connect_timeout": SECONDS_TO_CONNECT, **parsed.query}
        dsn = parsed.set(drivername="postgresql", query=query).render_as_string(hide_password=False)
        return postgres.connect(dsn)
    except AdbcError as error:
        raise SourceError(f"{service}: the database does not answer: {_said_by_server(error)}") from None
    except (ArgumentError, ValueError):  # which quote the URL, and with it the password
        raise SourceError(f"{service}: {source_variable(service)} is no database URL") from None


def _read_table(con: duckdb.DuckDBPyConnection, cursor: postgres.Cursor, service: Service, table: Table) -> str:
    relation = f"raw_{table.name}"
    cursor.execute(
        "select attname from pg_attribute where attrelid = to_regclass($1) and attnum > 0", (f'"{table.name}"',)
    )
    delivered = [row[0] for row in cursor.fetchall()]
    if not delivered:
        raise SourceError(f'{service}: the database has no table "{table.name}"')
    require_columns(service, table, f'table "{table.name}"', delivered)
    columns = ", ".join(f'"{column.name}"{_cast(column)} as "{column.name}"' for column in table.columns)
    cursor.execute(f'select {columns} from "{table.name}"')
    batches = cursor.fetch_record_batch()  # noqa: F841  DuckDB finds it by name
    con.execute(f"create or replace temp table {relation} as select * from batches")
    return relation


def _cast(column: Column[Any]) -> str:
    """Enums, uuids and decimals come as text, which loses nothing; times and whole numbers come as they are."""
    return "" if duckdb_type(column) in ("BIGINT", "BOOLEAN", "TIMESTAMPTZ", "DATE") else "::text"


def _said_by_server(error: Exception) -> str:
    """The first line of an error, without the names of those who passed it on."""
    return re.split(r"\[libpq\][^:]*: (?:.*ERROR: +)?", str(error).strip().splitlines()[0])[-1]
