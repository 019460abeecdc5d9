"""A service's database, for tests in which something happens to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres, start_embedded_postgres
from crm_pipeline_tests.fixtures.histories.histories import History, a_database
from crm_pipeline_tests.fixtures.homes.support import stopped_afterwards
from crm_pipeline_tests.fixtures.servers.service_databases import spare_the_disk


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A service's own server."""
    with stopped_afterwards(tmp_path_factory.mktemp("service")) as home:
        server = start_embedded_postgres(home)
        spare_the_disk(server)
        yield server


@pytest.fixture
def history(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[History]:
    """A database of the test's own, with what happens to it."""
    engine = a_database(server)
    with engine.connect() as session, engine.connect() as late:
        yield History(engine, session, late, tmp_path)
    engine.dispose()
