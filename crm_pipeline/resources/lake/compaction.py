"""Compaction of the lake: few files instead of many and a base for each log, so that reads stay as cheap as at first.

The rows of a table stay the same, now and at any past hour. Files that compaction replaced stay for
`LOG_RETENTION_DAYS`. The caller makes sure that no run writes meanwhile.
"""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from deltalake import DeltaTable
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.resources.lake.commit import WRITER_PROPERTIES, write_files
from crm_pipeline.resources.lake.files import BASE_VERSION_PROPERTY
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import list_lake_key_columns
from crm_pipeline.tables import RETIRED_LAKE_TABLES

LOG_RETENTION_DAYS = 35
"""How long a past hour can be read from files that a reader may still have listed."""
BASE_RETENTION_HOURS = 24
"""How long a replaced base stays: longer than any reader reads."""


class Compaction(NamedTuple):
    """The outcome for one table: files of its log before and after, and whether its base was rebuilt."""

    files_before: int
    files: int
    is_folded: bool


def compact_table(con: DuckDBPyConnection, lake: Lake, table: Table) -> Compaction | None:
    """Returns what compacting the table changed; None without a log.

    Compacts the log, rebuilds the base if the log has newer versions, and deletes files that no reader can need.
    """
    if not DeltaTable.is_deltatable(lake.path(table)):
        return None
    log = DeltaTable(lake.path(table))
    files_before = len(log.file_uris())
    log.optimize.compact(writer_properties=WRITER_PROPERTIES)
    log.vacuum(retention_hours=LOG_RETENTION_DAYS * 24, dry_run=False)
    return Compaction(files_before, len(log.file_uris()), _rebuild_base(con, lake, table))


def delete_retired_tables(lake: Lake) -> None:
    """Deletes logs and bases of tables that older releases wrote and nothing reads any more."""
    for name in RETIRED_LAKE_TABLES:
        for folder in (Path(lake.url) / name, Path(lake.url) / f"{name}_base"):
            if folder.exists():
                shutil.rmtree(folder)


def delete_abandoned_spill(lake: Lake) -> None:
    """Deletes spill folders of killed processes: those unchanged for `BASE_RETENTION_HOURS`."""
    oldest_allowed = time.time() - BASE_RETENTION_HOURS * 3600
    for folder in lake.spill.iterdir() if lake.spill.is_dir() else ():
        if folder.stat().st_mtime < oldest_allowed:
            shutil.rmtree(folder, ignore_errors=True)


def _rebuild_base(con: DuckDBPyConnection, lake: Lake, table: Table) -> bool:
    """Whether the log had versions that the base lacked, and the base was rebuilt."""
    path, log_version = lake.base_path(table), lake.version(table)
    if log_version <= lake.base_version(table):
        return False
    # A later append stays out of the base; readers take it from the log.
    present = lake.create_current_view(con, table, name="_base_rows")
    rows = con.sql(f"from {present} where _version <= {log_version} order by {', '.join(list_lake_key_columns(table))}")
    write_files(
        path,
        rows.to_arrow_reader(),
        "overwrite",
        schema_mode="overwrite",
        commit_metadata={BASE_VERSION_PROPERTY: str(log_version)},
    )
    DeltaTable(path).vacuum(retention_hours=BASE_RETENTION_HOURS, dry_run=False, enforce_retention_duration=False)
    return True
