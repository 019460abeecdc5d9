"""Reads a service from a PostgreSQL database in one consistent, read-only transaction.

Rows that may have changed since an earlier snapshot are found by the id of the transaction that wrote them: every row
that snapshot could not see was written by a transaction at or above its horizon. No clock is involved, so late commits,
differing clocks and rows with a stale updatedAt are all found, on a replica as on a primary.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import adbc_driver_postgresql.dbapi as postgres
import duckdb
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import Column, Table

from crm_pipeline.resources.sources.database_errors import (
    TransientSourceError,
    build_connection_error,
    build_reading_error,
)
from crm_pipeline.resources.sources.delivery import (
    DeliveredTable,
    Delivery,
    ExtractionRequest,
    Horizon,
    SourceError,
    delete_empty_rows,
    find_undeclared_columns,
)
from crm_pipeline.settings import SettingError, build_source_variable_name, format_libpq_url, parse_database_url
from crm_pipeline.tables.projections import to_duckdb_type
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

CONNECTION_PARAMETERS = {"connect_timeout": "30", "application_name": "crm-pipeline"}
CLIENT_ENCODING = {"client_encoding": "utf8"}
"""Without it text comes in the encoding of the database."""
TIMEOUTS = {"statement_timeout": "10min", "lock_timeout": "30s", "idle_in_transaction_session_timeout": "10min"}
READING_SETTINGS = {
    "row_security": "off",
    "standard_conforming_strings": "on",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
"""Settings of a role or database that would change what is read. Without row_security, PostgreSQL refuses a table whose
policies hide rows from the role, instead of leaving them out."""
READING_DEADLINE = timedelta(hours=1)
"""Longest time that reading all tables of a service may take."""
RETRY_DELAYS = (1.0, 5.0)
"""Seconds before the second and the third attempt."""
TRANSACTION_ID_COUNT = 2**32
"""Values of the 32-bit ids that rows carry; they wrap around."""
HORIZON_QUERY = """
    select (select system_identifier from pg_control_system()) || '.'
            || (select timeline_id from pg_control_checkpoint()) || '.'
            || (select oid from pg_database where datname = current_database()),
        txid_snapshot_xmin(txid_current_snapshot()), txid_snapshot_xmax(txid_current_snapshot())"""
COLUMNS_QUERY = """
    select a.attname, t.typname, c.relkind::text, has_column_privilege(c.oid, a.attnum, 'select'),
        row_security_active(c.oid), has_column_privilege(c.oid, (-2)::int2, 'select') is true,
        exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
            and i.indnkeyatts = 1 and i.indkey[0] = a.attnum)
    from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid
    where c.oid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum"""
RELATION_KINDS_WITH_XMIN = ("r", "p")
"""Kinds of relation whose rows carry the transaction that wrote them: tables and partitioned tables, no views."""


class _DeliveredColumn(NamedTuple):
    """A column in the database, with what is known of its relation: its kind (relkind), and what the role may read."""

    type_name: str
    relation_kind: str
    is_readable: bool
    is_row_secured: bool
    is_xmin_readable: bool
    is_unique: bool


def read_database(
    con: duckdb.DuckDBPyConnection, service: Service, url: str, tables: Sequence[Table], request: ExtractionRequest
) -> Delivery:
    """Returns a delivery of these tables, read in one transaction; tries again after errors that may pass.

    Creates: temp table `raw_<table name>` per table, and `keys_<table name>` where keys are requested.

    Raises:
        SourceError: the database cannot be reached or read, or lacks a table or column.
    """
    for delay in RETRY_DELAYS:
        try:
            return _read_tables(con, service, url, tables, request)
        except TransientSourceError:
            time.sleep(delay)
    return _read_tables(con, service, url, tables, request)


def _read_tables(
    con: duckdb.DuckDBPyConnection, service: Service, url: str, tables: Sequence[Table], request: ExtractionRequest
) -> Delivery:
    with closing(_open_connection(service, url)) as connection, closing(connection.cursor()) as cursor:
        try:
            cursor.execute("set transaction isolation level repeatable read, read only")
            for name, value in (TIMEOUTS | READING_SETTINGS).items():
                cursor.execute(f"set local {name} = '{value}'")
            horizon, request = _read_horizon(cursor, request)
        except AdbcError as error:
            raise build_reading_error(service, None, error) from None
        with _end_after_deadline(service, url, cursor):
            read = {table.name: _read_table(con, cursor, service, table, request) for table in tables}
        return Delivery(read, horizon)


@contextmanager
def _end_after_deadline(service: Service, url: str, cursor: postgres.Cursor) -> Iterator[None]:
    """Ends the session where the body takes longer than READING_DEADLINE, which makes the body fail.

    The session's own timeouts are not enough: a function of the database can reset them, and catch a cancellation.

    Raises:
        SourceError: it took longer.
    """
    cursor.execute("select pg_backend_pid()")
    [(pid,)] = cursor.fetchall()
    is_over = threading.Event()

    def end_session() -> None:
        is_over.set()
        with closing(_open_connection(service, url)) as connection, closing(connection.cursor()) as administrator:
            administrator.execute("select pg_terminate_backend(cast($1 as bigint)::integer)", (pid,))
            administrator.fetchall()

    timer = threading.Timer(READING_DEADLINE.total_seconds(), end_session)
    timer.start()
    try:
        yield
    except SourceError:
        if is_over.is_set():
            minutes = READING_DEADLINE.total_seconds() / 60
            raise SourceError(f"{service}: the database takes longer than {minutes:g} minutes to read") from None
        raise
    finally:
        timer.cancel()


def _open_connection(service: Service, url: str) -> postgres.Connection:
    try:
        parsed = parse_database_url(build_source_variable_name(service), url)
        query = {**CONNECTION_PARAMETERS, **parsed.query, **CLIENT_ENCODING}
        return postgres.connect(format_libpq_url(parsed.set(query=query)))
    except AdbcError as error:
        raise build_connection_error(service, parsed.host, error) from None
    except SettingError as error:
        raise SourceError(f"{service}: {error}") from None


def _read_horizon(cursor: postgres.Cursor, request: ExtractionRequest) -> tuple[Horizon, ExtractionRequest]:
    """Returns this transaction's horizon and the request; without `since` if that is of another database."""
    cursor.execute(HORIZON_QUERY)
    [(origin, oldest_open_xid, next_xid)] = cursor.fetchall()
    since = request.since
    # Ids wrap around: half of them count as earlier than any given id.
    if since and not (since.origin == origin and 0 <= next_xid - since.xid < TRANSACTION_ID_COUNT // 2):
        request = request._replace(since=None)
    return Horizon(origin, oldest_open_xid), request


def _read_table(
    con: duckdb.DuckDBPyConnection, cursor: postgres.Cursor, service: Service, table: Table, request: ExtractionRequest
) -> DeliveredTable:
    try:
        cursor.execute(COLUMNS_QUERY, (f'"{table.name}"',))
        delivered = {name: _DeliveredColumn(*rest) for name, *rest in cursor.fetchall()}
        undeclared = _validate_columns(service, table, delivered)
        read = _load_rows(con, cursor, table, delivered, request)
        ignored_rows = delete_empty_rows(con, read.relation)
    except (AdbcError, duckdb.Error) as error:
        raise build_reading_error(service, table.name, error) from None
    return read._replace(undeclared_columns=undeclared, ignored_rows=ignored_rows)


def _validate_columns(service: Service, table: Table, delivered: dict[str, _DeliveredColumn]) -> tuple[str, ...]:
    """Returns the undeclared columns.

    Raises:
        SourceError: the table or a column is missing, or the role may not read it, or not all of its rows.
    """
    if not delivered:
        raise SourceError(f'{service}: the database has no table "{table.name}"')
    place = f'table "{table.name}"'
    undeclared = find_undeclared_columns(service, table, place, list(delivered))
    unreadable = [column.name for column in table.columns if not delivered[column.name].is_readable]
    if len(unreadable) == len(table.columns):
        raise SourceError(f"{service}: {place} cannot be read: grant the role SELECT on it")
    if unreadable:
        raise SourceError(f"{service}: {place} cannot be read: grant the role SELECT on column {', '.join(unreadable)}")
    if any(column.is_row_secured for column in delivered.values()):
        raise SourceError(
            f"{service}: {place} cannot be read: row-level security would hide rows of it;"
            " grant the role BYPASSRLS, or read as the owner"
        )
    return undeclared


def _load_rows(
    con: duckdb.DuckDBPyConnection,
    cursor: postgres.Cursor,
    table: Table,
    delivered: dict[str, _DeliveredColumn],
    request: ExtractionRequest,
) -> DeliveredTable:
    columns = ", ".join(f'"{column.name}"{_build_cast_sql(column)} as "{column.name}"' for column in table.columns)
    relation, key_relation = f"raw_{table.name}", None
    tenant_condition = _build_tenant_condition(table, request.tenants)
    changed_condition = _build_changed_rows_condition(table, delivered, request)
    where = tenant_condition if changed_condition is None else f"{tenant_condition} and ({changed_condition})"
    _load_relation(con, cursor, relation, f'select {columns} from "{table.name}" where {where}')
    if changed_condition is not None and request.is_sweep:
        key_relation = f"keys_{table.name}"
        key = f'"id"{_build_cast_sql(_find_key_column(table))}'
        _load_relation(con, cursor, key_relation, f'select {key} as "id" from "{table.name}" where {tenant_condition}')
    return DeliveredTable(relation, changed_condition is None, key_relation)


def _load_relation(con: duckdb.DuckDBPyConnection, cursor: postgres.Cursor, relation: str, query: str) -> None:
    cursor.execute(query)
    # What `fetch_record_batch` returns raises errors without their SQLSTATE.
    reader, failures = cursor._results.reader, list[BaseException]()  # noqa: SLF001
    batches = _iterate_batches(reader, failures)
    stream = pa.RecordBatchReader.from_batches(reader.schema, batches)  # noqa: F841  DuckDB finds it by name
    try:
        con.execute(f"create or replace temp table {relation} as select * from stream")
    except duckdb.Error:
        if failures:
            raise failures[0] from None
        raise


def _iterate_batches(reader: pa.RecordBatchReader, failures: list[BaseException]) -> Iterator[pa.RecordBatch]:
    """Yields the reader's batches and keeps its error or interrupt, of which DuckDB passes on the message alone."""
    try:
        yield from reader
    except BaseException as error:
        failures.append(error)
        raise


def _build_tenant_condition(table: Table, tenants: Sequence[str] | None) -> str:
    if tenants is None:
        return "true"
    names = ", ".join("'" + tenant.replace("'", "''") + "'" for tenant in tenants)
    return f'"{table.columns["tenant_id"].name}"::text in ({names or "null"})'


def _build_changed_rows_condition(
    table: Table, delivered: dict[str, _DeliveredColumn], request: ExtractionRequest
) -> str | None:
    """Returns a condition for the rows that may have changed, and rows sharing their key; None to read every row."""
    key = _find_key_column(table)
    key_column = delivered[key.name]
    has_odd_keys = to_duckdb_type(key) == "BIGINT" and key_column.type_name not in ("int2", "int4", "int8")
    has_xmin = key_column.relation_kind in RELATION_KINDS_WITH_XMIN and key_column.is_xmin_readable
    # Tenants are few, and other rows depend on their time zone and currency.
    if request.since is None or table is crm.tenant or not has_xmin or has_odd_keys:
        return None
    horizon_xid = request.since.xid % TRANSACTION_ID_COUNT
    oldest = horizon_xid if horizon_xid > 2 else TRANSACTION_ID_COUNT - 1  # noqa: PLR2004  the first three are special
    # A subquery computes the age once instead of per row.
    is_written_since = f"age(xmin) <= (select age('{oldest}'::xid))"
    if not key_column.is_unique:
        is_written_since = f'"{key.name}" in (select "{key.name}" from "{table.name}" where {is_written_since})'
    has_no_key = f'"{key.name}" is null' + (f""" or "{key.name}"::text = ''""" if _build_cast_sql(key) else "")
    # If no transaction began since, PostgreSQL does not even open the table.
    has_begun = f"(select txid_snapshot_xmax(txid_current_snapshot()) > {request.since.xid})"
    return f"{has_begun} and ({is_written_since} or {has_no_key})"


def _find_key_column(table: Table) -> Column[Any]:
    (key,) = table.primary_key.columns
    return key


def _build_cast_sql(column: Column[Any]) -> str:
    """Returns a cast to text for enums, uuids and decimals, which loses nothing; empty for times and whole numbers."""
    return "" if to_duckdb_type(column) in ("BIGINT", "BOOLEAN", "TIMESTAMPTZ", "DATE") else "::text"
