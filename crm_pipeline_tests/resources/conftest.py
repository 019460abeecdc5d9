"""For the tests of this folder one embedded server, and for each test a warehouse with nothing in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.schema import STATES_TABLE
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline_tests.fixtures.homes.homes import copied

PARTITIONS = """
    select oid::regclass::text from pg_class where relispartition and relkind = 'r'
    and relnamespace = 'crm'::regnamespace"""


@pytest.fixture(scope="session")
def shared_server(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running server."""
    with copied(blank, tmp_path_factory.mktemp("warehouse") / "home") as home:
        yield EmbeddedPostgres(home)


@pytest.fixture
def server(own_home: Path) -> EmbeddedPostgres:
    """A server of the test's own, to be killed: what is written outlives it, though not the machine."""
    return EmbeddedPostgres(own_home)


@pytest.fixture(scope="session")
def prepared(shared_server: EmbeddedPostgres) -> Warehouse:
    """A warehouse with the schema."""
    return Warehouse(shared_server.url("crm"))


@pytest.fixture(scope="session")
def administrator(shared_server: EmbeddedPostgres) -> Engine:
    """The superuser's way into the warehouse."""
    return create_engine(make_url(shared_server.url("postgres")).set(database="crm"), poolclass=NullPool)


@pytest.fixture
def warehouse(prepared: Warehouse) -> Warehouse:
    """A warehouse without rows; a database of its own for each test would take a second each."""
    with prepared.engine().begin() as connection:
        connection.execute(text(f"delete from crm.{STATES_TABLE}"))
        for table in PUBLISHED_TABLES:
            connection.execute(text(f"delete from crm.{table.name}"))
        for (partition,) in connection.execute(text(PARTITIONS)).all():
            connection.execute(text(f"drop table {partition}"))
    return prepared
