"""The lake a run works on: the one of the settings, or a copy that is deleted after the run.

A dry run gets a copy, since it must leave no trace. So does the replay of an earlier hour: the copy holds what the lake
knew then, for a warehouse without a later publication.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from deltalake import DeltaTable
from sqlalchemy import text

from crm_pipeline.resources.connections import open_lake, open_warehouse
from crm_pipeline.resources.lake.commit import write_files
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import list_lake_key_columns
from crm_pipeline.settings import Settings
from crm_pipeline.tables import LAKE_TABLES
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.outputs import operations


@contextmanager
def create_working_copy(settings: Settings, *, dry_run: bool) -> Iterator[Settings]:
    """Yields the settings of the run: `is_replay` is set for a replay, and `lake_url` is that of the copy, if any."""
    if is_replay := _is_replay(settings, dry_run=dry_run):
        settings = replace(settings, is_replay=True)
    if not (is_replay or dry_run):
        yield settings
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="crm-pipeline-lake-", dir=settings.home) as folder:
        copy = replace(settings, lake_url=str(Path(folder) / "lake"))
        if is_replay and settings.as_of:
            copy_lake_as_of(open_lake(settings), open_lake(copy), settings.as_of)
        elif Path(settings.lake_url).is_dir():
            shutil.copytree(settings.lake_url, copy.lake_url)
        yield copy


def copy_lake_as_of(lake: Lake, copy: Lake, as_of: datetime) -> None:
    """Copies the logs as a run at `as_of` saw them: rows extracted by then, and outputs of the runs before it."""
    with closing(lake.connect()) as con:
        for table in LAKE_TABLES:
            if DeltaTable.is_deltatable(lake.path(table)):
                is_input = table.metadata is source_metadata or table.info.get("is_input")
                rows = con.sql(
                    f"""from {lake.create_log_view(con, table)} where _known_at {"<=" if is_input else "<"} $as_of
                        order by _version, {", ".join(list_lake_key_columns(table))}""",
                    params={"as_of": as_of},
                )
                write_files(copy.path(table), rows.to_arrow_reader(), "append", schema_mode="merge")


def _is_replay(settings: Settings, *, dry_run: bool) -> bool:
    """Whether `as_of` is before the last extract, with no later publication: the warehouse is never set back."""
    if settings.as_of is None:
        return False
    lake = open_lake(settings)
    with closing(lake.connect()) as con:
        newest = lake.find_latest_known_at(con, operations.service_snapshots)
    if newest is None or settings.as_of >= newest:
        return False
    return dry_run or not _has_later_publication(settings, settings.as_of)


def _has_later_publication(settings: Settings, as_of: datetime) -> bool:
    with open_warehouse(settings).engine().connect() as connection:
        later = text("select exists (select from crm.publications where as_of > :as_of)")
        return bool(connection.execute(later, {"as_of": as_of}).scalar_one())
