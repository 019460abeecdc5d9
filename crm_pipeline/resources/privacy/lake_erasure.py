"""Taking rows out of the lake for good: out of every version, out of replaced files, out of the statistics of the log.

Which rows is said in `domain/forgetting`. Whoever calls holds every tenant, so nobody writes meanwhile; whoever reads
may lose a file under their hands. Each step can be repeated, and between two of them the lake is one that can be read.
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
"""The share of a log that has to be of the past before it is rewritten for that alone."""


def erase_rows(con: DuckDBPyConnection, lake: Lake, table: Table) -> int:
    """Remove what is about relation `forgotten`; return the rows removed, of all versions together."""
    removed = 0
    where = build_subject_condition(table)
    if where != "false" and DeltaTable.is_deltatable(lake.path(table)):
        removed = _delete_matching_rows(con, lake, table, where)
    vacuum_delta_table(lake.path(table))
    # Of one that was killed, whose base had moved out of the way.
    shutil.rmtree(lake.base_path(table) + REMOVED_SUFFIX, ignore_errors=True)
    return removed


def count_remaining_rows(con: DuckDBPyConnection, lake: Lake, table: Table) -> int:
    """How many rows about relation `forgotten` the log and the base still hold."""
    found = con.sql(
        f"select count(*) from {lake.log(con, table, name='left_log')} t where {build_subject_condition(table)}"
    )
    base = con.sql(
        f"select count(*) from {lake.current(con, table, name='left_now')} t where {build_subject_condition(table)}"
    )
    return int(found.fetchall()[0][0]) + int(base.fetchall()[0][0])


def delete_versions(con: DuckDBPyConnection, lake: Lake, table: Table) -> int:
    """Rewrite the log without the versions in relation `doomed` (the lake key and _version); return how many.

    The base goes first. It can be made again at any time, but one that was folded beyond the log's newest version would
    hide whatever is appended next.
    """
    key = ", ".join(list_lake_key_columns(table))
    rows = int(con.sql("select count(*) from doomed").fetchall()[0][0])
    if not rows:
        return 0
    _delete_base(lake, table)
    columns = ", ".join(list_lake_columns(table) | SYSTEM_COLUMNS)
    log = lake.log(con, table, name="kept_log")
    # What came after a version that goes now takes the place of the one before it.
    kept = con.sql(f"""
        with kept as (from {log} anti join doomed using ({key}, _version)),
        moved as (
            select * replace (
                lag(if(_deleted, null, _row_hash)) over (partition by {key} order by _version) as _replaces)
            from kept semi join doomed using ({key}))
        select {columns}, _replaces, _deleted from (
            from kept anti join doomed using ({key}) union all by name from moved)
        order by _version, {key}""")
    reader = kept.to_arrow_reader()
    write_files(lake.path(table), reader, "overwrite", schema_mode="merge", target_file_size=TARGET_FILE_BYTES)
    return rows


def delete_old_versions(con: DuckDBPyConnection, lake: Lake, table: Table, before: datetime) -> int:
    """Remove the versions that no hour from this one on can be asked for; return how many.

    Of rows taken away before it all versions, and of the others those replaced before it, where it is worth a rewrite.
    A tenant's newest version stays, whatever it says: what was published and kept is told by it.
    """
    if not DeltaTable.is_deltatable(lake.path(table)):
        return 0
    key, log = ", ".join(list_lake_key_columns(table)), lake.log(con, table, name="aging_log")
    con.execute(
        f"""create or replace temp table past as
        with versions as (
            select {key}, _version, _deleted, _known_at,
                lead(_known_at) over (partition by {key} order by _version) as _until,
                max(_version) over (partition by coalesce(tenant_id, '')) as _newest from {log})
        select {key}, _version, max(_version) filter (_deleted and _known_at < $before and _version < _newest)
                over (partition by {key}) as _gone_at,
            _until < $before and _version < _newest as _is_replaced
        from versions""",
        {"before": before},
    )
    con.execute(f"""
        create or replace temp table doomed as
        select {key}, _version from past where coalesce(_version <= _gone_at, false) or _is_replaced and (
            select count(*) filter (_is_replaced) >= {MIN_REWRITE_SHARE} * count(*) or bool_or(_version <= _gone_at)
            from past)""")
    removed = delete_versions(con, lake, table)
    if removed:
        vacuum_delta_table(lake.path(table))
    return removed


def vacuum_delta_table(path: str) -> None:
    """Delete the files a Delta table no longer needs, and the part of its log that speaks of them."""
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


def _delete_matching_rows(con: DuckDBPyConnection, lake: Lake, table: Table, where: str) -> int:
    """Drop the matching versions, and of a row that was theirs in the end every version.

    A row that was taken away says so in its newest version: were that dropped alone, an older one would be back.
    """
    key = ", ".join(list_lake_key_columns(table))
    log = lake.log(con, table, name="whole_log")
    con.execute(f"create or replace temp table matched as select {key}, _version, _deleted from {log} t where {where}")
    con.execute(f"""
        create or replace temp table theirs as
        select {key}, max(_version) as _through from matched m
        where _deleted or _version = (select max(_version) from {log} l where {_same_key_condition(table)}) group by all""")
    con.execute(f"""
        create or replace temp table doomed as
        select {key}, _version from matched union
        select {key}, _version from {log} join theirs using ({key}) where _version <= _through""")
    return delete_versions(con, lake, table)


def _same_key_condition(table: Table, other: str = "m") -> str:
    return " and ".join(f"l.{column} = {other}.{column}" for column in list_lake_key_columns(table))


def _delete_base(lake: Lake, table: Table) -> None:
    base = Path(lake.base_path(table))
    gone = base.with_name(base.name + REMOVED_SUFFIX)
    if base.exists():
        # At once out of every reader's way, since half a base is none.
        shutil.rmtree(gone, ignore_errors=True)
        base.rename(gone)
        shutil.rmtree(gone)
