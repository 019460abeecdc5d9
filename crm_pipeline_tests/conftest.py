"""Fixtures every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline_tests.support import refresh, stopped_afterwards


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample clubs, refreshed once. For reading only: a test that refreshes again takes `own_home`."""
    with stopped_afterwards(tmp_path_factory.mktemp("sample") / "home") as home:
        outcome = refresh(home)
        assert outcome.faults == []
        yield home


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A home of the test's own, with nothing in it."""
    with stopped_afterwards(tmp_path / "home") as home:
        yield home
