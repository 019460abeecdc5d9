"""Publishing: one tenant's tables made equal to the lake, in one transaction, tried again where that can help.

How the rows of one table get there is `publication`'s business; whom to publish, and whether the rows are fit to be,
is decided elsewhere.
"""

import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from threading import RLock
from typing import Final, NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.resources.warehouse.publishing.bulk_copy import load_pending_rows
from crm_pipeline.resources.warehouse.publishing.publication_state import (
    PublicationState,
    SnapshotAge,
    read_publication_states,
    store_publication_states,
    store_refresh_time,
    store_snapshot_ages,
)
from crm_pipeline.resources.warehouse.publishing.table_publication import (
    PUBLISH_LOCK_SQL,
    PendingByTenant,
    PendingRows,
    PublishError,
    TablePublication,
)
from crm_pipeline.resources.warehouse.schema import attach_partition

__all__ = ["PublishCost", "PublishError", "Publisher", "PendingRows", "SnapshotAge"]

LOGGER = logging.getLogger(__name__)
MAX_ATTEMPTS = 5
RETRY_PAUSE_SECONDS = 0.2


class PublishCost(NamedTuple):
    """What publishing a tenant took: from its lock to its commit, and the WAL that the whole server wrote meanwhile.

    Of several tenants at a time each has that of all.
    """

    seconds: float
    wal_bytes: int


