"""Fixtures every test may use."""

import gc
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, settings

from crm_pipeline.cli import GARBAGE_THRESHOLD
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.histories.small_clubs import Outcomes, SharedHours, SmallClub
from crm_pipeline_tests.fixtures.homes.homes import copied, made_once, make_blank
from crm_pipeline_tests.fixtures.homes.questions import Changed, change_world, changed_world
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, refresh
from crm_pipeline_tests.fixtures.servers.lakes import a_lake

# A machine that is busy with something else is no fault of the code's.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
# As the command line does: the imports of every test process make a million objects that stay.
gc.set_threshold(GARBAGE_THRESHOLD)
# A shell has its background commands ignore Ctrl-C, and Dagster's processes then ignore SIGTERM too.
signal.signal(signal.SIGINT, signal.default_int_handler)


HOURLY_HISTORIES = {Hours.__module__, SharedHours.__module__}
LONGEST = (
    "test_ui.py",
    "test_deploy_services.py",
    "test_cli_run.py",
    "test_replay.py",
    "test_erase.py",
    "test_sources_end_to_end.py",
    "test_production_guide.py",
    "test_bookings_by_number.py",
    "test_decisions_without_effect.py",
    "test_withheld_consents.py",
    "test_equals_full_refresh.py",
    "test_scores_by_reference.py",
)


KILLED = (
    "test_run_leases.py",
    "test_storage.py",
    "test_extract_killed.py",
    "test_publishing_killed.py",
    "test_publishing_disk_full.py",
    "test_embedded.py",
    "test_programs.py",
    "test_atomic_commit.py",
)
"""Files whose tests start and kill runs and servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that in the end nobody waits for one of them. Tests of whole runs are marked."""
    for item in items:
        if isinstance(item, pytest.Function) and needs_whole_run(item):
            item.add_marker("whole_run")
    items.sort(key=lambda item: item.path.name not in LONGEST)


def needs_whole_run(test: pytest.Function) -> bool:
    """Whether all steps run for the test, in a home or hour by hour in a lake, or processes are killed for it."""
    uses_server_alone = test.path.is_relative_to(Path(__file__).parent / "resources")
    passes_hours = any(getattr(value, "__module__", "") in HOURLY_HISTORIES for value in vars(test.module).values())
    return passes_hours or test.path.name in KILLED or ("blank" in test.fixturenames and not uses_server_alone)


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """The sample's sources, to be changed."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "services"))


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home before its first run, its server stopped: to be copied, not used."""
    return made_once(tmp_path_factory, "blank", make_blank)


@pytest.fixture(scope="session")
def first_run(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample refreshed once, the server stopped: to be copied, not used. No demo, so that hours may pass."""

    def make(home: Path) -> None:
        with copied(blank, home):
            assert refresh(home).failures == []

    return made_once(tmp_path_factory, "first", make)


@pytest.fixture(scope="session")
def sample_home(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample clubs, refreshed once. For reading only: a test that refreshes again takes `refreshed`."""
    with copied(first_run, tmp_path_factory.mktemp("sample") / "home") as home:
        yield home


@pytest.fixture
def refreshed(first_run: Path, tmp_path: Path) -> Iterator[Path]:
    """A home of the test's own in which the sample has been refreshed once; its server runs."""
    with copied(first_run, tmp_path / "refreshed") as home:
        yield home


@pytest.fixture(scope="session")
def changed(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changed]:
    """The cast before and after staff, a service and a club changed their minds. For reading only."""
    made = made_once(tmp_path_factory, "changed", partial(change_world, blank))
    with changed_world(made, tmp_path_factory.mktemp("changed") / "home") as world:
        yield world


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What the file's tests of small clubs failed with; all that were chosen share their hours."""
    chosen = {item.name for item in request.session.items if item.path == request.path}
    shared_hours: SharedHours[SmallClub] = request.module.clubs
    return shared_hours.play(tmp_path_factory.mktemp("clubs"), chosen)


@pytest.fixture
def own_home(blank: Path, tmp_path: Path) -> Iterator[Path]:
    """A home of the test's own, with nothing in it."""
    with copied(blank, tmp_path / "home") as home:
        yield home


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without tables."""
    return a_lake(tmp_path)


@pytest.fixture
def con(lake: Lake) -> Iterator[DuckDBPyConnection]:
    """DuckDB with it."""
    with closing(lake.connect()) as con:
        yield con
