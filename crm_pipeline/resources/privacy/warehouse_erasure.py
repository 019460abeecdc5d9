"""Permanent deletion of rows from PostgreSQL: from tables and their files, planner statistics and write-ahead log.

A deleted row stays in its page until the page is rewritten, so the tables are rewritten; their readers wait meanwhile.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, CursorResult, Engine, Table, text

from crm_pipeline.domain.privacy.subject_rows import OUTPUT_CONDITIONS
from crm_pipeline.resources.privacy.tombstones import SubjectRecord
from crm_pipeline.resources.warehouse.publishing.table_publication import acquire_publish_lock
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, STATES_TABLE, tenant_table_name
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.outputs.privacy import forgotten_totals

ERASABLE_TABLES: Final = tuple(table for table in PUBLISHED_TABLES if table in OUTPUT_CONDITIONS)
_TEXT_COLUMNS_QUERY: Final = """
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and data_type in ('text', 'character varying') order by 1, 2"""
_OLD_SNAPSHOTS_QUERY: Final = text("""
    with holders as (
        select backend_xmin as oldest from pg_stat_activity
        where pid <> pg_backend_pid() and backend_type <> 'autovacuum worker' and datname = current_database()
        union all select transaction from pg_prepared_xacts where database = current_database()
        union all select xmin from pg_replication_slots
        union all select catalog_xmin from pg_replication_slots where database = current_database())
    select count(*) from holders where oldest is not null and age(oldest) >= age(cast(cast(:now as text) as xid))""")
_FETCH_ROWS: Final = 2_000
_MAX_SEGMENTS: Final = 1_000
SEGMENT_TIMEOUT_SECONDS: Final = 60.0
SNAPSHOT_TIMEOUT_SECONDS: Final = 30.0
"""Time that other sessions get to end their transactions before a rewrite that has to be repeated."""


def delete_subject_rows(
    warehouse: Warehouse, tenants: Sequence[str], records: Sequence[SubjectRecord], totals: Sequence[dict[str, Any]]
) -> dict[str, int]:
    """Returns how many rows about these records were deleted from each table, in one transaction.

    It also makes the tenants' `forgotten_totals` equal to `totals`, because a closed club is not published. Published
    states are deleted as well, so the tenants' next publication compares every row.
    """
    with warehouse.engine().begin() as connection:
        for tenant_id in tenants:
            acquire_publish_lock(connection, tenant_id)
        _create_forgotten_table(connection, records)
        deleted = {
            table.name: _execute_on_subject_rows(connection, "delete from", table, tenants).rowcount
            for table in ERASABLE_TABLES
        }
        for name in (STATES_TABLE, forgotten_totals.name):
            statement = text(f"delete from {CRM_SCHEMA}.{name} where tenant_id = any(:tenants)")
            connection.execute(statement, {"tenants": list(tenants)})
        if totals:
            names, values = ", ".join(totals[0]), ", ".join(f":{name}" for name in totals[0])
            statement = text(f"insert into {CRM_SCHEMA}.{forgotten_totals.name} ({names}) values ({values})")
            connection.execute(statement, totals)
    return deleted


def count_subject_rows(
    warehouse: Warehouse, tenants: Sequence[str], records: Sequence[SubjectRecord]
) -> dict[str, int]:
    """Returns how many rows about these records each table has."""
    with warehouse.engine().begin() as connection:
        _create_forgotten_table(connection, records)
        return {
            table.name: _execute_on_subject_rows(connection, "select count(*) from", table, tenants).scalar_one()
            for table in ERASABLE_TABLES
        }


def list_tenant_tables(tenants: Sequence[str]) -> list[str]:
    """Returns the names of the tables that hold the tenants' rows; of a new tenant some do not exist yet."""
    return sorted({tenant_table_name(table, tenant_id) for table in ERASABLE_TABLES for tenant_id in tenants})


def rewrite_tables(engine: Engine, names: Sequence[str]) -> None:
    """Rewrites the files and statistics of those of these tables that exist."""
    with _connect_autocommit(engine) as connection:
        for table_name in names:
            if connection.execute(text("select to_regclass(:name)"), {"name": table_name}).scalar():
                connection.execute(text(f"vacuum (full, analyze) {table_name}"))


def rewrite_statistics(administrator: Engine) -> None:
    """Rewrites the planner's statistics, which quote frequent values and the bounds of the others."""
    with _connect_autocommit(administrator) as connection:
        # Those of a partitioned table as a whole are of an ANALYZE before the table was declared to have none.
        connection.execute(
            text(f"""delete from pg_catalog.pg_statistic where stainherit and starelid in (
                select oid from pg_class where relnamespace = to_regnamespace('{CRM_SCHEMA}') and relkind = 'p')""")
        )
        connection.execute(text("vacuum (full) pg_catalog.pg_statistic"))


