"""The lake: one append-only change log per table, in Delta Lake, read and compared through DuckDB.

A log holds every version of every row, each with the run that made it known, so the newest version per key is the
present and any past hour can be read back. Beside a log may lie its base: the rows of one of its versions folded
together, derived from the log and replaceable, so that reading the present costs about one plain scan. Making bases
and compacting logs belongs to `lake_upkeep`, what a row is to `lake_rows`, where all lies to `lake_tables`.
"""

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
"""A file is held in memory until it is full; compaction makes larger ones of it."""


class ChangeCounts(NamedTuple):
    """Rows appended to a log, by what happened to them."""

    added: int
    changed: int
    removed: int

    @property
    def total(self) -> int:
        """All rows appended."""
        return sum(self)


NO_CHANGES = ChangeCounts(0, 0, 0)


@dataclass(frozen=True)
class Lake:
    """All logs under one folder, each with a base or without."""

    url: str
    spill: Path
    memory: str = field(default=DEFAULT_MEMORY, kw_only=True)
    """What a connection may take before it spills."""

    def path(self, table: Table) -> str:
        """Where the table's log lies."""
        return f"{self.url.rstrip('/')}/{to_lake_name(table)}"

    def base_path(self, table: Table) -> str:
        """Where the table's base lies, if it has one."""
        return f"{self.path(table)}_base"

    def version(self, table: Table) -> int:
        """The newest version of any row of the table; -1 where it has none. Upkeep does not move it."""
        return list_lake_files(self.path(table)).newest

    def next_version(self, table: Table) -> int:
        """The version that rows appended now have; 0 for the first."""
        return self.version(table) + 1

    def base_version(self, table: Table) -> int:
        """The version of the log its base is the state of; the first where none was made, -1 without a log."""
        folded = read_base_version(self.base_path(table))
        return list_lake_files(self.path(table)).oldest if folded is None else folded

    def versions(self, table: Table, after: int = -1) -> str:
        """A query of every version of every row later than `after`.

        Files without any are left out, though reading would pass over them: DuckDB plans for as many rows as the files
        have, and joins the other way round where they seem to be more than they are.
        """
        files = list_lake_files(self.path(table)).after(after)
        return f"from ({build_scan_query(files, list_lake_columns(table) | SYSTEM_COLUMNS | CHANGE_COLUMNS)}) where _version > {after}"

    def base(self, table: Table, through: int) -> str:
        """A query of the rows that `base_version` speaks of, one per key."""
        columns = list_lake_columns(table) | SYSTEM_COLUMNS
        if read_base_version(self.base_path(table)) is not None:
            # Upkeep may have made a newer one since: what that one adds is read from the log.
            return f"from ({build_scan_query(list_lake_files(self.base_path(table)), columns)}) where _version <= {through}"
        # A commit never holds two rows of one key.
        log = build_scan_query(list_lake_files(self.path(table)).until(through), columns | CHANGE_COLUMNS)
        return f"select {', '.join(columns)} from ({log}) where _version = {through} and not _deleted"

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection that thinks in UTC and may spill to disk."""
        self.spill.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect()
        con.execute("set TimeZone = 'UTC'")
        # A folder of its own: two processes that spill into one write over each other's files.
        con.execute("set temp_directory = $folder", {"folder": str(self.spill / uuid4().hex)})
        con.execute("set memory_limit = $memory", {"memory": self.memory})
        con.execute("set preserve_insertion_order = false")
        con.execute("set enable_progress_bar = false")
        # A step asks for the same files dozens of times, and none of them ever changes.
        con.execute("set parquet_metadata_cache = true")
        return con

    def current(
        self,
        con: duckdb.DuckDBPyConnection,
        table: Table,
        *,
        tenants: Sequence[str] | None = None,
        name: str | None = None,
    ) -> str:
        """Create a view of the newest version of each row, as `name` (default: the table's lake name)."""
        name, through, wanted = name or to_lake_name(table), self.base_version(table), build_tenant_condition(tenants)
        present = f"select * from ({self.base(table, through)}) where {wanted}"
        if self.version(table) > through:
            key, fate = ", ".join(list_lake_key_columns(table)), ", ".join(CHANGE_COLUMNS)
            present = f"""
                with recent as not materialized (
                    select * from ({self.versions(table, through)}) where {wanted})
                select * from ({present}) anti join {build_superseded_join_sql(table, "recent")}
                union all
                select * exclude ({fate}) from (
                    from recent qualify row_number() over (partition by {key} order by _version desc) = 1
                ) where not _deleted"""
        con.execute(f"create or replace temp view {name} as {present}")
        return name

    def counts(self, table: Table, *, by: str = "tenant_id", tenants: Sequence[str] | None = None) -> str:
        """A query of column `by`, which every key implies, and its rows at present; reads no key."""
        wanted, through = build_tenant_condition(tenants), self.base_version(table)
        return f"""
            select {by}, cast(sum(rows) as bigint) as rows from (
                select {by}, count(*) as rows from ({self.base(table, through)}) where {wanted} group by all
                union all
                select {by}, sum(case when _deleted then -1 when _replaces is null then 1 else 0 end)
                from ({self.versions(table, through)}) where {wanted} group by all
            ) group by all"""

    def past(self, con: duckdb.DuckDBPyConnection, table: Table, as_of: datetime, *, name: str | None = None) -> str:
        """Create a view of the rows as they were known at an hour, as `name` (default: the table's lake name)."""
        name = name or to_lake_name(table)
        key = ", ".join(list_lake_key_columns(table))
        con.execute(f"""
            create or replace temp view {name} as
            select * exclude ({", ".join(CHANGE_COLUMNS)}) from (
                from ({self.versions(table)}) where _known_at <= '{as_of.isoformat()}'::timestamptz
                qualify row_number() over (partition by {key} order by _version desc) = 1
            ) where not _deleted""")
        return name

    def log(self, con: duckdb.DuckDBPyConnection, table: Table, *, after: int = -1, name: str | None = None) -> str:
        """Create a view of every version of every row later than `after`, as `name` (default: lake name and `_log`)."""
        name = name or f"{to_lake_name(table)}_log"
        con.execute(f"create or replace temp view {name} as {self.versions(table, after)}")
        return name

    def replace(  # noqa: PLR0913  what, of whom, since when
        self,
        con: duckdb.DuckDBPyConnection,
        table: Table,
        incoming: str,
        *,
        tenants: Sequence[str] | None,
        known_at: datetime,
        scope: str = "true",
        before: str | None = None,
        version: int | None = None,
    ) -> ChangeCounts:
        """Make the table's rows of these tenants, within `scope`, equal to the relation `incoming`.

        Where finding the present rows within takes more than a condition, relation `before` has their key and hash.
        Only rows that are new, differ in a hashed column or are gone get appended, in one commit. `incoming` has the
        table's lake columns, one row per key; rows of other tenants in it are an error of the caller's. Who replaces
        some tenants after others passes the `next_version` from before the first: what is one step then has one
        version, and reading it costs no more than if it had been one commit.
        """
        version = self.next_version(table) if version is None else version
        self.current(con, table, tenants=tenants, name="_present")
        if not con.execute("select 1 from _present limit 1").fetchall():
            # Nothing to compare with, and most of a first run's rows.
            [(added,)] = con.execute(f"select count(*) from {incoming}").fetchall()
            if added:
                self._append(con, table, build_new_rows_query(table, incoming), known_at, version)
            return ChangeCounts(added, 0, 0)
        before = before or f"(from _present where {scope})"
        con.execute(f"create or replace temp table _changes as {build_differences_query(table, incoming, before)}")
        found = con.execute("""
            select count(*) filter (_previous_hash is null), count(*) filter (_row_hash <> _previous_hash),
                   count(*) filter (_row_hash is null) from _changes""").fetchall()[0]
        changes = ChangeCounts(*found)
        if changes.total:
            self._append(
                con,
                table,
                build_changed_rows_query(table, incoming, has_removed=changes.removed > 0),
                known_at,
                version,
            )
        con.execute("drop table _changes")
        return changes

    def latest(
        self, con: duckdb.DuckDBPyConnection, table: Table, *, tenants: Sequence[str] | None = None
    ) -> datetime | None:
        """The newest hour the table speaks of, for these tenants."""
        rows = con.execute(
            f"select max(_known_at) from ({self.versions(table)}) where {build_tenant_condition(tenants)}"
        ).fetchall()
        newest: datetime | None = rows[0][0]
        return newest

    def _append(
        self, con: duckdb.DuckDBPyConnection, table: Table, rows: str, known_at: datetime, version: int
    ) -> None:
        """Append the rows of a query with the table's columns, `_row_hash` and fate in one commit.

        Source rows are sorted by key, so that a reader of few tenants passes over most; what is made of them comes
        tenants after tenants as it is, and sorting it would take a quarter of the time that writing takes.
        """
        order = f"order by {', '.join(list_lake_key_columns(table))}" if table.metadata is source_metadata else ""
        appended = con.sql(
            f"""select {", ".join(list_lake_columns(table))}, _row_hash, $known_at::timestamptz as _known_at,
                    $version::bigint as _version, {", ".join(CHANGE_COLUMNS)}
                from ({rows}) {order}""",
            params={"known_at": known_at, "version": version},
        ).to_arrow_reader()
        write_files(self.path(table), appended, "append", schema_mode="merge", target_file_size=TARGET_FILE_BYTES)
