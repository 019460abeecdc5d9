"""The lake: one append-only change log per table, in Delta Lake, read and compared through DuckDB.

A log holds every version of every row, with as_of of the run that wrote it: the newest version per key is the present,
and any past hour can be read. A log may have a base: the present rows as of one version, derived from the log and
replaceable, so that reading the present costs about one plain scan.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.lake.commit import write_files
from crm_pipeline.resources.lake.files import list_lake_files, read_base_version
from crm_pipeline.resources.lake.rows import (
    CHANGE_COLUMNS,
    SYSTEM_COLUMNS,
    build_changed_rows_query,
    build_differences_query,
    build_new_rows_query,
    build_scan_query,
    build_superseded_join_sql,
    build_tenant_condition,
    list_lake_columns,
    list_lake_key_columns,
)
from crm_pipeline.settings import DEFAULT_MEMORY
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.tables.projections import to_lake_name

TARGET_FILE_BYTES = 32 * 1024 * 1024
"""A file is held in memory until it is full; compaction merges files into larger ones."""


MAX_SPILL_FACTOR = 20
"""Times its memory that a connection may spill: more is a table that no service should deliver."""


def find_max_spill(memory: str) -> str:
    """Returns what a connection with so much memory may spill, in DuckDB's notation too."""
    return re.sub(r"^[\d.]+", lambda amount: f"{float(amount[0]) * MAX_SPILL_FACTOR:.3f}", memory)


