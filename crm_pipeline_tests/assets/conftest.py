"""A home that has been refreshed on the sample, copied for each test that goes on from there."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline.resources.embedded_postgres import EmbeddedPostgres
from crm_pipeline_tests.support import SAMPLE, refresh, stopped_afterwards


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample refreshed once, its server stopped: to be copied, not used."""
    home = tmp_path_factory.mktemp("first") / "home"
    with stopped_afterwards(home):
        assert refresh(home).faults == []
    return home


@pytest.fixture
def refreshed(first_run: Path, tmp_path: Path) -> Iterator[Path]:
    """A home of the test's own in which the sample has been refreshed once; its server runs."""
    with stopped_afterwards(Path(shutil.copytree(first_run, tmp_path / "refreshed"))) as home:
        EmbeddedPostgres(home).start()
        yield home


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """The sample's sources, to be changed."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "services"))
