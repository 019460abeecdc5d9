"""Which lake a run works on: the settings' own, or a copy that ends with the run.

A dry run gets a copy, since it must leave no trace. So does the replay of an earlier hour: what the lake knew then, for
a warehouse other than the one that is later already. How a run goes is not decided here.
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
from crm_pipeline.tables.columns import output_metadata, source_metadata
from crm_pipeline.tables.outputs import operations


@contextmanager
def create_working_copy(settings: Settings, *, dry_run: bool) -> Iterator[Settings]:
    """The settings a run is to use; for a replay they say so."""
    if is_past := _is_replay(settings, dry_run=dry_run):
        settings = replace(settings, is_replay=True)
    if not (is_past or dry_run):
        yield settings
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="crm-pipeline-lake-", dir=settings.home) as folder:
        copy = replace(settings, lake_url=str(Path(folder) / "lake"))
        if is_past and settings.as_of:
            copy_lake_as_of(open_lake(settings), open_lake(copy), settings.as_of)
        elif Path(settings.lake_url).is_dir():
            shutil.copytree(settings.lake_url, copy.lake_url)
        yield copy


def copy_lake_as_of(lake: Lake, copy: Lake, as_of: datetime) -> None:
    """Copy the logs as a run at `as_of` met them: what was extracted by then, and what runs before it concluded."""
    with closing(lake.connect()) as con:
        for table in (*source_metadata.tables.values(), *output_metadata.tables.values()):
            if DeltaTable.is_deltatable(lake.path(table)):
                is_given = table.metadata is source_metadata or table.info.get("is_given")
                rows = con.sql(
                    f"""from {lake.log(con, table)} where _known_at {"<=" if is_given else "<"} $as_of
                        order by _version, {", ".join(list_lake_key_columns(table))}""",
                    params={"as_of": as_of},
                )
                write_files(copy.path(table), rows.to_arrow_reader(), "append", schema_mode="merge")


def _is_replay(settings: Settings, *, dry_run: bool) -> bool:
    """Whether as_of is before the last extract, and the warehouse is not later: it is never rewound."""
    if settings.as_of is None:
        return False
    lake = open_lake(settings)
    with closing(lake.connect()) as con:
        newest = lake.latest(con, operations.service_snapshots)
    if newest is None or settings.as_of >= newest:
        return False
    return dry_run or not _has_later_publication(settings, settings.as_of)


def _has_later_publication(settings: Settings, as_of: datetime) -> bool:
    with open_warehouse(settings).engine().connect() as connection:
        later = text("select exists (select from crm.publications where as_of > :as_of)")
        return bool(connection.execute(later, {"as_of": as_of}).scalar_one())
