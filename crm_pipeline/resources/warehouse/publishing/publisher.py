"""The publisher: makes one tenant's tables equal to the lake in one transaction, and retries transient errors."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from threading import RLock
from typing import Final, NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Table

from crm_pipeline.faults import describe_postgres_error, find_sqlstate
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.resources.warehouse.publishing.bulk_copy import load_pending_rows
from crm_pipeline.resources.warehouse.publishing.publication_state import (
    PublicationState,
    SnapshotAge,
    TenantRefresh,
    read_publication_states,
    store_publication_states,
    store_refresh_time,
    store_snapshot_ages,
    store_tenant_refreshes,
)
from crm_pipeline.resources.warehouse.publishing.table_publication import (
    PUBLISH_LOCK_SQL,
    PendingByTenant,
    PendingRows,
    PublishError,
    TablePublication,
)
from crm_pipeline.resources.warehouse.schema import attach_partition

__all__ = ["PendingRows", "PublishCost", "PublishError", "Publisher", "SnapshotAge", "TenantRefresh"]

LOGGER = logging.getLogger(__name__)
MAX_ATTEMPTS = 5
RETRY_PAUSE_SECONDS = 0.2
_TRANSIENT_SQLSTATES: Final = ("40001", "40P01", "08", "57P")
"""SQLSTATEs of serialisation failures, deadlocks, lost connections and a restart."""


class PublishCost(NamedTuple):
    """The cost of publishing a tenant, from its lock to its commit."""

    seconds: float
    wal_bytes: int
    """Write-ahead log of the whole server in that time, that of parallel publications included."""


@dataclass
class Publisher:
    """Publisher of tenants, each in its own transaction, over one connection that is replaced when it is lost."""

    con: duckdb.DuckDBPyConnection
    connect: Callable[..., adbc.Connection]
    """`Warehouse.connect`."""
    as_of: datetime
    run_id: str
    con_lock: RLock = field(default_factory=RLock, repr=False)
    """Held while `con` is used, because parallel publishers share it."""
    connection: adbc.Connection = field(init=False)
    costs: dict[str, PublishCost] = field(default_factory=dict, init=False)
    """Per tenant the cost of all its publications; absent where nothing changed."""
    loaded_tables: set[tuple[str, str]] = field(default_factory=set, init=False)
    """Table names and tenants whose changes are loaded into this session."""

    def __post_init__(self) -> None:
        self.connection = self.connect()

    def clone(self) -> "Publisher":
        """Returns a publisher with its own connection that adds to the same costs."""
        clone = Publisher(self.con, partial(self.connect, self.connection), self.as_of, self.run_id, self.con_lock)
        clone.costs = self.costs
        return clone

    def close(self) -> None:
        """Ends the session."""
        self.connection.close()

    @cached_property
    def publication_states(self) -> Mapping[tuple[str, str], PublicationState]:
        """Returns the published states per table name and tenant, read once; `publish` reads a tenant's again."""
        with closing(self.connection.cursor()) as cursor:
            states = read_publication_states(cursor)
        self.connection.commit()
        return states

    def publish(self, tenant_id: str, rows: Sequence[PendingRows]) -> dict[str, ChangeCounts]:
        """Returns the change counts per table after making the tenant's tables equal to `rows`, all or none.

        A table already published at its version is skipped. Other tenants can be published after an error.

        Raises:
            PublishError: the version is older than the published one, rows do not match, or PostgreSQL refused them.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._publish_tables(tenant_id, rows)
            except adbc.Error as error:
                if attempt == MAX_ATTEMPTS or not self._prepare_retry(error):
                    raise PublishError(f"{tenant_id}: {describe_postgres_error(error)}") from None
                LOGGER.warning("%s: trying again after %s", tenant_id, describe_postgres_error(error))
                time.sleep(RETRY_PAUSE_SECONDS * attempt)
        raise AssertionError

    def load_pending_rows(self, pending: PendingByTenant) -> None:
        """Loads the changed rows of these tenants into temp tables of the session, replacing those loaded before.

        One COPY for all tenants costs as much as one for a single tenant. If PostgreSQL refuses a row, nothing is
        loaded and `publish` copies each tenant's rows itself.
        """
        tenants_by_relation: dict[tuple[Table, str], list[str]] = defaultdict(list)
        for tenant_id, rows in pending.items():
            for table_rows in rows:
                if table_rows.changes_relation:
                    tenants_by_relation[table_rows.table, table_rows.changes_relation].append(tenant_id)
        self.loaded_tables.clear()
        try:
            with self.con_lock, closing(self.connection.cursor()) as cursor:
                for (table, relation), tenants in tenants_by_relation.items():
                    load_pending_rows(
                        cursor, self.con, table, f"from {relation} where {build_tenant_condition(tenants)}"
                    )
            self.connection.commit()
        except adbc.Error as error:
            self._roll_back()
            LOGGER.warning("nothing is sent ahead: %s", describe_postgres_error(error))
            return
        self.loaded_tables = {
            (table.name, tenant) for (table, _), tenants in tenants_by_relation.items() for tenant in tenants
        }

    def store_refresh_time(
        self,
        refreshes: Sequence[TenantRefresh],
        run_tenants: Sequence[str] | None,
        ages: Sequence[SnapshotAge],
    ) -> None:
        """Stores how this run ended for each tenant, and the age of each service's snapshot.

        The tables of those that were published get this run's hour.
        `run_tenants` are all tenants of the run, None for every tenant: their quarantined rows count as seen again.
        """
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("set local synchronous_commit = on")
            published = [refresh.tenant_id for refresh in refreshes if refresh.is_published]
            store_refresh_time(cursor, self.run_id, self.as_of, published, run_tenants)
            store_tenant_refreshes(cursor, self.run_id, self.as_of, refreshes)
            store_snapshot_ages(cursor, self.run_id, ages)
        self.connection.commit()

    def _publish_tables(self, tenant_id: str, rows: Sequence[PendingRows]) -> dict[str, ChangeCounts]:
        with closing(self.connection.cursor()) as cursor:
            try:
                self._acquire_lock(cursor, tenant_id)
                began, wal_bytes = time.monotonic(), _read_wal_bytes(cursor)
                changes = self._publish_pending_tables(cursor, tenant_id, rows)
                # Last, because other publishers of new tenants wait from here to the commit.
                for pending in rows:
                    if pending.table.name in changes:
                        attach_partition(cursor, pending.table, tenant_id)
                wal_bytes = _read_wal_bytes(cursor) - wal_bytes
                self.connection.commit()
                if changes:
                    self._add_cost(tenant_id, time.monotonic() - began, wal_bytes)
            except BaseException:
                self._roll_back()
                raise
        return changes

    def _publish_pending_tables(
        self, cursor: adbc.Cursor, tenant_id: str, rows: Sequence[PendingRows]
    ) -> dict[str, ChangeCounts]:
        states = read_publication_states(cursor, tenant_id)
        changes, new_states = {}, {}
        for pending in rows:
            table_key = pending.table.name, tenant_id
            state = states.get(table_key)
            if _is_pending(tenant_id, pending, state):
                is_loaded = table_key in self.loaded_tables
                publication = TablePublication(self.con, self.con_lock, cursor, tenant_id, pending, state, is_loaded)
                changes[pending.table.name], fingerprint = publication.publish()
                new_states[table_key] = PublicationState(pending.version, pending.lake_id, fingerprint, self.as_of)
        if new_states:
            store_publication_states(cursor, self.run_id, new_states)
        return changes

    def _add_cost(self, tenant_id: str, seconds: float, wal_bytes: int) -> None:
        previous = self.costs.get(tenant_id, PublishCost(0, 0))
        self.costs[tenant_id] = PublishCost(round(previous.seconds + seconds, 3), previous.wal_bytes + wal_bytes)

    def _acquire_lock(self, cursor: adbc.Cursor, tenant_id: str) -> None:
        cursor.execute(PUBLISH_LOCK_SQL.format("$1"), (tenant_id,))
        cursor.fetchall()

    def _roll_back(self) -> None:
        # A lost connection has lost its transaction as well.
        with suppress(adbc.Error):
            self.connection.rollback()

    def _prepare_retry(self, error: adbc.Error) -> bool:
        """Whether another attempt may succeed; reconnects first where the connection is lost."""
        if not is_transient_error(error):
            return False
        try:
            with closing(self.connection.cursor()) as cursor:
                cursor.execute("select 1")
                cursor.fetchall()
            self.connection.rollback()
        except adbc.Error:
            return self._reconnect()
        return True

    def _reconnect(self) -> bool:
        try:
            connection = self.connect()
        except adbc.Error:
            return True  # a restarting server refuses connections for a moment
        self.connection.close()
        self.connection = connection
        self.loaded_tables.clear()
        return True


def _read_wal_bytes(cursor: adbc.Cursor) -> int:
    """Returns the bytes of WAL the server has written since it was created."""
    cursor.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
    return int(cursor.fetchall()[0][0])


def _is_pending(tenant_id: str, pending: PendingRows, published: PublicationState | None) -> bool:
    """Whether the table has to be published.

    Raises:
        PublishError: the lake's version is older than the published one.
    """
    if published is None or published.lake_id != pending.lake_id:
        return True
    if published.version > pending.version:
        raise PublishError(
            f"{tenant_id}: {pending.table.name} was published at version {published.version}, this lake has"
            f" {pending.version}; it is an older copy of the lake the warehouse was published from"
        )
    return published.version != pending.version


def is_transient_error(error: adbc.Error) -> bool:
    """Whether a retry may succeed; an error without a SQLSTATE comes from the connection."""
    return (find_sqlstate(error) or "08").startswith(_TRANSIENT_SQLSTATES)
