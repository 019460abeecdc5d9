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
from crm_pipeline.resources.privacy.tombstones import Record
from crm_pipeline.resources.warehouse.publishing.table_publication import keep_publishers_out
from crm_pipeline.resources.warehouse.schema import SCHEMA, STATES, holder_of
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED

TABLES: Final = tuple(table for table in PUBLISHED if table in OUTPUT_CONDITIONS)
_TEXT_COLUMNS: Final = """
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and data_type in ('text', 'character varying') order by 1, 2"""
_ROWS_AT_ONCE: Final = 2_000
_MOST_SEGMENTS: Final = 1_000
SEGMENT_PATIENCE_SECONDS: Final = 60.0


def delete_rows(warehouse: Warehouse, tenants: Sequence[str], records: Sequence[Record]) -> dict[str, int]:
    """Delete what is about these records in one transaction; the tenants' next publication compares every row."""
    with warehouse.engine().begin() as connection:
        for tenant_id in tenants:
            keep_publishers_out(connection, tenant_id)
        _name_forgotten(connection, records)
        deleted = {
            table.name: connection.execute(
                text(f"""delete from {SCHEMA}.{table.name} t
                    where t.tenant_id = any(:tenants) and ({OUTPUT_CONDITIONS[table]})"""),
                {"tenants": list(tenants)},
            ).rowcount
            for table in TABLES
        }
        connection.execute(
            text(f"delete from {SCHEMA}.{STATES} where tenant_id = any(:tenants)"), {"tenants": list(tenants)}
        )
    return deleted


def rows_left(warehouse: Warehouse, tenants: Sequence[str], records: Sequence[Record]) -> dict[str, int]:
    """How many rows about these records each table still has."""
    with warehouse.engine().begin() as connection:
        _name_forgotten(connection, records)
        return {
            table.name: connection.execute(
                text(f"""select count(*) from {SCHEMA}.{table.name} t
                    where t.tenant_id = any(:tenants) and ({OUTPUT_CONDITIONS[table]})"""),
                {"tenants": list(tenants)},
            ).scalar_one()
            for table in TABLES
        }


def rewrite_tables(warehouse: Warehouse, tenants: Sequence[str]) -> None:
    """Write the tables' files anew, and the statistics of what is left."""
    with _at_once(warehouse.engine()) as connection:
        for holder in sorted({holder_of(table, tenant_id) for table in TABLES for tenant_id in tenants}):
            if connection.execute(text("select to_regclass(:name)"), {"name": holder}).scalar():
                connection.execute(text(f"vacuum (full, analyze) {holder}"))


def rewrite_statistics(administrator: Engine) -> None:
    """Write the planner's statistics anew, which quote frequent values and the bounds of the others."""
    with _at_once(administrator) as connection:
        connection.execute(text("vacuum (full) pg_catalog.pg_statistic"))


def texts(engine: Engine) -> Iterator[bytes]:
    """All text of schema public, which is Dagster's, in lower case and in blocks."""
    with engine.connect().execution_options(yield_per=_ROWS_AT_ONCE) as connection:
        columns = [(table, column) for table, column in connection.execute(text(_TEXT_COLUMNS))]
        for table, column in columns:
            for rows in connection.execute(text(f'select lower("{column}") from "{table}"')).scalars().partitions():
                yield "\n".join(filter(None, rows)).encode()


def find_mentions(engine: Engine, pattern: str) -> dict[tuple[str, str], int]:
    """In how many rows of each column of schema public, which is Dagster's, a pattern is found."""
    with engine.connect() as connection:
        columns = [(table, column) for table, column in connection.execute(text(_TEXT_COLUMNS))]
        counts = {
            (table, column): connection.execute(
                text(f'select count(*) from "{table}" where "{column}" ~* :pattern'), {"pattern": pattern}
            ).scalar_one()
            for table, column in columns
        }
    return {where: count for where, count in counts.items() if count}


def blank_mentions(engine: Engine, found: Sequence[tuple[str, str]], pattern: str) -> None:
    """Put a word in the place of what matches."""
    with engine.begin() as connection:
        for table, column in found:
            connection.execute(
                text(f"""update "{table}" set "{column}" = regexp_replace("{column}", :pattern, '[forgotten]', 'gi')
                    where "{column}" ~* :pattern"""),
                {"pattern": pattern},
            )


def rewrite_mentioning(engine: Engine, tables: Sequence[str]) -> None:
    """Write these tables of schema public anew."""
    with _at_once(engine) as connection:
        for table in tables:
            connection.execute(text(f'vacuum (full, analyze) "{table}"'))


def drop_wal(administrator: Engine, data: Path) -> None:
    """Get every segment of the write-ahead log that is there now deleted, used ones and those kept for reuse alike."""
    with _at_once(administrator) as connection:
        connection.execute(text("alter system set wal_recycle = off"))
        try:
            _reload(connection, "off")
            before = _segments(data)
            deadline = time.monotonic() + SEGMENT_PATIENCE_SECONDS
            while before & _segments(data) and time.monotonic() < deadline:
                # Segments kept for reuse lie ahead: the log has to pass through them.
                for _ in range(min(len(before) + 1, _MOST_SEGMENTS)):
                    connection.execute(text("select pg_logical_emit_message(false, 'crm', 'x')"))
                    connection.execute(text("select pg_switch_wal()"))
                connection.execute(text("checkpoint"))
        finally:
            connection.execute(text("alter system reset wal_recycle"))
            connection.execute(text("select pg_reload_conf()"))


def _reload(connection: Connection, expected: str) -> None:
    """Return when the server's processes have been told: a checkpoint before would still rename an old segment."""
    connection.execute(text("select pg_reload_conf()"))
    deadline = time.monotonic() + SEGMENT_PATIENCE_SECONDS
    while connection.execute(text("show wal_recycle")).scalar() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)  # they are told one after the other


def _segments(data: Path) -> set[str]:
    return {file.name for file in (data / "pg_wal").iterdir() if file.is_file()}


def _name_forgotten(connection: Connection, records: Sequence[Record]) -> None:
    """Never analyzed: the planner's statistics would quote it, and the write-ahead log these."""
    columns = ", ".join(f"{name} text" for name in Record._fields)
    connection.execute(text(f"create temp table forgotten ({columns}) on commit drop"))
    values = ", ".join(f"cast(:{name} as text[])" for name in Record._fields)
    lists = {name: [getattr(record, name) for record in records] for name in Record._fields}
    connection.execute(text(f"insert into forgotten select * from unnest({values})"), lists)


def _at_once(engine: Engine) -> Connection:
    """A connection whose statements are transactions of their own."""
    connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    connection.execute(text("set lock_timeout = '60s'"))
    return connection
