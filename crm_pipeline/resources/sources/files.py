"""Reads a service from a folder of files: CSV, Parquet or JSON lines, one file per table, always a full snapshot.

A file that is missing, cannot be read or lacks a column is a contract error.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Table

from crm_pipeline.resources.sources.delivery import (
    DeliveredTable,
    Delivery,
    SourceError,
    delete_empty_rows,
    find_undeclared_columns,
)
from crm_pipeline.resources.sources.file_rows import (
    MAX_VALUE_LENGTH,
    RowCount,
    RowError,
    count_rows,
    estimate_row_count,
    write_shortened_copy,
)
from crm_pipeline.settings import format_path
from crm_pipeline.vocabulary import Service

FILE_FORMATS = ("csv", "parquet", "jsonl")
MAX_LINE_BYTES = 32 * 1024 * 1024
"""Bytes in a row of text: enough to read and quarantine an over-long value instead of refusing the file."""

PARSER_ERROR_REASONS = {
    "Expected Number of Columns": "another number of values than the header has",
    "Invalid unicode": "it is not UTF-8",
    "invalid UTF-8": "it is not UTF-8",
    "unterminated quote": "a quote is never closed",
    "Maximum line size": f"a row is over {MAX_LINE_BYTES >> 20} MiB long",
    "maximum_object_size": f"a row is over {MAX_LINE_BYTES >> 20} MiB long",
    "reached an invalid state": "its quotes or line ends are not those of CSV",
    "Malformed JSON": "it is no JSON",
    "Expected OBJECT": "it is no JSON object",
    "has duplicate key": "a key appears twice",
    "magic bytes": "it is no Parquet file",
    "too small to be a Parquet file": "it is no Parquet file",
    "Could not convert Timestamp": "a time is out of range",
    "Out of Memory": "CRM_PIPELINE_MEMORY is too little for it",
}
"""Parts of DuckDB's error messages, and the reason shown for them; DuckDB's own text would quote data."""
DAMAGED_FILE_REASON = "it is damaged, or may not be read"


def read_folder(con: duckdb.DuckDBPyConnection, service: Service, folder: Path, tables: Sequence[Table]) -> Delivery:
    """Returns a delivery with every row of these tables in `folder`.

    Creates: temp table `raw_<table name>` per table, all columns as text or as the file types them.

    Raises:
        SourceError: the folder or a file is missing, ambiguous, unreadable, or lacks a column.
    """
    shown = format_path(folder)
    if not folder.is_dir():
        raise SourceError(f"{service}: there is no folder {shown}")
    files = {table: _find_table_files(folder, table) for table in tables}
    if missing := [table.name for table, candidates in files.items() if not candidates]:
        raise SourceError(f"{service}: {shown} has no {', no '.join(missing)} (.{', .'.join(FILE_FORMATS)})")
    if duplicates := [
        " and ".join(file.name for file in candidates) for candidates in files.values() if candidates[1:]
    ]:
        raise SourceError(f"{service}: {shown} has both {', both '.join(duplicates)}")
    return Delivery({table.name: _read_file(con, service, table, file) for table, (file,) in files.items()})


def _find_table_files(folder: Path, table: Table) -> list[Path]:
    return [file for kind in FILE_FORMATS if (file := folder / f"{table.name}.{kind}").is_file()]


def _read_file(con: duckdb.DuckDBPyConnection, service: Service, table: Table, file: Path) -> DeliveredTable:
    try:
        with _create_scratch_folder(con) as scratch:
            # DuckDB takes `*`, `?` and brackets in a path for a pattern and has no escape for all of them.
            link = scratch / file.name
            link.symlink_to(file.absolute())
            undeclared = _load_every_row(con, service, table, link)
        ignored_rows = delete_empty_rows(con, f"raw_{table.name}")
    except (duckdb.Error, pa.ArrowException, UnicodeDecodeError, csv.Error, OSError, RowError) as error:
        raise SourceError(f"{service}: {file.name} cannot be read: {_format_parser_error(error)}") from None
    return DeliveredTable(f"raw_{table.name}", undeclared_columns=undeclared, ignored_rows=ignored_rows)


@contextmanager
def _create_scratch_folder(con: duckdb.DuckDBPyConnection) -> Iterator[Path]:
    """Yields an empty folder beside the connection's spill, where personal data of a killed run are deleted."""
    [(spill,)] = con.execute("select current_setting('temp_directory')").fetchall()
    with TemporaryDirectory(dir=Path(spill).absolute().parent) as folder:
        yield Path(folder)


