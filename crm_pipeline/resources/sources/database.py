"""A service delivered as a PostgreSQL database: read in one consistent transaction, never written.

What may have changed since an earlier reading is asked of the database itself, by the id of the transaction that wrote
each row: every row that reading could not see was written by a transaction at or above its horizon. No clock is in it,
so late commits, clocks that differ and rows whose updatedAt nobody moved are all found, on a replica as on a primary.
"""

import re
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

import adbc_driver_postgresql.dbapi as postgres
import duckdb
from adbc_driver_manager import Error as AdbcError
from sqlalchemy import Column, Table, make_url
from sqlalchemy.exc import ArgumentError

from crm_pipeline.resources.sources.delivery import (
    DeliveredTable,
    Delivery,
    ExtractionRequest,
    Horizon,
    SourceError,
    find_undeclared_columns,
)
from crm_pipeline.settings import build_source_variable_name
from crm_pipeline.tables.projections import to_duckdb_type
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

CONNECTION_PARAMETERS = {"connect_timeout": "30", "application_name": "crm-pipeline"}
TIMEOUTS = {"statement_timeout": "10min", "lock_timeout": "30s", "idle_in_transaction_session_timeout": "10min"}
RETRY_DELAYS = (1.0, 5.0)
"""Seconds before the second and the third attempt at a database that may be back by then."""
TRANSIENT_ERROR_PATTERN = re.compile(
    r"refused|timeout expired|timed out|starting up|shutting down|in recovery|too many (clients|connections)"
    r"|reset by peer|terminat|closed the connection|could not (translate|receive|send)"
    r"|lock timeout|conflict with recovery"
)
"""What a server says of trouble that passes. A wrong password, a missing table or a slow query does not."""
TRANSACTION_ID_COUNT = 2**32
HORIZON_QUERY = """
    select (select system_identifier from pg_control_system()) || '.'
            || (select timeline_id from pg_control_checkpoint()) || '.'
            || (select oid from pg_database where datname = current_database()),
        txid_snapshot_xmin(txid_current_snapshot()), txid_snapshot_xmax(txid_current_snapshot())"""
COLUMNS_QUERY = """
    select a.attname, t.typname, c.relkind::text,
        exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
            and i.indnkeyatts = 1 and i.indkey[0] = a.attnum)
    from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid
    where c.oid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum"""
RELATION_KINDS_WITH_XMIN = ("r", "p")
"""Kinds of relation whose rows know the transaction that wrote them; a view's do not."""


class _DeliveredColumn(NamedTuple):
    """A column as the database has it."""

    kind: str
    relation: str
    is_unique: bool


def read_database(
    con: duckdb.DuckDBPyConnection, service: Service, url: str, tables: Sequence[Table], request: ExtractionRequest
) -> Delivery:
    """Read these tables in one transaction, again after a pause where the trouble may pass. Raises SourceError."""
    for pause in RETRY_DELAYS:
        try:
            return _read_tables(con, service, url, tables, request)
        except SourceError as error:
            if not TRANSIENT_ERROR_PATTERN.search(str(error)):
                raise
        time.sleep(pause)
    return _read_tables(con, service, url, tables, request)


def _read_tables(
    con: duckdb.DuckDBPyConnection, service: Service, url: str, tables: Sequence[Table], request: ExtractionRequest
) -> Delivery:
    with closing(_open_connection(service, url)) as connection, closing(connection.cursor()) as cursor:
        try:
            cursor.execute("set transaction isolation level repeatable read, read only")
            for name, value in TIMEOUTS.items():
                cursor.execute(f"set local {name} = '{value}'")
            horizon, request = _read_horizon(cursor, request)
            return Delivery({t.name: _read_table(con, cursor, service, t, request) for t in tables}, horizon)
        except (AdbcError, duckdb.Error) as error:  # DuckDB's where the server fails in the middle of a table
            raise SourceError(f"{service}: the database cannot be read: {_format_server_error(error)}") from None


def _open_connection(service: Service, url: str) -> postgres.Connection:
    try:
        parsed = make_url(url)
        dsn = parsed.set(drivername="postgresql", query={**CONNECTION_PARAMETERS, **parsed.query})
        return postgres.connect(dsn.render_as_string(hide_password=False))
    except AdbcError as error:
        raise SourceError(f"{service}: the database does not answer: {_format_server_error(error)}") from None
    except (ArgumentError, ValueError):  # which quote the URL, and with it the password
        raise SourceError(f"{service}: {build_source_variable_name(service)} is no database URL") from None


