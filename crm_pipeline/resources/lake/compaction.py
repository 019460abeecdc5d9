"""Upkeep of the lake: few files instead of many and a base beside each log, so that reading stays as cheap as at first.

Nothing here changes what a table says, now or at any past hour. Files that compaction replaced stay for `AS_OF_DAYS`;
whoever calls sees to it that no run writes meanwhile.
"""

import shutil
import time
from typing import NamedTuple

from deltalake import DeltaTable
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.resources.lake.commit import WRITER_PROPERTIES, write_files
from crm_pipeline.resources.lake.files import BASE_VERSION_PROPERTY
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import list_lake_key_columns

LOG_RETENTION_DAYS = 35
"""How long a past hour can be read back from the very files a reader may still have listed."""
BASE_RETENTION_HOURS = 24
"""How long a base that was replaced stays: longer than any reader reads."""


class Compaction(NamedTuple):
    """What was done to one table: files of the log before and after, and whether its base was made anew."""

    files_before: int
    files: int
    is_folded: bool


def compact_table(con: DuckDBPyConnection, lake: Lake, table: Table) -> Compaction | None:
    """Compact the table's log, fold what is new into its base, delete files nobody can need; None without a log."""
    if not DeltaTable.is_deltatable(lake.path(table)):
        return None
    log = DeltaTable(lake.path(table))
    before = len(log.file_uris())
    log.optimize.compact(writer_properties=WRITER_PROPERTIES)
    log.vacuum(retention_hours=LOG_RETENTION_DAYS * 24, dry_run=False)
    return Compaction(before, len(log.file_uris()), _rebuild_base(con, lake, table))


def delete_abandoned_spill(lake: Lake) -> None:
    """Delete what processes that were killed had spilled."""
    before = time.time() - BASE_RETENTION_HOURS * 3600
    for folder in lake.spill.iterdir() if lake.spill.is_dir() else ():
        if folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)


def _rebuild_base(con: DuckDBPyConnection, lake: Lake, table: Table) -> bool:
    path, through = lake.base_path(table), lake.version(table)
    if through <= lake.base_version(table):
        return False
    # An append may have come since; what it says is read from the log.
    present = lake.current(con, table, name="_folded")
    rows = con.sql(f"from {present} where _version <= {through} order by {', '.join(list_lake_key_columns(table))}")
    write_files(
        path, rows.to_arrow_reader(), "overwrite", schema_mode="overwrite", note={BASE_VERSION_PROPERTY: str(through)}
    )
    DeltaTable(path).vacuum(retention_hours=BASE_RETENTION_HOURS, dry_run=False, enforce_retention_duration=False)
    return True
