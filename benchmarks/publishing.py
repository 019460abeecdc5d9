"""Publishing beside its peers, in one run: `python -m benchmarks.publishing [TENANTS PROFILES EVENTS]`.

The peers are psql's COPY into the same indexed, partitioned tables, TRUNCATE and COPY in one transaction, and pandas'
to_sql, which is measured on a part of the rows. WAL is what PostgreSQL says it wrote. Nothing else runs on the server.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import Table, create_engine, make_url, text

from benchmarks.results import AT_LEAST, AT_MOST, Row, keep
from crm_pipeline.resources.embedded_postgres import EmbeddedPostgres
from crm_pipeline.resources.embedded_postgres_programs import binary
from crm_pipeline.resources.lake_rows import row_hash
from crm_pipeline.resources.publication import Rows, contents
from crm_pipeline.resources.publisher import Publisher
from crm_pipeline.resources.warehouse import Warehouse
from crm_pipeline.resources.warehouse_schema import holder_of
from crm_pipeline.tables.profiles import customer_profiles
from crm_pipeline.tables.projections import key_columns
from crm_pipeline.tables.timeline import customer_timeline

SIZES: Final = (20, 100_000, 2_000_000)
ASKED_FROM: Final = 2_000_000
"""Rows. Below, a publication costs more than its rows do."""
SHARE_CHANGED: Final = 0.005
TO_SQL_ROWS: Final = 10_000
AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
TABLES: Final = (customer_profiles, customer_timeline)
PROFILES: Final = """
    select 'club-' || lpad((i % {tenants})::varchar, 4, '0') as tenant_id, md5('p' || i)::uuid::varchar as id,
        'auth-' || i as auth_user_id, 'golfer' || i || '@club.example' as email,
        '+4420' || lpad(i::varchar, 8, '0') as phone_number, i as scl_member_id, 'tt-' || i as teetime_player_id,
        'msg-' || i as messaging_contact_id, 'First' || i % 997 as first_name, 'Last' || i % 7919 as last_name,
        'First' || i % 997 || ' Last' || i % 7919 as display_name, 'ACTIVE' as status, 'MEMBER' as lifecycle_stage,
        case i % 5 when 0 then ['captain', 'junior'] else [] end as tags, (i + {hour}) % 101 as engagement_score,
        i % 100 as churn_risk_score, 'RENEWAL' as churn_basis, i * 7 % 500000 as lifetime_value, 'GBP' as currency,
        i % 90000 as predicted_value_12m, timestamptz '2026-03-01' - to_minutes(i) as last_activity_at,
        i % 30 as activity_count_30d, i % 9 as booking_count_30d, (i % 540 / 10.0)::decimal(5, 1) as handicap,
        'home' as home_club_id, 'FULL' as membership_tier, 'ACTIVE' as membership_status, i % 2 = 0 as email_opt_in,
        i % 3 = 0 as sms_opt_in, false as push_opt_in, false as whatsapp_opt_in, 0.95 as identity_confidence,
        '{{"bookings": ' || i % 40 || ', "messages": ' || i % 20 || '}}' as engagement_reasons,
        '{{"horizon_days": 365}}' as churn_reasons,
        '{{"email": "SCL:' || i || '", "phone": "TEETIME:' || i || '"}}' as field_sources,
        timestamptz '2020-01-01' as first_seen_at, timestamptz '2026-03-31 12:00:00+00' as updated_at
    from range({rows}) t(i)"""
EVENTS: Final = """
    select 'club-' || lpad((p % {tenants})::varchar, 4, '0') as tenant_id, 'TEETIME:' || md5('e' || i) as event_id,
        md5('p' || p)::uuid::varchar as profile_id, timestamptz '2026-03-01' - to_minutes(i) as occurred_at,
        'TEETIME' as source, 'ROUND_PLAYED' as event_type, 'booking-' || i as service_record_id, 'ROUND' as counts_as,
        i % 9000 + {hour} as amount_cents, 'GBP' as currency, 'Played a round for 4 on the old course' as summary,
        '{{"course": "old", "players": 4, "booking": ' || i || '}}' as details
    from (select i, i * 7919 % {people} as p from range({rows}) t(i))"""


@dataclass
class Meter:
    """Seconds and megabytes of WAL per piece of work."""

    warehouse: Warehouse
    measured: dict[str, tuple[float, float]] = field(default_factory=dict)

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Measure the body, from a checkpoint on."""
        _execute(self.warehouse, "checkpoint")
        before, start = self._wal(), time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.measured[name] = seconds, (self._wal() - before) / 1e6

    def _wal(self) -> int:
        return int(_execute(self.warehouse, "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def _execute(warehouse: Warehouse, statement: str) -> str:
    engine = warehouse.engine().execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(statement))
        return str(result.scalar()) if result.returns_rows else ""


def generate(con: duckdb.DuckDBPyConnection, tenants: int, profiles: int, events: int) -> None:
    """Make the rows of both tables, and those of an hour later with their log."""
    for table, query, rows in ((customer_profiles, PROFILES, profiles), (customer_timeline, EVENTS, events)):
        made = [query.format(tenants=tenants, rows=rows, people=profiles, hour=hour) for hour in (0, 1)]
        name, hashed, keys = table.name, row_hash(table), ", ".join(key_columns(table))
        con.execute(f"create table first_{name} as select *, {hashed} as _row_hash from ({made[0]}) order by tenant_id")
        # Of the rows that differ 7 in 10 are new, 2 changed and 1 is gone.
        con.execute(f"""
            create table {name}_log as
            with fate as (select *, hash(_row_hash) % 100000 / 100000.0 as f from first_{name})
            select * exclude f, true as _deleted, 2 as _version from fate where f < {SHARE_CHANGED} * 0.1
            union all by name
            select later.*, false as _deleted, 2 as _version
            from (select *, {hashed} as _row_hash from ({made[1]})) later
            semi join (from fate where f between {SHARE_CHANGED} * 0.1 and {SHARE_CHANGED} * 0.3) using ({keys})
            union all by name
            select * exclude f replace ({_other_key(table)}), false as _deleted, 2 as _version from fate
            where f between {SHARE_CHANGED} * 0.3 and {SHARE_CHANGED}""")
        con.execute(f"""
            create table later_{name} as
            select * from first_{name} anti join {name}_log using ({keys})
            union all by name select * exclude (_deleted, _version) from {name}_log where not _deleted""")


def _other_key(table: Table) -> str:
    if table is customer_profiles:
        return "md5(id || 'new')::uuid::varchar as id"
    return "event_id || 'new' as event_id"


def publish(con: duckdb.DuckDBPyConnection, publisher: Publisher, hour: str, version: int) -> int:
    """Publish every tenant; return the rows written."""
    found = {table: contents(con, table, f"{hour}_{table.name}") for table in TABLES}
    written = 0
    for tenant in sorted(found[customer_profiles]):
        parts = [
            Rows(
                table,
                f"{hour}_{table.name}",
                found[table][tenant],
                version,
                "lake",
                f"{table.name}_log" if version > 1 else None,
            )
            for table in TABLES
        ]
        written += sum(changes.total for changes in publisher.publish(tenant, parts).values())
    return written


def psql(warehouse: Warehouse, *commands: str) -> None:
    """Run psql's commands in one transaction."""
    url = make_url(warehouse.url).set(drivername="postgresql")
    options = [option for command in commands for option in ("-c", command)]
    subprocess.run(  # noqa: S603
        [
            str(binary("psql")),
            "-X",
            "-q",
            "-1",
            "-v",
            "ON_ERROR_STOP=1",
            *options,
            url._replace(password=None).render_as_string(),
        ],
        env={**os.environ, "PGPASSWORD": url.password or ""},
        check=True,
    )


def make_peer(warehouse: Warehouse, tenants: list[str]) -> None:
    """The same tables with the same indexes and partitions, empty, in schema peer."""
    statements = ["create schema peer"]
    for table in TABLES:
        partitioned = " partition by list (tenant_id)" if table is customer_timeline else ""
        statements.append(f"create table peer.{table.name} (like crm.{table.name} including all){partitioned}")
    for tenant in tenants:
        partition = holder_of(customer_timeline, tenant).replace("crm.", "peer.")
        statements.append(f"create table {partition} partition of peer.customer_timeline for values in ('{tenant}')")
    psql(warehouse, *statements)


def to_sql_seconds(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, rows: int) -> float:
    """Seconds that pandas' to_sql would take for the timeline's rows into the same table, from a part of them."""
    frame = con.sql(f"select * exclude _row_hash from first_customer_timeline limit {TO_SQL_ROWS}").df()
    engine = create_engine(warehouse.url)
    psql(warehouse, "truncate peer.customer_timeline")
    start = time.perf_counter()
    frame.to_sql("customer_timeline", engine, schema="peer", index=False, if_exists="append")
    return (time.perf_counter() - start) * rows / TO_SQL_ROWS


def measure(meter: Meter, con: duckdb.DuckDBPyConnection, folder: Path, tenants: list[str]) -> int:
    """All pieces of work, in the order they need each other; returns the rows the thin diff wrote."""
    warehouse = meter.warehouse
    with warehouse.publisher(con, as_of=AS_OF, run_id="benchmark") as publisher:
        with meter.measuring("first load"):
            publish(con, publisher, "first", 1)
        files = {table: folder / f"{table.name}.copy" for table in TABLES}
        for table, file in files.items():
            psql(warehouse, f"\\copy (select * from crm.{table.name}) to '{file}'")
        make_peer(warehouse, tenants)
        copies = [f"\\copy peer.{table.name} from '{file}'" for table, file in files.items()]
        with meter.measuring("psql COPY"):
            psql(warehouse, *copies)
        with meter.measuring("TRUNCATE + COPY"):
            psql(warehouse, "truncate peer.customer_profiles, peer.customer_timeline", *copies)
        with meter.measuring("thin diff"):
            written = publish(con, publisher, "later", 2)
    for table in TABLES:
        has, wants = (
            _sums(warehouse, table),
            sum(c.checksum for c in contents(con, table, f"later_{table.name}").values()),
        )
        assert has == wants, f"{table.name} is not what it should be"  # noqa: S101
    return written


def _sums(warehouse: Warehouse, table: Table) -> int:
    return int(_execute(warehouse, f"select sum(row_hash) from crm.{table.name}"))


def report(meter: Meter, rows: int, written: int, to_sql: float) -> bool:
    """Print what was measured, keep how it compares to what is asked for; whether all of that is met."""
    shown = RichTable("work", "seconds", "rows/s", "MB of WAL", title=f"{rows:,} rows, {written:,} changed")
    for name, (seconds, wal) in meter.measured.items():
        moved = written if name == "thin diff" else rows
        shown.add_row(name, f"{seconds:.2f}", f"{moved / seconds:,.0f}", f"{wal:.1f}")
    Console().print(shown)
    first, copy, truncate, diff = (
        meter.measured[name] for name in ("first load", "psql COPY", "TRUNCATE + COPY", "thin diff")
    )
    all_rows, changed = ("loading", rows, "rows"), ("loading 0.5 %", rows, "rows")
    kept = [
        Row(*all_rows, first[0], "pandas to_sql, timeline alone", to_sql, AT_LEAST, 20),
        Row(*all_rows, first[0], "psql COPY", copy[0], AT_MOST, 1.5),
        Row(*changed, diff[0], "loading all", first[0], AT_MOST, 0.1),
        Row(*changed, diff[0], "TRUNCATE + COPY", truncate[0], AT_MOST, 0.1),
        Row("loading 0.5 %, WAL", *changed[1:], diff[1], "TRUNCATE + COPY", truncate[1], AT_MOST, 0.2, unit="MB"),
    ]
    if rows < ASKED_FROM:
        kept = [replace(row, required=None) for row in kept]
    return keep("publishing", kept, rows)


def main(sizes: tuple[int, int, int] = SIZES) -> bool:
    """Measure and print; whether all that is asked for is met."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    with tempfile.TemporaryDirectory() as folder:
        con.execute(f"set temp_directory = '{folder}/spill'")
        generate(con, *sizes)
        server = EmbeddedPostgres(Path(folder) / "home")
        server.start()
        try:
            _execute(Warehouse(server.url("postgres")), "grant pg_checkpoint to crm_pipeline")
            _execute(Warehouse(server.url("postgres")), "alter system set autovacuum = off")
            _execute(Warehouse(server.url("postgres")), "select pg_reload_conf()")
            warehouse = Warehouse(server.url("crm"))
            warehouse.prepare()
            meter = Meter(warehouse)
            tenants = [f"club-{n:04}" for n in range(sizes[0])]
            written = measure(meter, con, Path(folder), tenants)
            return report(meter, sizes[1] + sizes[2], written, to_sql_seconds(con, warehouse, sizes[2]))
        finally:
            server.stop()


if __name__ == "__main__":
    sizes = tuple(int(size) for size in sys.argv[1:4]) if len(sys.argv) > 1 else SIZES
    sys.exit(not main(sizes))  # type: ignore[arg-type]
