"""Fixtures every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from crm_pipeline_tests.questions import Changed, changed_world
from crm_pipeline_tests.support import refresh, stopped_afterwards

# A machine that is busy with something else is no fault of the code's.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


LONGEST = ("test_ui.py", "test_cli.py", "test_replay.py", "test_forget.py", "test_sources_end_to_end.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that in the end nobody waits for one of them."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample clubs, refreshed once. For reading only: a test that refreshes again takes `own_home`."""
    with stopped_afterwards(tmp_path_factory.mktemp("sample") / "home") as home:
        outcome = refresh(home)
        assert outcome.faults == []
        yield home


@pytest.fixture(scope="session")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changed]:
    """The cast before and after staff, a service and a club changed their minds. For reading only."""
    with changed_world(tmp_path_factory.mktemp("changed")) as world:
        yield world


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A home of the test's own, with nothing in it."""
    with stopped_afterwards(tmp_path / "home") as home:
        yield home