def _load_every_row(con: duckdb.DuckDBPyConnection, service: Service, table: Table, file: Path) -> tuple[str, ...]:
    """Creates `raw_<table name>` with every row of a file, over-long values cut; returns its undeclared columns.

    Raises:
        RowError: DuckDB reads another number of rows than the file has, or a row is too long to be cut.
    """
    try:
        undeclared = _load_rows(con, service, table, file)
        if _count_loaded_rows(con, table) == estimate_row_count(file):
            return undeclared
        expected = count_rows(file)
    except duckdb.Error as error:
        expected = _count_refused_rows(file, error)
    if expected.has_long_rows:
        copy = file.with_stem("shortened")
        write_shortened_copy(file, copy)
        undeclared = _load_rows(con, service, table, copy)
    if (loaded := _count_loaded_rows(con, table)) != expected.rows:
        raise RowError(f"it has {expected.rows:,} rows, of which {loaded:,} can be read")
    return undeclared


def _count_refused_rows(file: Path, error: duckdb.Error) -> RowCount:
    """Returns the rows of a file that DuckDB refused because some are too long; raises its error if none is."""
    if file.suffix == ".parquet" or file.stat().st_size <= MAX_VALUE_LENGTH:
        raise error
    try:
        expected = count_rows(file)
    except (csv.Error, UnicodeDecodeError):
        raise error from None
    if not expected.has_long_rows:
        raise error
    return expected


def _load_rows(con: duckdb.DuckDBPyConnection, service: Service, table: Table, file: Path) -> tuple[str, ...]:
    declared = [column.name for column in table.columns]
    scan_sql, columns = _build_file_scan_sql(con, declared, file)
    undeclared = find_undeclared_columns(service, table, f"{table.name}{file.suffix}", columns)
    if duplicated := [name for name in declared if columns.count(name) > 1]:
        raise SourceError(f"{service}: {table.name}{file.suffix} has column {', '.join(duplicated)} twice")
    con.execute(
        f"create or replace temp table raw_{table.name} as select {_format_column_list(declared)} from {scan_sql}"
    )
    return undeclared


def _count_loaded_rows(con: duckdb.DuckDBPyConnection, table: Table) -> int:
    [(rows,)] = con.execute(f"select count(*) from raw_{table.name}").fetchall()
    return int(rows)


def _build_file_scan_sql(con: duckdb.DuckDBPyConnection, declared: Sequence[str], file: Path) -> tuple[str, list[str]]:
    """Returns SQL that scans a file with at least its declared columns, and all column names of the file."""
    path = "'" + str(file).replace("'", "''") + "'"
    match file.suffix:
        case ".parquet":
            scan_sql = f"read_parquet({path}, hive_partitioning = false)"
            con.sql(f"from {scan_sql} limit 0")
            columns = pq.read_schema(file).names
            names = _format_column_list(_build_unique_names(declared, columns))
            return f"(from {scan_sql}) as delivered({names})", columns
        case ".jsonl":
            options = f"{path}, format = 'newline_delimited'"
            keys = con.sql(f"select distinct unnest(json_keys(json)) from read_json_objects({options})").fetchall()
            types = ", ".join(f"'{name}': 'VARCHAR'" for name in declared)
            scan_sql = f"read_json({options}, hive_partitioning = false, columns = {{{types}}})"
            return scan_sql, [key for (key,) in keys] or list(declared)  # without rows there are no names
        case _:
            columns = _read_csv_header(file)
            types = ", ".join(f"'{name}': 'VARCHAR'" for name in _build_unique_names(declared, columns))
            scan_sql = f"""read_csv({path}, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
                nullstr = '', strict_mode = true, max_line_size = {MAX_LINE_BYTES}, buffer_size = {2 * MAX_LINE_BYTES},
                hive_partitioning = false, columns = {{{types}}})"""
            return scan_sql, columns


def _build_unique_names(declared: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Returns a name per column of a file; DuckDB refuses empty names and names that differ only in case."""
    return [
        name if name in declared and columns.index(name) == position else f"column {position}"
        for position, name in enumerate(columns)
    ]


def _format_column_list(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _read_csv_header(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return next(csv.reader(lines), []) or [""]


def _format_parser_error(error: Exception) -> str:
    """Returns the reason of a parser error, without the data it quotes."""
    match error:
        case RowError():
            return str(error)
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case csv.Error():
            return "its quotes or line ends are not those of CSV"
        case OSError(strerror=str(reason)):
            return reason
        case duckdb.Error():
            return _format_duckdb_error(str(error))
    return DAMAGED_FILE_REASON


def _format_duckdb_error(message: str) -> str:
    line = re.search(r"line:? (\d+)", message, re.IGNORECASE)
    # For malformed JSON, DuckDB reports the following line.
    number = int(line[1]) - ("Malformed JSON" in message) if line else 0
    reason = next((reason for part, reason in PARSER_ERROR_REASONS.items() if part in message), DAMAGED_FILE_REASON)
    return f"line {number}: {reason}" if line else reason
