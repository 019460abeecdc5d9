"""Home and lake are closed to other users: 0700 and 0600, also what earlier versions left open."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crm_pipeline.cli.options import build_settings
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.home import close_home
from crm_pipeline_tests.fixtures.homes.support import clean_environment
from crm_pipeline_tests.fixtures.servers.lake_rows import a_row, put


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def list_open_paths(folder: Path) -> list[Path]:
    """Returns what others may read of a folder."""
    return [path for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_what_a_command_makes_is_closed_to_others(tmp_path: Path) -> None:
    with clean_environment():
        lake = open_lake(build_settings(tmp_path / "home"))
    put(lake, [a_row("links", "A")])
    with closing(lake.connect()) as con:
        con.execute("set memory_limit = '50MB'")
        con.execute("create temp table spilt as select hash(range) as h, range::text as t from range(3_000_000)")
        assert any(lake.spill.rglob("*.tmp"))
        assert list_open_paths(tmp_path / "home") == []


def test_what_earlier_versions_left_open_is_closed_but_not_what_all_share(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    for folder in ("home/data_docs", "home/spill", "shared"):
        (tmp_path / folder).mkdir(parents=True)
    shared.chmod(0o1777)
    with clean_environment(LAKE_URL=str(shared)):
        close_home(build_settings(tmp_path / "home"))
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert [stat.S_IMODE((tmp_path / "home" / name).stat().st_mode) for name in ("data_docs", "spill")] == [0o700] * 2
