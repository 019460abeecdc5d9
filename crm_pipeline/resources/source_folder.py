"""A service delivered as a folder of files: CSV, Parquet or JSON lines, one file a table, always a whole snapshot.

Files that are missing, cannot be read or lack a column are contract errors; what single values mean is judged in the
domain.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.source_contract import Delivery, Rows, SourceError, undeclared_columns
from crm_pipeline.vocabulary import Service

FORMATS = ("csv", "parquet", "jsonl")
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


def read_folder(con: duckdb.DuckDBPyConnection, service: Service, folder: Path, tables: Sequence[Table]) -> Delivery:
    """Read every table of `folder` as it lies there, whole. Raises SourceError."""
    if not folder.is_dir():
        raise SourceError(f"{service}: there is no folder {folder}")
    files = {table: _file_of(folder, table) for table in tables}
    if missing := [table.name for table, file in files.items() if file is None]:
        raise SourceError(f"{service}: {folder} has no {', no '.join(missing)} (.{', .'.join(FORMATS)})")
    return Delivery({table.name: _read_file(con, service, table, file) for table, file in files.items() if file})


def _file_of(folder: Path, table: Table) -> Path | None:
    return next((file for kind in FORMATS if (file := folder / f"{table.name}.{kind}").is_file()), None)


def _read_file(con: duckdb.DuckDBPyConnection, service: Service, table: Table, file: Path) -> Rows:
    relation = f"raw_{table.name}"
    try:
        scan, columns = _scan(con, table, file)
        undeclared = undeclared_columns(service, table, file.name, columns)
        declared = ", ".join(f'"{column.name}"' for column in table.columns)
        con.execute(f"create or replace temp table {relation} as select {declared} from {scan}")
    except (duckdb.Error, UnicodeDecodeError, csv.Error, OSError) as error:
        raise SourceError(f"{service}: {file.name} cannot be read: {_without_data(error)}") from None
    return Rows(relation, undeclared=undeclared)


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