def _read_horizon(cursor: postgres.Cursor, request: ExtractionRequest) -> tuple[Horizon, ExtractionRequest]:
    """How far this reading sees, and the request as it can be met: whole where it speaks of another database."""
    cursor.execute(HORIZON_QUERY)
    [(origin, oldest_open, next_one)] = cursor.fetchall()
    since = request.since
    # Half of all ids lie before any id and half behind it.
    if since and not (since.origin == origin and 0 <= next_one - since.xid < TRANSACTION_ID_COUNT // 2):
        request = request._replace(since=None)
    return Horizon(origin, oldest_open), request


def _read_table(
    con: duckdb.DuckDBPyConnection, cursor: postgres.Cursor, service: Service, table: Table, request: ExtractionRequest
) -> DeliveredTable:
    cursor.execute(COLUMNS_QUERY, (f'"{table.name}"',))
    delivered = {name: _DeliveredColumn(*rest) for name, *rest in cursor.fetchall()}
    if not delivered:
        raise SourceError(f'{service}: the database has no table "{table.name}"')
    undeclared = find_undeclared_columns(service, table, f'table "{table.name}"', list(delivered))
    columns = ", ".join(f'"{column.name}"{_build_cast_sql(column)} as "{column.name}"' for column in table.columns)
    of_tenants, changed = (
        _build_tenant_condition(table, request.tenants),
        _build_changed_rows_condition(table, delivered, request),
    )
    relation, keys = f"raw_{table.name}", None
    where = of_tenants if changed is None else f"{of_tenants} and ({changed})"
    _load_relation(con, cursor, relation, f'select {columns} from "{table.name}" where {where}')
    if changed is not None and request.is_sweep:
        keys = f"keys_{table.name}"
        _load_relation(
            con,
            cursor,
            keys,
            f'select "id"{_build_cast_sql(_find_key_column(table))} as "id" from "{table.name}" where {of_tenants}',
        )
    return DeliveredTable(relation, changed is None, keys, undeclared)


def _load_relation(con: duckdb.DuckDBPyConnection, cursor: postgres.Cursor, relation: str, query: str) -> None:
    cursor.execute(query)
    batches = cursor.fetch_record_batch()  # noqa: F841  DuckDB finds it by name
    con.execute(f"create or replace temp table {relation} as select * from batches")


def _build_tenant_condition(table: Table, tenants: Sequence[str] | None) -> str:
    if tenants is None:
        return "true"
    names = ", ".join("'" + tenant.replace("'", "''") + "'" for tenant in tenants)
    return f'"{table.columns["tenant_id"].name}"::text in ({names or "null"})'


def _build_changed_rows_condition(
    table: Table, delivered: dict[str, _DeliveredColumn], request: ExtractionRequest
) -> str | None:
    """A condition for the rows that may have changed, with all that share a key of theirs; None for a whole reading."""
    key = _find_key_column(table)
    found = delivered[key.name]
    has_odd_keys = to_duckdb_type(key) == "BIGINT" and found.kind not in ("int2", "int4", "int8")
    # Other rows hang on the club's own: its time zone and currency. And there are few.
    if request.since is None or table is crm.tenant or found.relation not in RELATION_KINDS_WITH_XMIN or has_odd_keys:
        return None
    low = request.since.xid % TRANSACTION_ID_COUNT
    oldest = low if low > 2 else TRANSACTION_ID_COUNT - 1  # noqa: PLR2004  the first three are special
    # In a query of its own, the age is worked out once and not for every row.
    written = f"age(xmin) <= (select age('{oldest}'::xid))"
    if not found.is_unique:
        written = f'"{key.name}" in (select "{key.name}" from "{table.name}" where {written})'
    has_no_key = f'"{key.name}" is null' + (f""" or "{key.name}"::text = ''""" if _build_cast_sql(key) else "")
    # Where no transaction began since, the table is not even opened.
    has_begun = f"(select txid_snapshot_xmax(txid_current_snapshot()) > {request.since.xid})"
    return f"{has_begun} and ({written} or {has_no_key})"


def _find_key_column(table: Table) -> Column[Any]:
    (key,) = table.primary_key.columns
    return key


def _build_cast_sql(column: Column[Any]) -> str:
    """Enums, uuids and decimals come as text, which loses nothing; times and whole numbers come as they are."""
    return "" if to_duckdb_type(column) in ("BIGINT", "BOOLEAN", "TIMESTAMPTZ", "DATE") else "::text"


def _format_server_error(error: Exception) -> str:
    """The first line of an error, without the names of those who passed it on."""
    return re.split(r"\[libpq\][^:]*: |ERROR: +", str(error).strip().splitlines()[0])[-1]
