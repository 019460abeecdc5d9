"""Publishing next to its peers, in one run: `python -m benchmarks.publishing [TENANTS PROFILES EVENTS]`.

The peers are psql's COPY into the same indexed, partitioned tables, TRUNCATE and COPY in one transaction, and pandas'
to_sql, which is measured on a part of each table's rows. WAL is what PostgreSQL says it wrote. Nothing else runs on
the server.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Final

import duckdb
from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import ARRAY, Table, create_engine, make_url, text

from benchmarks.publishing_rows import AS_OF, TABLES, generate, publish
from benchmarks.results import AT_LEAST, AT_MOST, Row, keep
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.postgres.programs import find_program
from crm_pipeline.resources.warehouse.publishing.publication_state import find_fingerprints
from crm_pipeline.resources.warehouse.schema import tenant_table_name
from crm_pipeline.resources.warehouse.warehouse import Warehouse

SIZES: Final = (20, 100_000, 2_000_000)
ASKED_FROM: Final = 2_000_000
"""Rows. Below, a publication costs more than its rows do."""
TO_SQL_ROWS: Final = 10_000


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


def psql(warehouse: Warehouse, *commands: str) -> None:
    """Run psql's commands in one transaction."""
    url = make_url(warehouse.url).set(drivername="postgresql")
    options = [option for command in commands for option in ("-c", command)]
    subprocess.run(  # noqa: S603
        [
            str(find_program("psql")),
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
        partitioned = " partition by list (tenant_id)" if table.info.get("partitioned_by") else ""
        statements.append(f"create table peer.{table.name} (like crm.{table.name} including all){partitioned}")
    for table, tenant in product((table for table in TABLES if table.info.get("partitioned_by")), tenants):
        partition = tenant_table_name(table, tenant).replace("crm.", "peer.")
        statements.append(f"create table {partition} partition of peer.{table.name} for values in ('{tenant}')")
    psql(warehouse, *statements)


def to_sql_seconds(con: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> float:
    """Seconds that pandas' to_sql would take for all rows into the same tables, from a part of each table's."""
    engine, seconds = create_engine(warehouse.url), 0.0
    for table in TABLES:
        rows = con.table(f"first_{table.name}").project("* exclude _row_hash")
        frame = rows.limit(TO_SQL_ROWS).df()
        lists = [column.name for column in table.columns if isinstance(column.type, ARRAY)]
        frame = frame.assign(**{name: frame[name].map(list) for name in lists})
        psql(warehouse, f"truncate peer.{table.name}")
        start = time.perf_counter()
        frame.to_sql(table.name, engine, schema="peer", index=False, if_exists="append")
        seconds += (time.perf_counter() - start) * rows.count("*").fetchall()[0][0] / len(frame)
    return seconds


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
            sum(c.checksum for c in find_fingerprints(con, table, f"later_{table.name}").values()),
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
        Row(*all_rows, first[0], "pandas to_sql", to_sql, AT_LEAST, 20),
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
            warehouse.migrate_schema()
            meter = Meter(warehouse)
            tenants = [f"club-{n:04}" for n in range(sizes[0])]
            written = measure(meter, con, Path(folder), tenants)
            return report(meter, sizes[1] + sizes[2], written, to_sql_seconds(con, warehouse))
        finally:
            server.stop()


if __name__ == "__main__":
    sizes = tuple(int(size) for size in sys.argv[1:4]) if len(sys.argv) > 1 else SIZES
    sys.exit(not main(sizes))  # type: ignore[arg-type]
