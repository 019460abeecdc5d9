"""One tenant's rows of one table made equal to the lake's, inside a transaction that somebody else began.

Where the published version is one of this lake's, only the rows changed since then are looked at; where it is not,
keys and hashes of all rows are compared; where nothing is there yet, all rows are loaded and indexed afterwards.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Connection, Table, text

from crm_pipeline.resources.lake.lake import NO_CHANGES, ChangeCounts
from crm_pipeline.resources.warehouse.publishing.bulk_copy import copy_changes, copy_rows, pending_table_name
from crm_pipeline.resources.warehouse.publishing.publication_state import (
    ContentFingerprint,
    PublicationState,
    find_fingerprints,
    tenant_id_sql,
)
from crm_pipeline.resources.warehouse.schema import create_partition, index_partition, quote_literal, tenant_table_name
from crm_pipeline.tables.projections import list_key_columns, to_duckdb_type

LOGGER = logging.getLogger(__name__)
PUBLISH_LOCK_SQL = "select pg_advisory_xact_lock(hashtextextended('publish ' || {}, 0))"
"""Held to the end of a transaction by whoever changes a tenant's tables, whose parameter goes into the braces."""


class PublishError(Exception):
    """A tenant that could not be published; the message names tenant and table, and nothing of it was changed."""


def acquire_publish_lock(connection: Connection, tenant_id: str) -> None:
    """Wait until nobody publishes the tenant, half a minute at most, and let nobody until the transaction ends."""
    connection.execute(text("set lock_timeout = '30s'"))
    connection.execute(text(PUBLISH_LOCK_SQL.format(":tenant")), {"tenant": tenant_id})


class PendingRows(NamedTuple):
    """A tenant's rows of one table as the lake has them: DuckDB relations with `_row_hash`, and their version."""

    table: Table
    relation: str
    """All rows, maybe with other tenants' between them."""
    content: ContentFingerprint
    version: int
    lake_id: str
    changes: str | None = None
    """The newest version of at least each row that changed since the published one, with `_is_removed` where it was
    removed, maybe with other tenants' between them; None where the published version is not of this lake."""
    moved: int = 0
    """How many of the tenant's rows `changes` has."""


PendingByTenant = Mapping[str, Sequence[PendingRows]]
"""Per tenant the tables that have something to publish."""


