"""One embedded server for the tests of this folder, and its warehouse with nothing in it for each test."""

from collections.abc import Iterator

import pytest
from sqlalchemy import NullPool, create_engine, text

from crm_pipeline.resources.embedded_postgres import EmbeddedPostgres
from crm_pipeline.resources.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A running server with the schema."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("warehouse"))
    server.start()
    _spare_the_disk(server)
    warehouse = Warehouse(server.url("crm"))
    warehouse.prepare()
    yield warehouse
    server.stop()


def _spare_the_disk(server: EmbeddedPostgres) -> None:
    """No test here takes the power away, and without the promise to survive that they take half the time."""
    engine = create_engine(server.url("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("alter system set fsync = off"))
        connection.execute(text("select pg_reload_conf()"))


@pytest.fixture
def warehouse(prepared: Warehouse) -> Warehouse:
    """A warehouse without rows; a database of its own for each test would take a second each."""
    with prepared.engine().begin() as connection:
        for table in PUBLISHED:
            connection.execute(text(f"delete from crm.{table.name}"))
    return prepared
