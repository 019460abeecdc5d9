"""Permanent deletion of rows from the lake: from every version, replaced file and statistic of the log.

The caller holds the locks of all tenants, so no run writes meanwhile; a reader may lose a file it has open. Each step
can be repeated, and the lake is readable between any two of them.
"""

import shutil
from datetime import datetime
from pathlib import Path

from deltalake import DeltaTable
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.privacy.subject_rows import build_subject_condition
from crm_pipeline.resources.lake.commit import write_files
from crm_pipeline.resources.lake.lake import TARGET_FILE_BYTES, Lake
from crm_pipeline.resources.lake.rows import SYSTEM_COLUMNS, list_lake_columns, list_lake_key_columns

REMOVED_SUFFIX = "_gone"
MIN_REWRITE_SHARE = 0.1
"""Minimum share of replaced versions in a log before it is rewritten for these alone."""


def erase_rows(con: DuckDBPyConnection, lake: Lake, table: Table) -> int:
    """Returns how many row versions were deleted: all that are about the records in relation `forgotten`.

    Reads: `forgotten`.
    """
    removed = 0
    condition = build_subject_condition(table)
    if condition != "false" and DeltaTable.is_deltatable(lake.path(table)):
        removed = _delete_matching_rows(con, lake, table, condition)
    vacuum_delta_table(lake.path(table))
    # An erasure that was killed may have left the renamed base.
    shutil.rmtree(lake.base_path(table) + REMOVED_SUFFIX, ignore_errors=True)
    return removed


def count_remaining_rows(con: DuckDBPyConnection, lake: Lake, table: Table) -> int:
    """Returns how many rows in the log and in the base are about the records in relation `forgotten`.

    Reads: `forgotten`.
    """
    condition = build_subject_condition(table)
    log = lake.create_log_view(con, table, name="remaining_log")
    current = lake.create_current_view(con, table, name="remaining_rows")
    counts = [con.sql(f"select count(*) from {view} t where {condition}").fetchall() for view in (log, current)]
    return sum(int(count) for [(count,)] in counts)


def delete_versions(con: DuckDBPyConnection, lake: Lake, table: Table) -> int:
    """Returns how many versions were deleted by rewriting the log without those in `deleted_versions`.

    The base is deleted first. It can be rebuilt at any time, but a base newer than the log's newest version would hide
    the rows appended next.

    Reads: `deleted_versions`: lake key, _version.
    """
    key = ", ".join(list_lake_key_columns(table))
    rows = int(con.sql("select count(*) from deleted_versions").fetchall()[0][0])
    if not rows:
        return 0
    _delete_base(lake, table)
    columns = ", ".join(list_lake_columns(table) | SYSTEM_COLUMNS)
    log = lake.create_log_view(con, table, name="stored_log")
    # The version after a deleted one now replaces the version before it.
    remaining = con.sql(f"""
        with stored as (from {log} anti join deleted_versions using ({key}, _version)),
        relinked as (
            select * replace (
                lag(if(_deleted, null, _row_hash)) over (partition by {key} order by _version) as _replaces)
            from stored semi join deleted_versions using ({key}))
        select {columns}, _replaces, _deleted from (
            from stored anti join deleted_versions using ({key}) union all by name from relinked)
        order by _version, {key}""")
    reader = remaining.to_arrow_reader()
    write_files(lake.path(table), reader, "overwrite", schema_mode="merge", target_file_size=TARGET_FILE_BYTES)
    return rows


def delete_old_versions(con: DuckDBPyConnection, lake: Lake, table: Table, before: datetime) -> int:
    """Returns how many versions were deleted: those that no question about `before` or a later hour can need.

    These are all versions of rows deleted before that hour, and replaced versions where `MIN_REWRITE_SHARE` is reached.
    A tenant's newest version always stays, because published states refer to it.

    Creates: `version_ages`, `deleted_versions`.
    """
    if not DeltaTable.is_deltatable(lake.path(table)):
        return 0
    key, log = ", ".join(list_lake_key_columns(table)), lake.create_log_view(con, table, name="versions_log")
    con.execute(
        f"""create or replace temp table version_ages as
        with versions as (
            select {key}, _version, _deleted, _known_at,
                lead(_known_at) over (partition by {key} order by _version) as _replaced_at,
                max(_version) over (partition by coalesce(tenant_id, '')) as _newest_version from {log})
        select {key}, _version, max(_version) filter (_deleted and _known_at < $before and _version < _newest_version)
                over (partition by {key}) as _removed_through,
            _replaced_at < $before and _version < _newest_version as _is_replaced
        from versions""",
        {"before": before},
    )
    con.execute(f"""
        create or replace temp table deleted_versions as
        select {key}, _version from version_ages
        where coalesce(_version <= _removed_through, false) or _is_replaced and (
            select count(*) filter (_is_replaced) >= {MIN_REWRITE_SHARE} * count(*)
                or bool_or(_version <= _removed_through)
            from version_ages)""")
    removed = delete_versions(con, lake, table)
    if removed:
        vacuum_delta_table(lake.path(table))
    return removed


def vacuum_delta_table(path: str) -> None:
    """Deletes the files a Delta table no longer needs, and the log entries before its newest checkpoint."""
    if not DeltaTable.is_deltatable(path):
        return
    table = DeltaTable(path)
    log = Path(path) / "_delta_log"
    if table.version() == 0 and len(list(Path(path).glob("*.parquet"))) == len(table.file_uris()):
        return
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
    table = DeltaTable(path)
    table.create_checkpoint()
    for file in log.iterdir():
        version = file.name.partition(".")[0]
        if file.name.startswith(".") or (version.isdigit() and int(version) < table.version()):
            file.unlink()


def _delete_matching_rows(con: DuckDBPyConnection, lake: Lake, table: Table, matches: str) -> int:
    """Returns how many versions were deleted: the matching ones, and all of a row that matches in its last state.

    The newest version of a removed row says that it is removed; without it an older version would be current again.

    Reads: `forgotten`, in the condition `matches`.
    Creates: `matching_versions`, `removed_keys`, `deleted_versions`.
    """
    key = ", ".join(list_lake_key_columns(table))
    log = lake.create_log_view(con, table, name="whole_log")
    con.execute(f"""
        create or replace temp table matching_versions as
        select {key}, _version, _deleted from {log} t where {matches}""")
    con.execute(f"""
        create or replace temp table removed_keys as
        select {key}, max(_version) as _through from matching_versions
        join (select {key}, max(_version) as _newest from {log} semi join matching_versions using ({key}) group by all)
            using ({key})
        where _deleted or _version = _newest group by all""")
    con.execute(f"""
        create or replace temp table deleted_versions as
        select {key}, _version from matching_versions union
        select {key}, _version from {log} join removed_keys using ({key}) where _version <= _through""")
    return delete_versions(con, lake, table)


def _delete_base(lake: Lake, table: Table) -> None:
    base = Path(lake.base_path(table))
    removed = base.with_name(base.name + REMOVED_SUFFIX)
    if base.exists():
        # Renamed first, so that no reader sees half a base.
        shutil.rmtree(removed, ignore_errors=True)
        base.rename(removed)
        shutil.rmtree(removed)
