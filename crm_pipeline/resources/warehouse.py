"""The warehouse: schema `crm` in PostgreSQL, made equal to the lake one tenant and one transaction at a time.

Nothing is computed here. What the schema looks like is `warehouse_schema`'s business, what travels `publisher`'s, and
who may run at the same time `run_lock`'s.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Engine, NullPool, create_engine, make_url

from crm_pipeline.resources.publisher import Publisher
from crm_pipeline.resources.warehouse_schema import prepare

APPLICATION = "crm-pipeline"


@dataclass(frozen=True)
class Warehouse:
    """The PostgreSQL server behind a `postgresql://` URL."""

    url: str
    lock_timeout: str = "30s"
    """How long a publisher waits for whoever holds a tenant or table, as PostgreSQL spells it."""

    def engine(self) -> Engine:
        """A SQLAlchemy engine, for statements that move no rows; to close its connection is to end the session."""
        careful = {"application_name": APPLICATION, "keepalives_idle": 60}  # a lock is held in silence for a whole run
        return create_engine(self.url, connect_args=careful, poolclass=NullPool)

    def prepare(self) -> None:
        """Create whatever the schema lacks."""
        with self.engine().begin() as connection:
            prepare(connection)

    @contextmanager
    def publisher(self, con: duckdb.DuckDBPyConnection, *, as_of: datetime, run_id: str) -> Iterator[Publisher]:
        """One connection to publish any number of tenants through."""
        url = make_url(self.url).set(drivername="postgresql").update_query_dict({"application_name": APPLICATION})
        with closing(adbc.connect(url.render_as_string(hide_password=False))) as connection:
            with closing(connection.cursor()) as cursor:
                cursor.execute(f"set lock_timeout = '{self.lock_timeout}'")
                cursor.execute("select table_name, tenant_id, version from crm.publications")
                published = {(table, tenant): version for table, tenant, version in cursor.fetchall()}
            connection.commit()
            yield Publisher(con, connection, as_of, run_id, published)