def count_old_snapshots(administrator: Engine) -> int:
    """Returns how many other sessions, transactions and slots still see rows deleted by now, after waiting for them.

    A rewritten table keeps the rows that any of them sees.
    """
    with _connect_autocommit(administrator) as connection:
        now = connection.execute(text("select cast(pg_current_xact_id() as text)")).scalar_one()
        deadline = time.monotonic() + SNAPSHOT_TIMEOUT_SECONDS
        while (count := connection.execute(_OLD_SNAPSHOTS_QUERY, {"now": now}).scalar_one()) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.5)
    return int(count)


def read_dagster_texts(engine: Engine) -> Iterator[bytes]:
    """Yields all text of schema `public`, Dagster's, in lower case and in blocks."""
    with engine.connect().execution_options(yield_per=_FETCH_ROWS) as connection:
        for table, column in connection.execute(text(_TEXT_COLUMNS_QUERY)).all():
            for rows in connection.execute(text(f'select lower("{column}") from "{table}"')).scalars().partitions():
                yield "\n".join(filter(None, rows)).encode()


def count_text_matches(engine: Engine, pattern: str) -> dict[tuple[str, str], int]:
    """Returns the rows that match the pattern, per table and column of schema `public`, Dagster's, that has any."""
    with engine.connect() as connection:
        counts = {
            (table, column): connection.execute(
                text(f'select count(*) from "{table}" where "{column}" ~* :pattern'), {"pattern": pattern}
            ).scalar_one()
            for table, column in connection.execute(text(_TEXT_COLUMNS_QUERY)).all()
        }
    return {column: count for column, count in counts.items() if count}


def redact_text_matches(engine: Engine, columns: Sequence[tuple[str, str]], pattern: str) -> None:
    """Replaces what matches the pattern by `[forgotten]`, in these columns of tables of schema `public`."""
    with engine.begin() as connection:
        for table, column in columns:
            connection.execute(
                text(f"""update "{table}" set "{column}" = regexp_replace("{column}", :pattern, '[forgotten]', 'gi')
                    where "{column}" ~* :pattern"""),
                {"pattern": pattern},
            )


def delete_wal_segments(administrator: Engine, data_folder: Path) -> None:
    """Makes the server delete every present segment of the write-ahead log, used or reserved for reuse."""
    with _connect_autocommit(administrator) as connection:
        connection.execute(text("alter system set wal_recycle = off"))
        _reload_configuration(connection, "off")
        segments = _list_wal_segments(data_folder)
        deadline = time.monotonic() + SEGMENT_TIMEOUT_SECONDS
        while segments & _list_wal_segments(data_folder) and time.monotonic() < deadline:
            # Segments reserved for reuse come next in the log, so it has to advance past them.
            for _ in range(min(len(segments) + 1, _MAX_SEGMENTS)):
                connection.execute(text("select pg_logical_emit_message(false, 'crm', 'x')"))
                connection.execute(text("select pg_switch_wal()"))
            connection.execute(text("checkpoint"))
        # Where the server gave up, the erasure stays open, and its next attempt comes here again.
        connection.execute(text("alter system reset wal_recycle"))
        connection.execute(text("select pg_reload_conf()"))


def _reload_configuration(connection: Connection, expected: str) -> None:
    """Reloads the configuration and waits until all processes have it: a checkpoint before renames old segments."""
    connection.execute(text("select pg_reload_conf()"))
    deadline = time.monotonic() + SEGMENT_TIMEOUT_SECONDS
    while connection.execute(text("show wal_recycle")).scalar() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)  # processes reload one after the other


def _list_wal_segments(data_folder: Path) -> set[str]:
    return {file.name for file in (data_folder / "pg_wal").iterdir() if file.is_file()}


def _create_forgotten_table(connection: Connection, records: Sequence[SubjectRecord]) -> None:
    """Creates temp table `forgotten`, never analyzed: statistics and their write-ahead log would quote it."""
    columns = ", ".join(f"{name} text" for name in SubjectRecord._fields)
    connection.execute(text(f"create temp table forgotten ({columns}) on commit drop"))
    values = ", ".join(f"cast(:{name} as text[])" for name in SubjectRecord._fields)
    lists = {name: [getattr(record, name) for record in records] for name in SubjectRecord._fields}
    connection.execute(text(f"insert into forgotten select * from unnest({values})"), lists)


def _execute_on_subject_rows(
    connection: Connection, verb: str, table: Table, tenants: Sequence[str]
) -> CursorResult[Any]:
    """Executes `verb` on the tenants' rows of a table about the records in `forgotten`."""
    condition = f"t.tenant_id = any(:tenants) and ({OUTPUT_CONDITIONS[table]})"
    statement = text(f"{verb} {CRM_SCHEMA}.{table.name} t where {condition}")
    return connection.execute(statement, {"tenants": list(tenants)})


def _connect_autocommit(engine: Engine) -> Connection:
    """Returns a connection that commits each statement."""
    connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    connection.execute(text("set lock_timeout = '60s'"))
    return connection