def open_session(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Returns a connection with temp relations of its own that shares memory limit and file cache with `con`."""
    session = con.cursor()
    _set_session_options(session)
    return session


def _set_session_options(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("set TimeZone = 'UTC'")
    con.execute("set enable_progress_bar = false")


class ChangeCounts(NamedTuple):
    """Numbers of rows appended to a log, by kind of change."""

    added: int
    changed: int
    removed: int

    @property
    def total(self) -> int:
        """Returns the number of all rows appended."""
        return sum(self)


NO_CHANGES = ChangeCounts(0, 0, 0)


@dataclass(frozen=True)
class Lake:
    """All logs and bases under one folder."""

    url: str
    spill: Path
    memory: str = field(default=DEFAULT_MEMORY, kw_only=True)
    """Memory a connection may use before it spills, in DuckDB's notation."""

    def path(self, table: Table) -> str:
        """Returns the path of the table's log."""
        return f"{self.url.rstrip('/')}/{to_lake_name(table)}"

    def base_path(self, table: Table) -> str:
        """Returns the path of the table's base, which may not exist."""
        return f"{self.path(table)}_base"

    def version(self, table: Table) -> int:
        """Returns the newest version of any row of the table, -1 without rows; compaction does not change it."""
        return list_lake_files(self.path(table)).newest

    def next_version(self, table: Table) -> int:
        """Returns the version of rows appended now; 0 for the first."""
        return self.version(table) + 1

    def base_version(self, table: Table) -> int:
        """Returns the version of the log whose state the base is; without a base the log's oldest, without a log -1."""
        stored_version = read_base_version(self.base_path(table))
        return list_lake_files(self.path(table)).oldest if stored_version is None else stored_version

    def build_versions_query(self, table: Table, after: int = -1) -> str:
        """Returns a query of every row version later than `after`.

        Files without such rows are left out, although DuckDB would skip them: it plans with the row counts of all files
        and may swap the sides of a join.
        """
        files = list_lake_files(self.path(table)).after(after)
        columns = list_lake_columns(table) | SYSTEM_COLUMNS | CHANGE_COLUMNS
        return f"from ({build_scan_query(files, columns)}) where _version > {after}"

    def build_base_query(self, table: Table, version: int) -> str:
        """Returns a query of the present rows as of `version`, the table's `base_version`, one per key."""
        columns = list_lake_columns(table) | SYSTEM_COLUMNS
        if read_base_version(self.base_path(table)) is not None:
            # Compaction may have built a newer base since; rows it added are read from the log.
            base = build_scan_query(list_lake_files(self.base_path(table)), columns)
            return f"from ({base}) where _version <= {version}"
        # The oldest commit is its own base: a commit never holds two rows of one key.
        log = build_scan_query(list_lake_files(self.path(table)).until(version), columns | CHANGE_COLUMNS)
        return f"select {', '.join(columns)} from ({log}) where _version = {version} and not _deleted"

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Returns a DuckDB connection in time zone UTC that may spill to disk."""
        self.spill.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect()
        _set_session_options(con)
        # A folder per connection: two processes that spill into one folder overwrite each other's files.
        con.execute("set temp_directory = $folder", {"folder": str(self.spill / uuid4().hex)})
        con.execute("set memory_limit = $memory", {"memory": self.memory})
        con.execute("set max_temp_directory_size = $size", {"size": find_max_spill(self.memory)})
        con.execute("set preserve_insertion_order = false")
        # A step reads the same files dozens of times, and files never change.
        con.execute("set parquet_metadata_cache = true")
        return con

    def create_current_view(
        self,
        con: duckdb.DuckDBPyConnection,
        table: Table,
        *,
        tenants: Sequence[str] | None = None,
        name: str | None = None,
    ) -> str:
        """Creates view `name` (default: the table's lake name) of the newest version of each row; returns the name."""
        name, tenant_condition = name or to_lake_name(table), build_tenant_condition(tenants)
        version = self.base_version(table)
        present = f"select * from ({self.build_base_query(table, version)}) where {tenant_condition}"
        if self.version(table) > version:
            key, change_columns = ", ".join(list_lake_key_columns(table)), ", ".join(CHANGE_COLUMNS)
            present = f"""
                with recent as not materialized (
                    select * from ({self.build_versions_query(table, version)}) where {tenant_condition})
                select * from ({present}) anti join {build_superseded_join_sql(table, "recent")}
                union all
                select * exclude ({change_columns}) from (
                    from recent qualify row_number() over (partition by {key} order by _version desc) = 1
                ) where not _deleted"""
        con.execute(f"create or replace temp view {name} as {present}")
        return name

    def build_counts_query(self, table: Table, *, by: str = "tenant_id", tenants: Sequence[str] | None = None) -> str:
        """Returns a query of column `by` and the number of its present rows, `rows`.

        A row's key must determine `by`, since the query counts versions without reading keys.
        """
        tenant_condition, version = build_tenant_condition(tenants), self.base_version(table)
        return f"""
            select {by}, cast(sum(rows) as bigint) as rows from (
                select {by}, count(*) as rows
                from ({self.build_base_query(table, version)}) where {tenant_condition} group by all
                union all
                select {by}, sum(case when _deleted then -1 when _replaces is null then 1 else 0 end)
                from ({self.build_versions_query(table, version)}) where {tenant_condition} group by all
            ) group by all"""

    def create_log_view(
        self, con: duckdb.DuckDBPyConnection, table: Table, *, after: int = -1, name: str | None = None
    ) -> str:
        """Creates view `name` (default: `<lake name>_log`) of row versions later than `after`; returns the name."""
        name = name or f"{to_lake_name(table)}_log"
        con.execute(f"create or replace temp view {name} as {self.build_versions_query(table, after)}")
        return name

    def replace(  # noqa: PLR0913  each is a different question
        self,
        con: duckdb.DuckDBPyConnection,
        table: Table,
        incoming: str,
        *,
        tenants: Sequence[str] | None,
        known_at: datetime,
        condition: str = "true",
        present_rows: str | None = None,
        version: int | None = None,
    ) -> ChangeCounts:
        """Returns what changed to make these tenants' rows, within `condition`, equal to relation `incoming`.

        Appends, in one commit, only rows that are new, differ in a hashed column or are gone. `incoming` has the
        table's lake columns, one row per key; the caller makes sure that it has no rows of other tenants. Where a
        condition cannot select the rows to replace, relation `present_rows` has their key and hash. A caller that
        replaces tenants in batches passes the `next_version` from before the first batch as `version`: all batches then
        have one version, and reading them costs no more than reading one commit.
        """
        version = self.next_version(table) if version is None else version
        self.create_current_view(con, table, tenants=tenants, name="_present_rows")
        if not con.execute("select 1 from _present_rows limit 1").fetchall():
            # A first run has nothing to compare with.
            [(added,)] = con.execute(f"select count(*) from {incoming}").fetchall()
            if added:
                self._append(con, table, build_new_rows_query(table, incoming), known_at, version)
            return ChangeCounts(added, 0, 0)
        present_rows = present_rows or f"(from _present_rows where {condition})"
        differences = build_differences_query(table, incoming, present_rows)
        con.execute(f"create or replace temp table _row_changes as {differences}")
        [counts] = con.execute("""
            select count(*) filter (_previous_hash is null), count(*) filter (_row_hash <> _previous_hash),
                   count(*) filter (_row_hash is null) from _row_changes""").fetchall()
        changes = ChangeCounts(*counts)
        if changes.total:
            changed_rows = build_changed_rows_query(table, incoming, has_removed=changes.removed > 0)
            self._append(con, table, changed_rows, known_at, version)
        con.execute("drop table _row_changes")
        return changes

    def find_latest_known_at(
        self, con: duckdb.DuckDBPyConnection, table: Table, *, tenants: Sequence[str] | None = None
    ) -> datetime | None:
        """Returns the newest as_of with a change of the table, for these tenants; None without one."""
        rows = con.execute(
            f"select max(_known_at) from ({self.build_versions_query(table)}) where {build_tenant_condition(tenants)}"
        ).fetchall()
        newest: datetime | None = rows[0][0]
        return newest

    def _append(
        self, con: duckdb.DuckDBPyConnection, table: Table, rows: str, known_at: datetime, version: int
    ) -> None:
        """Appends the rows of a query of the table's lake columns, `_row_hash` and the change columns, in one commit.

        Source rows are sorted by key, so that a reader of few tenants skips most. Output rows arrive tenant by tenant
        already; sorting them would take a quarter of the time of writing.
        """
        order = f"order by {', '.join(list_lake_key_columns(table))}" if table.metadata is source_metadata else ""
        appended = con.sql(
            f"""select {", ".join(list_lake_columns(table))}, _row_hash, $known_at::timestamptz as _known_at,
                    $version::bigint as _version, {", ".join(CHANGE_COLUMNS)}
                from ({rows}) {order}""",
            params={"known_at": known_at, "version": version},
        ).to_arrow_reader()
        write_files(self.path(table), appended, "append", schema_mode="merge", target_file_size=TARGET_FILE_BYTES)
