"""Publishing: one tenant's tables made equal to the lake, in one transaction and by as few rows as differ.

Rows come as DuckDB relations with `_row_hash`, and only those whose hash differs travel. Whom to publish, and whether
the rows are fit to be, is decided elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.lake import Changes, tenant_filter
from crm_pipeline.resources.warehouse_schema import add_partition, holder_of
from crm_pipeline.tables.projections import key_columns, postgres_type

NOTE = """
    insert into crm.publications (table_name, tenant_id, run_id, as_of, rows, version, published_at)
    values ($1, $2, $3, $4, $5, $6, $7) on conflict (table_name, tenant_id) do update
    set run_id = excluded.run_id, as_of = excluded.as_of, rows = excluded.rows, version = excluded.version,
        published_at = excluded.published_at"""
REFRESHED = """
    update crm.publications set as_of = $1, run_id = $2
    where tenant_id = any($3) and table_name not like '%.snapshot'"""


class PublishError(Exception):
    """A tenant that could not be published; the message names tenant and table, and nothing of it was changed."""


class Rows(NamedTuple):
    """A tenant's rows of one table as the lake has them: a DuckDB relation with `_row_hash`, and their version."""

    table: Table
    relation: str
    version: int


class SnapshotAge(NamedTuple):
    """The hour a service's last believed snapshot of a tenant is of, and its rows."""

    service: str
    tenant_id: str
    as_of: datetime
    rows: int


