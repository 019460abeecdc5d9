"""What the same work costs at the least, on the lake and warehouse of a home: `python -m benchmarks.limits HOME`.

Three things, each once, summed up: DuckDB hashes every column of every row that the lake has of the services and of
the timeline; DuckDB groups the timeline by profile; psql's COPY puts the rows of all published tables back into the
same tables, emptied before, with their partitions and indexes. So the warehouse is as it was; nothing else changes.
"""

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from benchmarks.apart import tell
from benchmarks.publishing import psql
from benchmarks.scores import PLAIN
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.outputs.timeline import customer_timeline

SCANNED: Final = (*source_metadata.tables.values(), customer_timeline)


def scan_seconds(con: duckdb.DuckDBPyConnection, lake: Lake) -> float:
    """To read every row there is and look at all of it."""
    logs = [lake.create_log_view(con, table) for table in SCANNED if DeltaTable.is_deltatable(lake.path(table))]
    start = time.perf_counter()
    for log in logs:
        con.execute(f"select bit_xor(hash(every)) from {log} every").fetchall()
    return time.perf_counter() - start


def aggregation_seconds(con: duckdb.DuckDBPyConnection, lake: Lake) -> float:
    """To count, sum and take the latest of every profile's events."""
    lake.create_log_view(con, customer_timeline, name="customer_timeline")
    start = time.perf_counter()
    con.execute(PLAIN)
    return time.perf_counter() - start


def copy_seconds(warehouse: Warehouse, folder: Path) -> float:
    """To load what is published; table by table, since the largest as a file is as large as it is in the database."""
    return sum(_copy_back(warehouse, table, folder / f"{table.name}.copy") for table in PUBLISHED_TABLES)


def _copy_back(warehouse: Warehouse, table: Table, file: Path) -> float:
    name = f"{CRM_SCHEMA}.{table.name}"
    psql(warehouse, f"\\copy (select * from {name}) to '{file}'")
    psql(warehouse, f"truncate {name}")
    start = time.perf_counter()
    psql(warehouse, f"\\copy {name} from '{file}'")
    seconds = time.perf_counter() - start
    file.unlink()
    return seconds


def main(home: str) -> None:
    """Tell the seconds of each."""
    folder = Path(home)
    lake = Lake(str(folder / "lake"), folder / "spill")
    with closing(lake.connect()) as con:
        scan, aggregation = scan_seconds(con, lake), aggregation_seconds(con, lake)
    copy = copy_seconds(Warehouse(EmbeddedPostgres(folder).url("crm")), folder)
    tell(scan=scan, aggregation=aggregation, copy=copy)


if __name__ == "__main__":
    main(*sys.argv[1:])
