"""Taking rows out of PostgreSQL for good: deleted, then out of the tables' files, the planner's statistics and the WAL.

A deleted row stays in its page until the page is written anew, so tables are; that keeps their readers waiting for as
long as it takes. What is about whom is said in `domain/forgetting`.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text

from crm_pipeline.domain.privacy.subject_rows import OUTPUT_CONDITIONS
from crm_pipeline.resources.privacy.tombstones import SubjectRecord
from crm_pipeline.resources.warehouse.publishing.table_publication import acquire_publish_lock
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA, STATES_TABLE, tenant_table_name
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES

ERASABLE_TABLES: Final = tuple(table for table in PUBLISHED_TABLES if table in OUTPUT_CONDITIONS)
_TEXT_COLUMNS_QUERY: Final = """
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and data_type in ('text', 'character varying') order by 1, 2"""
_FETCH_ROWS: Final = 2_000
_MAX_SEGMENTS: Final = 1_000
SEGMENT_TIMEOUT_SECONDS: Final = 60.0


def delete_subject_rows(
    warehouse: Warehouse, tenants: Sequence[str], records: Sequence[SubjectRecord]
) -> dict[str, int]:
    """Delete what is about these records in one transaction; the tenants' next publication compares every row."""
    with warehouse.engine().begin() as connection:
        for tenant_id in tenants:
            acquire_publish_lock(connection, tenant_id)
        _create_forgotten_table(connection, records)
        deleted = {
            table.name: connection.execute(
                text(f"""delete from {CRM_SCHEMA}.{table.name} t
                    where t.tenant_id = any(:tenants) and ({OUTPUT_CONDITIONS[table]})"""),
                {"tenants": list(tenants)},
            ).rowcount
            for table in ERASABLE_TABLES
        }
        connection.execute(
            text(f"delete from {CRM_SCHEMA}.{STATES_TABLE} where tenant_id = any(:tenants)"), {"tenants": list(tenants)}
        )
    return deleted


def count_subject_rows(
    warehouse: Warehouse, tenants: Sequence[str], records: Sequence[SubjectRecord]
) -> dict[str, int]:
    """How many rows about these records each table still has."""
    with warehouse.engine().begin() as connection:
        _create_forgotten_table(connection, records)
        return {
            table.name: connection.execute(
                text(f"""select count(*) from {CRM_SCHEMA}.{table.name} t
                    where t.tenant_id = any(:tenants) and ({OUTPUT_CONDITIONS[table]})"""),
                {"tenants": list(tenants)},
            ).scalar_one()
            for table in ERASABLE_TABLES
        }


def rewrite_tables(warehouse: Warehouse, tenants: Sequence[str]) -> None:
    """Write the tables' files anew, and the statistics of what is left."""
    with _connect_autocommit(warehouse.engine()) as connection:
        for holder in sorted(
            {tenant_table_name(table, tenant_id) for table in ERASABLE_TABLES for tenant_id in tenants}
        ):
            if connection.execute(text("select to_regclass(:name)"), {"name": holder}).scalar():
                connection.execute(text(f"vacuum (full, analyze) {holder}"))


def rewrite_statistics(administrator: Engine) -> None:
    """Write the planner's statistics anew, which quote frequent values and the bounds of the others."""
    with _connect_autocommit(administrator) as connection:
        connection.execute(text("vacuum (full) pg_catalog.pg_statistic"))


def read_dagster_texts(engine: Engine) -> Iterator[bytes]:
    """All text of schema public, which is Dagster's, in lower case and in blocks."""
    with engine.connect().execution_options(yield_per=_FETCH_ROWS) as connection:
        columns = [(table, column) for table, column in connection.execute(text(_TEXT_COLUMNS_QUERY))]
        for table, column in columns:
            for rows in connection.execute(text(f'select lower("{column}") from "{table}"')).scalars().partitions():
                yield "\n".join(filter(None, rows)).encode()


def count_text_matches(engine: Engine, pattern: str) -> dict[tuple[str, str], int]:
    """In how many rows of each column of schema public, which is Dagster's, a pattern is found."""
    with engine.connect() as connection:
        columns = [(table, column) for table, column in connection.execute(text(_TEXT_COLUMNS_QUERY))]
        counts = {
            (table, column): connection.execute(
                text(f'select count(*) from "{table}" where "{column}" ~* :pattern'), {"pattern": pattern}
            ).scalar_one()
            for table, column in columns
        }
    return {where: count for where, count in counts.items() if count}


def redact_text_matches(engine: Engine, found: Sequence[tuple[str, str]], pattern: str) -> None:
    """Put a word in the place of what matches."""
    with engine.begin() as connection:
        for table, column in found:
            connection.execute(
                text(f"""update "{table}" set "{column}" = regexp_replace("{column}", :pattern, '[forgotten]', 'gi')
                    where "{column}" ~* :pattern"""),
                {"pattern": pattern},
            )


def rewrite_dagster_tables(engine: Engine, tables: Sequence[str]) -> None:
    """Write these tables of schema public anew."""
    with _connect_autocommit(engine) as connection:
        for table in tables:
            connection.execute(text(f'vacuum (full, analyze) "{table}"'))


def delete_wal_segments(administrator: Engine, data: Path) -> None:
    """Get every segment of the write-ahead log that is there now deleted, used ones and those kept for reuse alike."""
    with _connect_autocommit(administrator) as connection:
        connection.execute(text("alter system set wal_recycle = off"))
        try:
            _reload_configuration(connection, "off")
            before = _list_wal_segments(data)
            deadline = time.monotonic() + SEGMENT_TIMEOUT_SECONDS
            while before & _list_wal_segments(data) and time.monotonic() < deadline:
                # Segments kept for reuse lie ahead: the log has to pass through them.
                for _ in range(min(len(before) + 1, _MAX_SEGMENTS)):
                    connection.execute(text("select pg_logical_emit_message(false, 'crm', 'x')"))
                    connection.execute(text("select pg_switch_wal()"))
                connection.execute(text("checkpoint"))
        finally:
            connection.execute(text("alter system reset wal_recycle"))
            connection.execute(text("select pg_reload_conf()"))


def _reload_configuration(connection: Connection, expected: str) -> None:
    """Return when the server's processes have been told: a checkpoint before would still rename an old segment."""
    connection.execute(text("select pg_reload_conf()"))
    deadline = time.monotonic() + SEGMENT_TIMEOUT_SECONDS
    while connection.execute(text("show wal_recycle")).scalar() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)  # they are told one after the other


def _list_wal_segments(data: Path) -> set[str]:
    return {file.name for file in (data / "pg_wal").iterdir() if file.is_file()}


def _create_forgotten_table(connection: Connection, records: Sequence[SubjectRecord]) -> None:
    """Never analyzed: the planner's statistics would quote it, and the write-ahead log these."""
    columns = ", ".join(f"{name} text" for name in SubjectRecord._fields)
    connection.execute(text(f"create temp table forgotten ({columns}) on commit drop"))
    values = ", ".join(f"cast(:{name} as text[])" for name in SubjectRecord._fields)
    lists = {name: [getattr(record, name) for record in records] for name in SubjectRecord._fields}
    connection.execute(text(f"insert into forgotten select * from unnest({values})"), lists)


def _connect_autocommit(engine: Engine) -> Connection:
    """A connection whose statements are transactions of their own."""
    connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    connection.execute(text("set lock_timeout = '60s'"))
    return connection