@dataclass(frozen=True)
class Publisher:
    """Publishes tenants, each in a transaction of its own."""

    con: duckdb.DuckDBPyConnection
    connection: adbc.Connection
    as_of: datetime
    run_id: str
    published: Mapping[tuple[str, str], int]
    """Versions published when the connection was made, by table name and tenant; read again before each publication."""

    def publish(self, tenant_id: str, rows: Sequence[Rows]) -> dict[str, Changes]:
        """Make the tenant's tables equal to `rows`, all of them or none; return what changed per table.

        A table already published at its version is left alone. Raises PublishError for a version older than the
        published one, for a count that does not match, and for whatever PostgreSQL refuses; other tenants can follow.
        """
        try:
            return self._publish_tables(tenant_id, rows)
        except adbc.Error as error:
            raise PublishError(f"{tenant_id}: {_complaint(error)}") from None

    def finish(self, tenants: Sequence[str], looked_at: Sequence[str] | None, ages: Sequence[SnapshotAge]) -> None:
        """Say that the tenants' tables speak of this run's hour, and how old each service's snapshot is.

        `looked_at` are all tenants of the run, None for every one: what is quarantined of them was seen again.
        """
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(REFRESHED, (self.as_of, self.run_id, list(tenants)))
            seen = f"update crm.quarantined_records set last_seen_at = $1 where {tenant_filter(looked_at)}"
            cursor.execute(seen, (self.as_of,))
            for age in ages:
                self._note(cursor, f"{age.service}.snapshot", age.tenant_id, age.as_of, age.rows, 0)
        self.connection.commit()

    def _publish_tables(self, tenant_id: str, rows: Sequence[Rows]) -> dict[str, Changes]:
        with closing(self.connection.cursor()) as cursor:
            try:
                self._add_partitions(cursor, tenant_id, rows)
                self._lock(cursor, tenant_id)
                published = self._versions(cursor, tenant_id)
                changes = {
                    part.table.name: self._publish_table(cursor, tenant_id, part)
                    for part in rows
                    if self._is_due(tenant_id, part, published)
                }
                self.connection.commit()
            except BaseException:
                self.connection.rollback()
                raise
        return changes

    def _add_partitions(self, cursor: adbc.Cursor, tenant_id: str, rows: Sequence[Rows]) -> None:
        """Make what is missing in a transaction of its own: its lock keeps all others from adding theirs."""
        self._lock(cursor, tenant_id)
        for part in rows:
            add_partition(cursor, part.table, tenant_id)
        self.connection.commit()

    def _lock(self, cursor: adbc.Cursor, tenant_id: str) -> None:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('publish ' || $1, 0))", (tenant_id,))
        cursor.fetchall()

    def _versions(self, cursor: adbc.Cursor, tenant_id: str) -> dict[str, int]:
        cursor.execute("select table_name, version from crm.publications where tenant_id = $1", (tenant_id,))
        return dict(cursor.fetchall())

    def _is_due(self, tenant_id: str, part: Rows, published: Mapping[str, int]) -> bool:
        newest = published.get(part.table.name)
        if newest is not None and newest > part.version:
            raise PublishError(
                f"{tenant_id}: {part.table.name} was published at version {newest}, this lake has {part.version};"
                " it is not the lake the warehouse was published from (if it should be, drop schema crm and run)"
            )
        return newest != part.version

    def _publish_table(self, cursor: adbc.Cursor, tenant_id: str, part: Rows) -> Changes:
        table = part.table
        target = holder_of(table, tenant_id)
        self._read_published(cursor, target, table, tenant_id)
        self._compare(part, tenant_id)
        changes = Changes(
            *self.con.sql("""
            select count(*) filter (not _is_known), count(*) filter (_is_known and not _is_gone),
                count(*) filter (_is_gone) from _to_publish""").fetchall()[0]
        )
        if changes.total:
            self._apply(cursor, target, table)
        count = self._check_count(cursor, target, part, tenant_id)
        self._note(cursor, table.name, tenant_id, self.as_of, count, part.version)
        return changes

    def _note(self, cursor: adbc.Cursor, name: str, tenant_id: str, as_of: datetime, rows: int, version: int) -> None:
        cursor.execute(NOTE, (name, tenant_id, self.run_id, as_of, rows, version, datetime.now(UTC)))

    def _read_published(self, cursor: adbc.Cursor, target: str, table: Table, tenant_id: str) -> None:
        keys = ", ".join(f"{key}::text as {key}" for key in key_columns(table))
        cursor.execute(f"select {keys}, row_hash as _row_hash from {target} where {_tenant(table)} = $1", (tenant_id,))
        published = cursor.fetch_arrow_table()  # noqa: F841  DuckDB finds it by name
        self.con.execute("create or replace temp table _published as select * from published")

    def _compare(self, part: Rows, tenant_id: str) -> None:
        """Temp table `_to_publish`: rows to write, and keys to delete, told apart by `_is_gone`."""
        keys = ", ".join(key_columns(part.table))
        self.con.execute(
            f"""create or replace temp table _to_publish as
            with mine as (select * from {part.relation} where {_tenant(part.table)} = $tenant)
            select mine.*, _published._row_hash is not null as _is_known, false as _is_gone
            from mine left join _published using ({keys}) where mine._row_hash is distinct from _published._row_hash
            union all by name
            select {keys}, true as _is_known, true as _is_gone from _published anti join mine using ({keys})""",
            {"tenant": tenant_id},
        )

    def _apply(self, cursor: adbc.Cursor, target: str, table: Table) -> None:
        keys, columns = key_columns(table), [*(column.name for column in table.columns), "row_hash"]
        carried = ", ".join(f"cast({c.name} as {_transport(postgres_type(c))[1]}) as {c.name}" for c in table.columns)
        staged = ", ".join(f"{c.name} {_transport(postgres_type(c))[0]}" for c in table.columns)
        cursor.execute(f"create temp table staged ({staged}, row_hash bigint, is_gone boolean) on commit drop")
        rows = self.con.sql(f"select {carried}, _row_hash as row_hash, _is_gone as is_gone from _to_publish")
        cursor.adbc_ingest("staged", rows.to_arrow_reader(), mode="append", temporary=True)
        # The staged side is cast: a cast of the other would keep its index from being used.
        matches = " and ".join(f"t.{key} = s.{key}::{postgres_type(table.c[key])}" for key in keys)
        cursor.execute(f"delete from {target} t using staged s where s.is_gone and {matches}")
        values = ", ".join(f"{c.name}::{postgres_type(c)}" for c in table.columns)
        updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
        cursor.execute(
            f"""insert into {target} ({", ".join(columns)}) select {values}, row_hash from staged where not is_gone
            on conflict ({", ".join(keys)}) do update set {updates}"""
        )
        cursor.execute("drop table staged")

    def _check_count(self, cursor: adbc.Cursor, target: str, part: Rows, tenant_id: str) -> int:
        cursor.execute(f"select count(*) from {target} where {_tenant(part.table)} = $1", (tenant_id,))
        found: int = cursor.fetchall()[0][0]
        expected = self.con.sql(
            f"select count(*) from {part.relation} where {_tenant(part.table)} = $tenant", params={"tenant": tenant_id}
        ).fetchall()[0][0]
        if found != expected:
            raise PublishError(f"{tenant_id}: {part.table.name} would have {found} rows, the lake has {expected}")
        return found


def _tenant(table: Table) -> str:
    return "coalesce(tenant_id, '')" if table.c.tenant_id.nullable else "tenant_id"


def _transport(postgres: str) -> tuple[str, str]:
    """How a type travels, as PostgreSQL and as DuckDB call it; what ADBC could misread goes as text, to be cast."""
    kinds = {
        "BIGINT": "bigint",
        "BOOLEAN": "boolean",
        "DOUBLE PRECISION": "double",
        "TIMESTAMP WITH TIME ZONE": "timestamptz",
        "TEXT[]": "varchar[]",
    }
    return (postgres, kinds[postgres]) if postgres in kinds else ("text", "varchar")


def _complaint(error: adbc.Error) -> str:
    """PostgreSQL's own sentence, without the statement before it and the details after it, which quote rows."""
    said = re.findall(r"(?:ERROR|FATAL):  (.+)", str(error))
    return said[-1] if said else str(error).splitlines()[0]
