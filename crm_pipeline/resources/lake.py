"""The lake: one append-only change log per table, in Delta Lake, read and compared through DuckDB.

A log holds every version of every row, each with the run that made it known, so the newest version per key is the
present and any past hour can be read back. What the rows mean belongs to the domain.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from sqlalchemy import Table

from crm_pipeline.tables.columns import sources
from crm_pipeline.tables.projections import duckdb_type, hashed_columns, key_columns, lake_name

BOOKKEEPING = {"_row_hash": "BIGINT", "_known_at": "TIMESTAMPTZ", "_version": "BIGINT", "_deleted": "BOOLEAN"}
SOURCE_COLUMNS = {"_record_key": "VARCHAR", "_problems": "VARCHAR[]"}
"""What the lake keeps beside a source row's own columns: a key even where it has none, and what is wrong with it."""


class Changes(NamedTuple):
    """Rows appended to a log, by what happened to them."""

    added: int
    changed: int
    removed: int

    @property
    def total(self) -> int:
        """All rows appended."""
        return sum(self)


def lake_columns(table: Table) -> dict[str, str]:
    """Names and DuckDB types of what a log holds, bookkeeping apart."""
    declared = {column.key: duckdb_type(column) for column in table.columns}
    return declared | SOURCE_COLUMNS if table.metadata is sources else declared


def lake_key(table: Table) -> tuple[str, ...]:
    """The key of a row in the lake; a tenant's source rows never share one with another tenant's."""
    return ("tenant_id", "_record_key") if table.metadata is sources else key_columns(table)


def _quoted(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def tenant_filter(tenants: Sequence[str] | None) -> str:
    """A SQL condition that holds for the rows of these tenants; None means every row, those of no tenant included."""
    if tenants is None:
        return "true"
    return f"tenant_id in ({_quoted(tenants)})" if tenants else "false"


@dataclass(frozen=True)
class Lake:
    """All logs under one folder."""

    url: str
    spill: Path

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection that thinks in UTC and may spill to disk."""
        self.spill.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect()
        con.execute("set TimeZone = 'UTC'")
        con.execute("set temp_directory = $folder", {"folder": str(self.spill)})
        con.execute("set preserve_insertion_order = false")
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
        name = name or lake_name(table)
        log = self.log(con, table, name=f"{name}_log")
        key = ", ".join(lake_key(table))
        con.execute(f"""
            create or replace temp view {name} as
            select * exclude (_deleted) from (
                select * from {log} where {tenant_filter(tenants)}
                qualify row_number() over (partition by {key} order by _known_at desc, _version desc) = 1
            ) where not _deleted""")
        return name

    def log(self, con: duckdb.DuckDBPyConnection, table: Table, *, name: str | None = None) -> str:
        """Create a view of every version of every row, as `name` (default: the lake name and `_log`)."""
        name = name or f"{lake_name(table)}_log"
        columns = lake_columns(table) | BOOKKEEPING
        files = self._files(table)
        if files:
            body = f"select {', '.join(columns)} from read_parquet([{_quoted(files)}], union_by_name = true)"
        else:
            body = (
                "select " + ", ".join(f"null::{kind} as {column}" for column, kind in columns.items()) + " where false"
            )
        con.execute(f"create or replace temp view {name} as {body}")
        return name

    def replace(
        self,
        con: duckdb.DuckDBPyConnection,
        table: Table,
        incoming: str,
        *,
        tenants: Sequence[str] | None,
        known_at: datetime,
        scope: str = "true",
    ) -> Changes:
        """Make the table's rows of these tenants, within `scope`, equal to the relation `incoming`.

        Only rows that are new, differ in a hashed column or are gone get appended, in one commit. `incoming` has the
        table's lake columns; rows of other tenants in it are an error of the caller's.
        """
        self.current(con, table, tenants=tenants, name="_present")
        con.execute("create or replace temp table _appended as " + self._difference(table, incoming, scope))
        found = con.sql("""
            select count(*) filter (_change = 'added'), count(*) filter (_change = 'changed'),
                   count(*) filter (_change = 'removed') from _appended""").fetchall()[0]
        changes = Changes(*found)
        if changes.total:
            self._append(con, table, known_at)
        con.execute("drop table _appended")
        return changes

    def version(self, table: Table) -> int:
        """The number of the table's newest commit; -1 where it has none."""
        return DeltaTable(self._path(table)).version() if DeltaTable.is_deltatable(self._path(table)) else -1

    def latest(
        self, con: duckdb.DuckDBPyConnection, table: Table, *, tenants: Sequence[str] | None = None
    ) -> datetime | None:
        """The newest hour the table speaks of, for these tenants."""
        rows = con.sql(f"select max(_known_at) from {self.log(con, table)} where {tenant_filter(tenants)}").fetchall()
        newest: datetime | None = rows[0][0]
        return newest

    def _difference(self, table: Table, incoming: str, scope: str) -> str:
        columns, key = lake_columns(table), lake_key(table)
        kept = ", ".join(f"present.{column}" for column in columns)
        selected = ", ".join(f"cast({column} as {kind}) as {column}" for column, kind in columns.items())
        return f"""
            with present as (select * from _present where {scope}),
            incoming as (select *, {row_hash(table)} as _row_hash from (select {selected} from {incoming}))
            select incoming.*, case when present._row_hash is null then 'added' else 'changed' end as _change
            from incoming left join present using ({", ".join(key)})
            where present._row_hash is distinct from incoming._row_hash
            union all
            select {kept}, present._row_hash, 'removed' from present anti join incoming using ({", ".join(key)})"""

    def _append(self, con: duckdb.DuckDBPyConnection, table: Table, known_at: datetime) -> None:
        rows = con.sql(
            f"""select {", ".join(lake_columns(table))}, _row_hash, $known_at::timestamptz as _known_at,
                $version::bigint as _version, _change = 'removed' as _deleted
                from _appended order by {", ".join(lake_key(table))}""",
            params={"known_at": known_at, "version": self.version(table) + 1},
        ).to_arrow_reader()
        write_deltalake(self._path(table), rows, mode="append", schema_mode="merge")

    def _path(self, table: Table) -> str:
        return f"{self.url.rstrip('/')}/{lake_name(table)}"

    def _files(self, table: Table) -> list[str]:
        path = self._path(table)
        if not DeltaTable.is_deltatable(path):
            return []
        actions = pa.table(DeltaTable(path).get_add_actions(flatten=True))
        return [f"{path}/{unquote(file)}" for file in actions["path"].to_pylist()]


def row_hash(table: Table) -> str:
    """A SQL expression for 63 bits that change whenever a hashed column does."""
    names = hashed_columns(table) + (tuple(SOURCE_COLUMNS) if table.metadata is sources else ())
    texts = [f"cast({name} as varchar)" for name in names]
    # With their lengths, so that no value can pass for a null, or for two values and what stands between them.
    values = ", ".join(f"strlen({text}), ':', {text}" for text in texts)
    return f"cast(md5_number_lower(concat({values})) // 2 as bigint)"