@dataclass
class Publisher:
    """Publishes tenants, each in a transaction of its own, over one connection that is made anew when it is lost."""

    con: duckdb.DuckDBPyConnection
    connect: Callable[[], adbc.Connection]
    as_of: datetime
    run_id: str
    turn: RLock = field(default_factory=RLock, repr=False)
    """Held by whoever uses `con`, which publishers beside this one have too."""
    connection: adbc.Connection = field(init=False)
    costs: dict[str, PublishCost] = field(default_factory=dict, init=False)
    """By tenant, all its publications together; none where nothing changed."""
    ahead: set[tuple[str, str]] = field(default_factory=set, init=False)
    """Tables and tenants whose changes wait in the session."""

    def __post_init__(self) -> None:
        self.connection = self.connect()

    def beside(self) -> "Publisher":
        """Another one over a connection of its own, which adds to the same costs."""
        other = Publisher(self.con, self.connect, self.as_of, self.run_id, self.turn)
        other.costs = self.costs
        return other

    def close(self) -> None:
        """End the session."""
        self.connection.close()

    @cached_property
    def published(self) -> Mapping[tuple[str, str], PublicationState]:
        """By table name and tenant, as of when it was first asked for; read again before each publication."""
        with closing(self.connection.cursor()) as cursor:
            published = read_publication_states(cursor)
        self.connection.commit()
        return published

    def publish(self, tenant_id: str, rows: Sequence[PendingRows]) -> dict[str, ChangeCounts]:
        """Make the tenant's tables equal to `rows`, all of them or none; return what changed per table.

        A table already published at its version is left alone. Raises PublishError for a version older than the
        published one, for rows that do not match, and for whatever PostgreSQL refuses; other tenants can follow.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._publish_tables(tenant_id, rows)
            except adbc.Error as error:
                if attempt == MAX_ATTEMPTS or not self._may_pass(error):
                    raise PublishError(f"{tenant_id}: {format_postgres_error(error)}") from None
                LOGGER.warning("%s: trying again after %s", tenant_id, format_postgres_error(error))
                time.sleep(RETRY_PAUSE_SECONDS * attempt)
        raise AssertionError

    def send_ahead(self, due: PendingByTenant) -> None:
        """Let what changed of these tenants wait in the session for being published, in the place of any before.

        One COPY for all of them costs as much as one for each. Where PostgreSQL refuses a row, each sends its own.
        """
        changes: dict[tuple[Table, str], list[str]] = defaultdict(list)
        for tenant_id, rows in due.items():
            for part in rows:
                if part.changes:
                    changes[part.table, part.changes].append(tenant_id)
        self.ahead.clear()
        try:
            with self.turn, closing(self.connection.cursor()) as cursor:
                for (table, relation), tenants in changes.items():
                    load_pending_rows(
                        cursor, self.con, table, f"from {relation} where {build_tenant_condition(tenants)}"
                    )
            self.connection.commit()
        except adbc.Error as error:
            self._roll_back()
            LOGGER.warning("nothing is sent ahead: %s", format_postgres_error(error))
            return
        self.ahead = {(table.name, tenant) for (table, _), tenants in changes.items() for tenant in tenants}

    def finish(self, tenants: Sequence[str], looked_at: Sequence[str] | None, ages: Sequence[SnapshotAge]) -> None:
        """Say that the tenants' tables speak of this run's hour, and how old each service's snapshot is.

        `looked_at` are all tenants of the run, None for every one: what is quarantined of them was seen again.
        """
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("set local synchronous_commit = on")
            store_refresh_time(cursor, self.run_id, self.as_of, tenants, looked_at)
            store_snapshot_ages(cursor, self.run_id, ages)
        self.connection.commit()

    def _publish_tables(self, tenant_id: str, rows: Sequence[PendingRows]) -> dict[str, ChangeCounts]:
        with closing(self.connection.cursor()) as cursor:
            try:
                self._lock(cursor, tenant_id)
                began, wal_bytes = time.monotonic(), _read_wal_bytes(cursor)
                known = read_publication_states(cursor, tenant_id)
                changes, states = {}, {}
                for part in rows:
                    where = part.table.name, tenant_id
                    if _is_pending(tenant_id, part, known.get(where)):
                        publication = TablePublication(
                            self.con, self.turn, cursor, tenant_id, part, known.get(where), where in self.ahead
                        )
                        changes[part.table.name], content = publication.carry_out()
                        states[where] = PublicationState(part.version, part.lake_id, content, self.as_of)
                if states:
                    store_publication_states(cursor, self.run_id, states)
                # Last, because other publishers of new tenants wait from here to the commit.
                for part in rows:
                    attach_partition(cursor, part.table, tenant_id)
                wal_bytes = _read_wal_bytes(cursor) - wal_bytes
                self.connection.commit()
                if changes:
                    so_far = self.costs.get(tenant_id, PublishCost(0, 0))
                    seconds = round(so_far.seconds + time.monotonic() - began, 3)
                    self.costs[tenant_id] = PublishCost(seconds, so_far.wal_bytes + wal_bytes)
            except BaseException:
                self._roll_back()
                raise
        return changes

    def _lock(self, cursor: adbc.Cursor, tenant_id: str) -> None:
        cursor.execute(PUBLISH_LOCK_SQL.format("$1"), (tenant_id,))
        cursor.fetchall()

    def _roll_back(self) -> None:
        # Where the connection is gone, its transaction is too.
        with suppress(adbc.Error):
            self.connection.rollback()

    def _may_pass(self, error: adbc.Error) -> bool:
        """Whether another attempt may go better; it then has a connection that works."""
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
            return True  # a server that restarts refuses for a moment
        self.connection.close()
        self.connection = connection
        self.ahead.clear()
        return True


def _read_wal_bytes(cursor: adbc.Cursor) -> int:
    """How much WAL the server has ever written."""
    cursor.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
    return int(cursor.fetchall()[0][0])


def _is_pending(tenant_id: str, part: PendingRows, published: PublicationState | None) -> bool:
    if published is None or published.lake_id != part.lake_id:
        return True
    if published.version > part.version:
        raise PublishError(
            f"{tenant_id}: {part.table.name} was published at version {published.version}, this lake has"
            f" {part.version}; it is an older copy of the lake the warehouse was published from"
        )
    return published.version != part.version


_TRANSIENT_SQLSTATES: Final = ("40001", "40P01", "08", "57P")
"""SQLSTATEs of serialisation failures, deadlocks, lost connections and a restart."""


def format_postgres_error(error: adbc.Error) -> str:
    """PostgreSQL's own sentence, without the statement before it and the details after it, which quote rows."""
    said = re.findall(r"(?:ERROR|FATAL):  (.+)", str(error))
    return said[-1] if said else str(error).splitlines()[0]


def is_transient_error(error: adbc.Error) -> bool:
    """Whether it is of a kind that passes; one without a state is of the connection."""
    return (error.sqlstate or "08").strip("\0").startswith(_TRANSIENT_SQLSTATES)