@dataclass(frozen=True)
class TablePublication:
    """The publication of one table of one tenant."""

    con: duckdb.DuckDBPyConnection
    turn: RLock
    """Held by whoever uses `con`."""
    cursor: adbc.Cursor
    tenant_id: str
    part: PendingRows
    published: PublicationState | None
    is_ahead: bool = False
    """Whether `part.changes` of this tenant were sent ahead in this session."""

    def carry_out(self) -> tuple[ChangeCounts, ContentFingerprint]:
        """Make the rows equal; return what changed and what there is now. A new partition waits for being attached."""
        target, changes = tenant_table_name(self.part.table, self.tenant_id), NO_CHANGES
        is_new = self._is_new(target)
        if self.part.changes and self.published and not is_new:
            changes, content = self._apply(target, self._staged_changes(self.part.changes), self.published.content)
            if content == self.part.content:
                return changes, content
            LOGGER.warning("%s: %s is compared row by row", self.tenant_id, self.part.table.name)
        with self.turn:
            return self._carry_out_whole(target, changes, is_new=is_new)

    def _carry_out_whole(
        self, target: str, changes: ChangeCounts, *, is_new: bool
    ) -> tuple[ChangeCounts, ContentFingerprint]:
        """The same without knowing what changed, after `changes` that were not all."""
        content = self._content()
        if is_new:
            changes = self._load(target, content)
        else:
            self._compare(target)
            compared, _ = self._apply(target, self._staged("from _to_publish"), ContentFingerprint(0, 0))
            changes = ChangeCounts(*(one + other for one, other in zip(changes, compared, strict=True)))
        self._check(target, content)
        if is_new and self.part.table.info.get("partitioned_by"):
            index_partition(self.cursor, self.part.table, self.tenant_id)
        return changes, content

    def _is_new(self, target: str) -> bool:
        """Whether nothing is in the way of the tenant's rows; one without a tenant may stand under another's."""
        if self.part.table.info.get("partitioned_by"):
            self.cursor.execute("select to_regclass($1) is null", (target,))
        elif self.published or self.part.table.c.tenant_id.nullable:
            return False
        else:
            self.cursor.execute(f"select not exists (select from {target} where tenant_id = $1)", (self.tenant_id,))
        return bool(self.cursor.fetchall()[0][0])

    def _content(self) -> ContentFingerprint:
        """What the lake has; what was only worked out from changes is counted."""
        if not self.part.changes:
            return self.part.content
        return find_fingerprints(self.con, self.part.table, f"({self._mine()})").get(
            self.tenant_id, ContentFingerprint(0, 0)
        )

    def _load(self, target: str, content: ContentFingerprint) -> ChangeCounts:
        table = self.part.table
        if table.info.get("partitioned_by"):
            create_partition(self.cursor, table, self.tenant_id)
        if not content.rows:
            return NO_CHANGES
        return ChangeCounts(copy_rows(self.cursor, self.con, table, self._mine(), into=target.partition(".")[2]), 0, 0)

    def _mine(self) -> str:
        return self._own_rows(self.part.relation)

    def _own_rows(self, relation: str) -> str:
        return f"from {relation} where {tenant_id_sql(self.part.table)} = {quote_literal(self.tenant_id)}"

    def _staged_changes(self, changes: str) -> str:
        """SQL for PostgreSQL of the tenant's changes."""
        if self.is_ahead:
            return f"(select * {self._own_rows(pending_table_name(self.part.table))})"
        return self._staged(self._own_rows(changes))

    def _staged(self, source: str) -> str:
        with self.turn:
            return copy_changes(self.cursor, self.con, self.part.table, source)

    def _compare(self, target: str) -> None:
        """Temp table `_to_publish` from all rows on both sides."""
        table = self.part.table
        keys = ", ".join(f"{key}::text as {key}" for key in list_key_columns(table))
        self.cursor.execute(
            f"select {keys}, row_hash as _row_hash from {target} where {tenant_id_sql(table)} = $1", (self.tenant_id,)
        )
        published = self.cursor.fetch_arrow_table()  # noqa: F841  DuckDB finds it by name
        types = ", ".join(f"cast({key} as {to_duckdb_type(table.c[key])}) as {key}" for key in list_key_columns(table))
        self.con.execute(f"create or replace temp table _published as select {types}, _row_hash from published")
        using = ", ".join(list_key_columns(table))
        self.con.execute(f"""
            create or replace temp table _to_publish as
            with mine as ({self._mine()})
            select mine.*, false as _is_removed
            from mine left join _published using ({using}) where mine._row_hash is distinct from _published._row_hash
            union all by name
            select {using}, true as _is_removed from _published anti join mine using ({using})""")

    def _apply(self, target: str, staged: str, before: ContentFingerprint) -> tuple[ChangeCounts, ContentFingerprint]:
        """Write what is staged, in one statement; return what changed, and the content if it was `before`."""
        self.cursor.execute(_build_upsert_query(self.part.table, target, staged))
        changed, removed, known_sum, written, written_sum = self.cursor.fetchall()[0]
        added = written - changed
        after = ContentFingerprint(before.rows + added - removed, before.checksum + int(written_sum) - int(known_sum))
        return ChangeCounts(added, changed, removed), after

    def _check(self, target: str, expected: ContentFingerprint) -> None:
        """Count and add up what PostgreSQL has now."""
        table = self.part.table
        self.cursor.execute(
            f"select count(*), coalesce(sum(row_hash), 0)::text from {target} where {tenant_id_sql(table)} = $1",
            (self.tenant_id,),
        )
        rows, checksum = self.cursor.fetchall()[0]
        if rows != expected.rows:
            raise PublishError(f"{self.tenant_id}: {table.name} would have {rows} rows, the lake has {expected.rows}")
        if int(checksum) != expected.checksum:
            raise PublishError(f"{self.tenant_id}: {table.name} would have other rows than the lake")


def _build_upsert_query(table: Table, target: str, staged: str) -> str:
    """SQL that writes and removes what is staged; returns what there had been of it, and what it is."""
    keys, columns = list_key_columns(table), [*(column.name for column in table.columns), "row_hash"]
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    matches = " and ".join(f"t.{key} = s.{key}" for key in keys)
    return f"""
        with s as materialized (select * from {staged} staged),
        known as (
            select count(*) filter (where not is_gone) as changed, count(*) filter (where is_gone) as removed,
                coalesce(sum(t.row_hash), 0)::text as hashes
            from {target} t join s on {matches}),
        gone as (delete from {target} t using s where s.is_gone and {matches}),
        written as (
            insert into {target} ({", ".join(columns)}) select {", ".join(columns)} from s where not is_gone
            on conflict ({", ".join(keys)}) do update set {updates})
        select changed, removed, hashes, count(*) filter (where not is_gone),
            coalesce(sum(row_hash) filter (where not is_gone), 0)::text
        from known left join s on true group by 1, 2, 3"""
