"""The warehouse: schema `crm` in PostgreSQL, made equal to the lake one tenant and one transaction at a time.

Nothing is computed here. What the schema looks like is `warehouse_schema`'s business, what travels `publisher`'s, and
who may run at the same time `run_lock`'s.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Engine, NullPool, create_engine, make_url

from crm_pipeline.resources.warehouse.migrate import migrate_schema
from crm_pipeline.resources.warehouse.publishing.publisher import Publisher

APPLICATION_NAME = "crm-pipeline"
CONNECTION_OPTIONS = {"application_name": APPLICATION_NAME, "connect_timeout": "10", "keepalives_idle": "60"}
"""Of every connection. A lock is held in silence for a whole run, which must not look like a dead line."""
SESSION_SETTINGS = {
    # A publisher that hangs lets go of its tenant in the end.
    "statement_timeout": "30min",
    "idle_in_transaction_session_timeout": "30min",
    # No commit waits for the disk but the last, `finish`, and with it the disk has them all. What a crash of the server
    # takes before is published again by the next run, since its publication is gone with it.
    "synchronous_commit": "off",
    # Changed rows find theirs by key: the planner thinks any new staging table long, and would read everything.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


@dataclass(frozen=True)
class Warehouse:
    """The PostgreSQL server behind a `postgresql://` URL."""

    url: str = field(repr=False)
    lock_timeout: str = "30s"
    """How long a publisher waits for whoever holds a tenant or table, as PostgreSQL spells it."""

    def engine(self) -> Engine:
        """A SQLAlchemy engine, for statements that move no rows; to close its connection is to end the session."""
        return create_engine(self.url, connect_args=CONNECTION_OPTIONS, poolclass=NullPool)

    def prepare(self) -> None:
        """Make the schema what is declared: created, upgraded, or left alone."""
        with self.engine().begin() as connection:
            migrate_schema(connection)

    @contextmanager
    def publisher(self, con: duckdb.DuckDBPyConnection, *, as_of: datetime, run_id: str) -> Iterator[Publisher]:
        """A publisher of any number of tenants."""
        publisher = Publisher(con, self.connect, as_of, run_id)
        try:
            yield publisher
        finally:
            publisher.close()

    def connect(self) -> adbc.Connection:
        """A connection that rows travel through; its statements give up in time."""
        url = make_url(self.url).set(drivername="postgresql").update_query_dict(CONNECTION_OPTIONS)
        connection = adbc.connect(url.render_as_string(hide_password=False))
        with closing(connection.cursor()) as cursor:
            for name, value in {"lock_timeout": self.lock_timeout, **SESSION_SETTINGS}.items():
                cursor.execute(f"set {name} = '{value}'")
        connection.commit()
        return connection
