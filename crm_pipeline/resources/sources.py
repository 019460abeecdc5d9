"""The services as they are delivered: a folder of files or a PostgreSQL database, read whole and never written.

A source hands each table over as a DuckDB relation with the service's own column names. Missing tables and columns and
files that cannot be read are contract errors and stop the service; what single values mean is judged in the domain.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import adbc_driver_postgresql.dbapi as postgres
import duckdb
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import Column, Table, make_url
from sqlalchemy.exc import ArgumentError

from crm_pipeline.settings import source_variable
from crm_pipeline.tables import source_tables
from crm_pipeline.tables.projections import duckdb_type
from crm_pipeline.vocabulary import Service

FORMATS = ("csv", "parquet", "jsonl")
DATABASE_URL = re.compile(r"postgres(ql)?(\+\w+)?://")
SECONDS_TO_CONNECT = "30"
LONGEST_LINE = 32 * 1024 * 1024
"""Bytes of a CSV row: room for an over-long value to be read and set aside rather than to stop the file."""

FAULTS = {
    "Expected Number of Columns": "another number of values than the header has",
    "Invalid unicode": "it is not UTF-8",
    "invalid UTF-8": "it is not UTF-8",
    "unterminated quote": "a quote is never closed",
    "Maximum line size": f"a row is over {LONGEST_LINE:,} bytes long",
    "Malformed JSON": "it is no JSON",
    "Expected OBJECT": "it is no JSON object",
    "has duplicate key": "a key appears twice",
    "magic bytes": "it is no Parquet file",
    "too small to be a Parquet file": "it is no Parquet file",
}
"""Words DuckDB complains with, and ours for them; its own would quote data."""


class SourceError(Exception):
    """A service that cannot be read as it should; one line naming service, table and fault, and no data."""


@dataclass(frozen=True)
class Sources:
    """Where each service is read from."""

    urls: Mapping[Service, str]

    def snapshot(
        self, con: duckdb.DuckDBPyConnection, service: Service, *, only: Table | None = None
    ) -> dict[str, str]:
        """One consistent reading of a service: per table name, the DuckDB relation that holds it.

        Raises SourceError where the service is not set up, cannot be reached, or breaks its contract.
        """
        url = self.urls.get(service)
        if url is None:
            raise SourceError(f"{service}: {source_variable(service)} is not set")
        tables = (only,) if only is not None else source_tables(service)
        if DATABASE_URL.match(url):
            return _read_database(con, service, url, tables)
        if "://" in url and not url.startswith("file://"):
            raise SourceError(f"{service}: {source_variable(service)} must be a folder or a postgresql:// URL")
        folder = Path(unquote(urlsplit(url).path) if url.startswith("file://") else url)
        return _read_folder(con, service, folder, tables)


def _read_folder(
    con: duckdb.DuckDBPyConnection, service: Service, folder: Path, tables: Sequence[Table]
) -> dict[str, str]:
    if not folder.is_dir():
        raise SourceError(f"{service}: there is no folder {folder}")
    files = {table: _file_of(folder, table) for table in tables}
    if missing := [table.name for table, file in files.items() if file is None]:
        raise SourceError(f"{service}: {folder} has no {', no '.join(missing)} (.{', .'.join(FORMATS)})")
    return {table.name: _read_file(con, service, table, file) for table, file in files.items() if file}


def _file_of(folder: Path, table: Table) -> Path | None:
    return next((file for kind in FORMATS if (file := folder / f"{table.name}.{kind}").is_file()), None)


def _read_file(con: duckdb.DuckDBPyConnection, service: Service, table: Table, file: Path) -> str:
    relation = f"raw_{table.name}"
    try:
        scan, columns = _scan(con, table, file)
        _require_columns(service, table, file.name, columns)
        con.execute(f"create or replace temp table {relation} as select * from {scan}")
    except (duckdb.Error, UnicodeDecodeError, csv.Error, OSError) as error:
        raise SourceError(f"{service}: {file.name} cannot be read: {_without_data(error)}") from None
    return relation


def _scan(con: duckdb.DuckDBPyConnection, table: Table, file: Path) -> tuple[str, list[str]]:
    """The DuckDB scan of a file, and the columns it was delivered with."""
    path = "'" + str(file).replace("'", "''") + "'"
    if file.suffix == ".parquet":
        scan = f"read_parquet({path}, hive_partitioning = false)"
        return scan, [row[0] for row in con.sql(f"describe select * from {scan}").fetchall()]
    if file.suffix == ".jsonl":
        objects = f"read_json_objects({path}, format = 'newline_delimited')"
        if con.sql(f"from {objects} limit 1").fetchall():
            columns = [row[0] for row in con.sql(f"select distinct unnest(json_keys(json)) from {objects}").fetchall()]
        else:
            columns = [column.name for column in table.columns]  # a table without rows, and with them without names
        wanted = ", ".join(f"'{column.name}': 'VARCHAR'" for column in table.columns)
        scan = f"""read_json({path}, format = 'newline_delimited', hive_partitioning = false,
            columns = {{{wanted}}})"""
        return scan, columns
    columns = _csv_header(file)
    quoted = ", ".join("'" + name.replace("'", "''") + "': 'VARCHAR'" for name in columns)
    scan = f"""read_csv({path}, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
        nullstr = '', strict_mode = true, max_line_size = {LONGEST_LINE}, hive_partitioning = false,
        columns = {{{quoted}}})"""
    return scan, columns


def _csv_header(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        header = next(csv.reader(lines), [])
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise csv.Error(f"its header has {', '.join(twice)} twice")
    return header


def _require_columns(service: Service, table: Table, place: str, delivered: Sequence[str]) -> None:
    if missing := [column.name for column in table.columns if column.name not in delivered]:
        raise SourceError(f"{service}: {place} has no column {', '.join(missing)}")


def _without_data(error: Exception) -> str:
    """What a parser complained of, without the line it quotes."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if not isinstance(error, duckdb.Error):
        return getattr(error, "strerror", None) or str(error)
    message = str(error)
    line = re.search(r"line:? (\d+)", message, re.IGNORECASE)
    # Of malformed JSON, DuckDB names the line after.
    number = int(line[1]) - ("Malformed JSON" in message) if line else 0
    fault = next((words for sign, words in FAULTS.items() if sign in message), type(error).__name__)
    return f"line {number}: {fault}" if line else fault


def _read_database(
    con: duckdb.DuckDBPyConnection, service: Service, url: str, tables: Sequence[Table]
) -> dict[str, str]:
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
    _require_columns(service, table, f'table "{table.name}"', delivered)
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
