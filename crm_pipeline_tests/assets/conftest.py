"""The sample's services and a database of one of them, for tests in which something happens to them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres, started
from crm_pipeline_tests.assets.histories import History, a_database
from crm_pipeline_tests.service_databases import spare_the_disk
from crm_pipeline_tests.support import SAMPLE, stopped_afterwards


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """The sample's sources, to be changed."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "services"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A service's own server."""
    with stopped_afterwards(tmp_path_factory.mktemp("service")) as home:
        server = started(home)
        spare_the_disk(server)
        yield server


@pytest.fixture
def history(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[History]:
    """A database of the test's own, with what happens to it."""
    engine = a_database(server)
    with engine.connect() as session, engine.connect() as late:
        yield History(engine, session, late, tmp_path)
    engine.dispose()
