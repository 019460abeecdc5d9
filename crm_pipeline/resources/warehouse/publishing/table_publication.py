"""The publication of one table of one tenant, inside the caller's transaction.

A table published from this lake gets only the rows changed since then. Otherwise keys and hashes of all rows are
compared. An empty target gets all rows, and its indexes afterwards.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from threading import RLock
from typing import Final, NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Connection, Table, text

from crm_pipeline.resources.lake.lake import NO_CHANGES, ChangeCounts
from crm_pipeline.resources.warehouse.publishing.bulk_copy import (
    copy_changes,
    copy_rows,
    pending_table_name,
    read_rows,
)
from crm_pipeline.resources.warehouse.publishing.publication_state import (
    ContentFingerprint,
    PublicationState,
    find_fingerprints,
    tenant_id_sql,
)
from crm_pipeline.resources.warehouse.schema import create_partition, index_partition, quote_literal, tenant_table_name
from crm_pipeline.tables.projections import list_key_columns, to_duckdb_type

LOGGER = logging.getLogger(__name__)
MAX_ROWS_AHEAD: Final = 200_000
"""Rows of a new tenant that are read before they are copied: at most some 200 MB for each connection."""
PUBLISH_LOCK_SQL = "select pg_advisory_xact_lock(hashtextextended('publish ' || {}, 0))"
"""Lock on a tenant's tables until the transaction ends; the parameter of the tenant id goes into the braces."""


class PublishError(Exception):
    """A tenant could not be published: nothing of it was changed, and the message names tenant and table."""


def acquire_publish_lock(connection: Connection, tenant_id: str) -> None:
    """Acquires the tenant's publish lock until the transaction ends, waiting at most 30 seconds for it."""
    connection.execute(text("set lock_timeout = '30s'"))
    connection.execute(text(PUBLISH_LOCK_SQL.format(":tenant")), {"tenant": tenant_id})


class PendingRows(NamedTuple):
    """A tenant's rows of one table in the lake: DuckDB relations with `_row_hash`, and their version."""

    table: Table
    relation: str
    """Relation of all rows; it may hold other tenants' rows as well."""
    fingerprint: ContentFingerprint
    version: int
    lake_id: str
    changes_relation: str | None = None
    """Relation of the newest version of every row changed since the published one, `_is_removed` where it was removed.
    It may hold other rows and other tenants. None where the published version is of another lake."""
    changed_rows: int = 0
    """Number of the tenant's rows in `changes_relation`."""

    @property
    def row_count(self) -> int:
        """Returns the number of rows to read and write: the changed ones, or all of them where these are not known."""
        return self.changed_rows if self.changes_relation else self.fingerprint.rows


PendingByTenant = Mapping[str, Sequence[PendingRows]]
"""The tables to publish, per tenant."""


