"""The warehouse: schema `crm` in PostgreSQL, made equal to the lake one tenant and one transaction at a time."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Engine, NullPool, create_engine, make_url

from crm_pipeline.resources.warehouse.migrate import migrate_schema
from crm_pipeline.resources.warehouse.publishing.publisher import Publisher
from crm_pipeline.settings import format_libpq_url

APPLICATION_NAME = "crm-pipeline"
CONNECTION_OPTIONS = {"application_name": APPLICATION_NAME, "connect_timeout": "10", "keepalives_idle": "60"}
"""Options of every connection. The one that holds a run's locks is idle for hours, so keepalives prove it alive."""
SESSION_SETTINGS = {
    # A publisher that hangs must release its tenant.
    "statement_timeout": "30min",
    "idle_in_transaction_session_timeout": "30min",
    # Only the last commit, in `store_refresh_time`, waits for the disk, which then has all commits. A crash before it
    # loses rows together with their published states, so the next run publishes them again.
    "synchronous_commit": "off",
    # The planner overestimates new temp tables and would read the whole target; this makes it look rows up by key.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


@dataclass(frozen=True)
class Warehouse:
    """The warehouse at a `postgresql://` URL."""

    url: str = field(repr=False)
    lock_timeout: str = "30s"
    """Longest wait of a publisher for a lock, in PostgreSQL's notation."""

    def engine(self) -> Engine:
        """Returns a SQLAlchemy engine without a pool: closing a connection ends its session."""
        return create_engine(self.url, connect_args=CONNECTION_OPTIONS, poolclass=NullPool)

    def migrate_schema(self) -> None:
        """Creates or upgrades the schema as declared; an up-to-date schema stays as it is."""
        with self.engine().begin() as connection:
            migrate_schema(connection)

    @contextmanager
    def publisher(self, con: duckdb.DuckDBPyConnection, *, as_of: datetime, run_id: str) -> Iterator[Publisher]:
        """Yields a publisher that is closed afterwards."""
        publisher = Publisher(con, self.connect, as_of, run_id)
        try:
            yield publisher
        finally:
            publisher.close()

    def connect(self, other: adbc.Connection | None = None) -> adbc.Connection:
        """Returns an ADBC connection for bulk copies, with timeouts set for its statements.

        Made from another one it does without reading all types again: half a second with 1,200 partitions.
        """
        url = format_libpq_url(make_url(self.url).update_query_dict(CONNECTION_OPTIONS))
        connection = other.adbc_clone() if other else adbc.connect(url)
        with closing(connection.cursor()) as cursor:
            for name, value in {"lock_timeout": self.lock_timeout, **SESSION_SETTINGS}.items():
                cursor.execute(f"set {name} = '{value}'")
        connection.commit()
        return connection
