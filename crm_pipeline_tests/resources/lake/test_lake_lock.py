"""Who may work on a lake at once: real processes, one that is killed, one of another host name."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.lake_lock import hold_lake
from crm_pipeline.resources.locking import TenantsBusyError
from crm_pipeline_tests.fixtures.servers.other_host import IN_OTHER_HOST, needs_other_host

HOLD = """
import sys
from pathlib import Path
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.lake_lock import hold_lake
lake = Lake(sys.argv[1], Path(sys.argv[1]).parent / "spill")
with hold_lake(lake, sys.argv[2], sys.argv[3:] or None, lambda message: print(message, flush=True)):
    print("held", flush=True)
    sys.stdin.read()
"""
Tenants = Sequence[str] | None


def silent(_: str) -> None:
    """Discards a run's messages."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), tmp_path / "spill")


def is_free(lake: Lake, tenants: Tenants) -> bool:
    try:
        with hold_lake(lake, "asking", tenants, silent, timeout_seconds=0):
            return True
    except TenantsBusyError:
        return False


@contextmanager
def start_holder(lake: Lake, *tenants: str, host: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Yields a process that wants these tenants, on such a host, and kills it in the end."""
    command = [*host, sys.executable, "-c", HOLD, lake.url, "run 12345678", *tenants]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def read_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().rstrip("\n")


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [
        (["a", "b"], ["c", "d"], True),
        (["a", "b"], ["b", "c"], False),
        (["a"], None, False),
        (None, ["a"], False),
        (None, None, False),
        (["o'hara; ü/.."], ["o'hara; u/.."], True),
        (["o'hara; ü/.."], ["o'hara; ü/.."], False),
        ([], ["a"], True),
    ],
)
def test_processes_exclude_each_other_exactly_where_they_share_a_tenant(
    lake: Lake, held: Tenants, wanted: Tenants, free: bool
) -> None:
    with hold_lake(lake, "holder", held, silent):
        assert is_free(lake, wanted) is free
    assert is_free(lake, wanted)


def test_a_killed_process_frees_its_tenants_and_leaves_nothing(lake: Lake) -> None:
    with start_holder(lake, "a") as child:
        assert read_line(child) == "held"
        assert not is_free(lake, ["a"])
    assert is_free(lake, ["a"])
    assert [file.name for file in (Path(lake.url) / "holders").iterdir()] == ["lock"]


def test_who_waits_says_for_whom_and_goes_on_once_it_is_free(lake: Lake) -> None:
    with ExitStack() as rest:
        with hold_lake(lake, "run abc", ["b"], silent):
            child = rest.enter_context(start_holder(lake, "a", "b"))
            holder = f"run abc (process {os.getpid()} of {socket.gethostname()})"
            assert read_line(child) == f"waiting: {holder} holds a, b or some of them in the lake"
            assert is_free(lake, ["a"])
        assert read_line(child) == "held"
        assert not is_free(lake, ["a"])


@needs_other_host
def test_a_process_of_another_host_name_is_seen_and_its_death_too(lake: Lake) -> None:
    with start_holder(lake, "a", host=IN_OTHER_HOST) as child:
        assert read_line(child) == "held"
        with (
            pytest.raises(TenantsBusyError, match=r"process \d+ of elsewhere\) holds a or some of them in the lake"),
            hold_lake(lake, "asking", ["a"], silent, timeout_seconds=0),
        ):
            pytest.fail("two processes hold a tenant")
    assert is_free(lake, None)


def test_a_holder_whose_file_is_damaged_holds_everything_while_it_lives(lake: Lake) -> None:
    with hold_lake(lake, "holder", ["a"], silent):
        [file] = (Path(lake.url) / "holders").glob("*.json")
        file.write_text(json.dumps({"name": "holder"})[:5])
        assert not is_free(lake, ["z"])
    assert is_free(lake, None)


def test_what_fails_while_it_holds_frees_its_tenants(lake: Lake) -> None:
    with pytest.raises(ZeroDivisionError), hold_lake(lake, "holder", None, silent):
        raise ZeroDivisionError
    assert is_free(lake, None)