@dataclass(frozen=True)
class TablePublication:
    """The publication of one table of one tenant."""

    con: duckdb.DuckDBPyConnection
    con_lock: RLock
    """Held while `con` is used."""
    cursor: adbc.Cursor
    tenant_id: str
    pending: PendingRows
    published: PublicationState | None
    is_loaded: bool = False
    """Whether this tenant's changed rows are loaded into the session's temp table already."""

    def publish(self) -> tuple[ChangeCounts, ContentFingerprint]:
        """Returns the change counts and the new fingerprint; the caller attaches a new partition."""
        target, changes = tenant_table_name(self.pending.table, self.tenant_id), NO_CHANGES
        if self._is_new(target):
            return self._publish_new_rows(target)
        if self.pending.changes_relation and self.published:
            pending_sql = self._pending_changes_sql(self.pending.changes_relation)
            changes, fingerprint = self._apply_changes(target, pending_sql, self.published.fingerprint)
            if fingerprint == self.pending.fingerprint:
                return changes, fingerprint
            LOGGER.warning("%s: %s is compared row by row", self.tenant_id, self.pending.table.name)
        with self.con_lock:
            return self._publish_differences(target, changes)

    def _publish_new_rows(self, target: str) -> tuple[ChangeCounts, ContentFingerprint]:
        """Returns the same as `publish`, of a tenant without rows, whose indexes are created afterwards.

        Rows are read ahead where they are few enough, so that another connection reads while these are copied.
        """
        table, name = self.pending.table, target.partition(".")[2]
        if table.info.get("partitioned_by"):
            create_partition(self.cursor, table, self.tenant_id)
        with ExitStack() as reading:
            reading.enter_context(self.con_lock)
            fingerprint = self._find_fingerprint()
            rows = read_rows(self.con, table, self._all_rows_query())
            if fingerprint.rows <= MAX_ROWS_AHEAD:
                rows = rows.read_all().to_reader()
                reading.close()
            copied = copy_rows(self.cursor, table, rows, target=name) if fingerprint.rows else 0
        self._check_target(target, fingerprint)
        if table.info.get("partitioned_by"):
            index_partition(self.cursor, table, self.tenant_id)
        return ChangeCounts(copied, 0, 0), fingerprint

    def _publish_differences(self, target: str, changes: ChangeCounts) -> tuple[ChangeCounts, ContentFingerprint]:
        """Returns the same as `publish`, from all rows; `changes` were applied before and are added."""
        fingerprint = self._find_fingerprint()
        self._find_differences(target)
        compared, _ = self._apply_changes(target, self._copy_changes("from _pending_changes"), ContentFingerprint(0, 0))
        changes = ChangeCounts(*(one + other for one, other in zip(changes, compared, strict=True)))
        self._check_target(target, fingerprint)
        return changes, fingerprint

    def _is_new(self, target: str) -> bool:
        """Whether all rows can be inserted; a row of no tenant may still be stored under another tenant."""
        if self.pending.table.info.get("partitioned_by"):
            self.cursor.execute("select to_regclass($1) is null", (target,))
        elif self.published or self.pending.table.c.tenant_id.nullable:
            return False
        else:
            self.cursor.execute(f"select not exists (select from {target} where tenant_id = $1)", (self.tenant_id,))
        return bool(self.cursor.fetchall()[0][0])

    def _find_fingerprint(self) -> ContentFingerprint:
        """Returns the lake's fingerprint, counted again where it was derived from changes."""
        if not self.pending.changes_relation:
            return self.pending.fingerprint
        return find_fingerprints(self.con, self.pending.table, f"({self._all_rows_query()})").get(
            self.tenant_id, ContentFingerprint(0, 0)
        )

    def _all_rows_query(self) -> str:
        return self._tenant_rows_query(self.pending.relation)

    def _tenant_rows_query(self, relation: str) -> str:
        return f"from {relation} where {tenant_id_sql(self.pending.table)} = {quote_literal(self.tenant_id)}"

    def _pending_changes_sql(self, changes_relation: str) -> str:
        """Returns what the tenant's changes are read from in PostgreSQL: a subquery or a temp table."""
        if self.is_loaded:
            return f"(select * {self._tenant_rows_query(pending_table_name(self.pending.table))})"
        return self._copy_changes(self._tenant_rows_query(changes_relation))

    def _copy_changes(self, source: str) -> str:
        with self.con_lock:
            return copy_changes(self.cursor, self.con, self.pending.table, source)

    def _find_differences(self, target: str) -> None:
        """Creates temp table `_pending_changes` from the keys and hashes of all rows on both sides."""
        table = self.pending.table
        keys = ", ".join(f"{key}::text as {key}" for key in list_key_columns(table))
        self.cursor.execute(
            f"select {keys}, row_hash as _row_hash from {target} where {tenant_id_sql(table)} = $1", (self.tenant_id,)
        )
        published = self.cursor.fetch_arrow_table()  # noqa: F841  DuckDB reads the variable by name
        types = ", ".join(f"cast({key} as {to_duckdb_type(table.c[key])}) as {key}" for key in list_key_columns(table))
        self.con.execute(f"create or replace temp table _published_rows as select {types}, _row_hash from published")
        using = ", ".join(list_key_columns(table))
        self.con.execute(f"""
            create or replace temp table _pending_changes as
            with lake_rows as ({self._all_rows_query()})
            select lake_rows.*, false as _is_removed
            from lake_rows left join _published_rows using ({using})
            where lake_rows._row_hash is distinct from _published_rows._row_hash
            union all by name
            select {using}, true as _is_removed from _published_rows anti join lake_rows using ({using})""")

    def _apply_changes(
        self, target: str, pending_sql: str, before: ContentFingerprint
    ) -> tuple[ChangeCounts, ContentFingerprint]:
        """Returns the change counts and the fingerprint after `before`, having applied the changes in one statement."""
        self.cursor.execute(_build_upsert_query(self.pending.table, target, pending_sql))
        changed, removed, existing_sum, written, written_sum = self.cursor.fetchall()[0]
        added = written - changed
        after = ContentFingerprint(
            before.rows + added - removed, before.checksum + int(written_sum) - int(existing_sum)
        )
        return ChangeCounts(added, changed, removed), after

    def _check_target(self, target: str, expected: ContentFingerprint) -> None:
        """Compares count and checksum of the tenant's rows in PostgreSQL with the lake's.

        Raises:
            PublishError: they differ.
        """
        table = self.pending.table
        self.cursor.execute(
            f"select count(*), coalesce(sum(row_hash), 0)::text from {target} where {tenant_id_sql(table)} = $1",
            (self.tenant_id,),
        )
        rows, checksum = self.cursor.fetchall()[0]
        if rows != expected.rows:
            raise PublishError(f"{self.tenant_id}: {table.name} would have {rows} rows, the lake has {expected.rows}")
        if int(checksum) != expected.checksum:
            raise PublishError(f"{self.tenant_id}: {table.name} would have other rows than the lake")


def _build_upsert_query(table: Table, target: str, pending_sql: str) -> str:
    """Returns the statement that writes and deletes the pending rows.

    Its one row: pending rows that existed and stay, those deleted, the hash sum of both as they were, rows written, and
    the hash sum of these.
    """
    keys, columns = list_key_columns(table), [*(column.name for column in table.columns), "row_hash"]
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    matches = " and ".join(f"t.{key} = pending.{key}" for key in keys)
    return f"""
        with pending as materialized (select * from {pending_sql} pending_rows),
        existing as (
            select count(*) filter (where not is_removed) as changed, count(*) filter (where is_removed) as removed,
                coalesce(sum(t.row_hash), 0)::text as hashes
            from {target} t join pending on {matches}),
        deleted as (delete from {target} t using pending where pending.is_removed and {matches}),
        written as (
            insert into {target} ({", ".join(columns)}) select {", ".join(columns)} from pending where not is_removed
            on conflict ({", ".join(keys)}) do update set {updates})
        select changed, removed, hashes, count(*) filter (where not is_removed),
            coalesce(sum(row_hash) filter (where not is_removed), 0)::text
        from existing left join pending on true group by 1, 2, 3"""
