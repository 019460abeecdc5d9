"""Runs of processes that are killed, of other host names too, and runs that wait for the slot of a pool."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from crm_pipeline.cli.options import override_environment
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline_tests.fixtures.homes.support import clean_environment
from crm_pipeline_tests.fixtures.servers.other_host import IN_OTHER_HOST, needs_other_host
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS

HOLD_SLOT = """
import sys, time
from pathlib import Path
import dagster as dg
from crm_pipeline.cli.options import override_environment
from crm_pipeline.resources.dagster_storage import pool_slots
from crm_pipeline.resources.dagster_storage.instance import open_instance

pool_slots.LOCK_TIMEOUT_SECONDS = float(sys.argv[2])

@dg.op(pool="scl_source")
def read_source():
    print("reads", flush=True)
    time.sleep(3600)

@dg.job
def reading():
    read_source()

with open_instance(override_environment(Path(sys.argv[1]))) as instance:
    reading.execute_in_process(instance=instance)
"""
HOSTS = [
    pytest.param((), id="this host"),
    pytest.param(IN_OTHER_HOST, id="another host name", marks=needs_other_host),
]


@contextmanager
def start_reader(
    home: Path, host: tuple[str, ...] = (), timeout_seconds: float = 600
) -> Iterator[subprocess.Popen[str]]:
    """Yields a process whose run wants the slot of SCL's pool, and kills it in the end."""
    command = [*host, sys.executable, "-c", HOLD_SLOT, str(home), str(timeout_seconds)]
    with (
        clean_environment(),
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child,
    ):
        try:
            yield child
        finally:
            child.kill()


def wait_for_slot(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "reads\n"


def read_waiting_line(child: subprocess.Popen[str]) -> str:
    """Returns what a run in want of a slot says on its error stream, without what Dagster logs there."""
    assert child.stderr is not None
    return next(line.strip() for line in child.stderr if "waiting:" in line)


def list_runs(home: Path) -> list[dg.DagsterRun]:
    """Returns all runs, the newest first, as the next command finds them."""
    with clean_environment(), open_instance(override_environment(home)) as instance:
        return list(instance.get_runs())


def count_cpu_seconds(pid: int) -> float:
    used = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("host", HOSTS)
def test_a_killed_run_is_failed_by_the_next_command_and_its_slot_is_free(own_home: Path, host: tuple[str, ...]) -> None:
    with start_reader(own_home, host) as killed:
        wait_for_slot(killed)
        assert [run.status for run in list_runs(own_home)] == [dg.DagsterRunStatus.STARTED]
    assert [run.status for run in list_runs(own_home)] == [dg.DagsterRunStatus.FAILURE]
    with start_reader(own_home) as following:
        wait_for_slot(following)


@pytest.mark.parametrize("host", HOSTS)
def test_a_run_that_waits_for_one_that_dies_goes_on(own_home: Path, host: tuple[str, ...]) -> None:
    with ExitStack() as rest:
        with start_reader(own_home, host) as killed:
            wait_for_slot(killed)
            waiting = rest.enter_context(start_reader(own_home))
            read_waiting_line(waiting)
        wait_for_slot(waiting)


def test_a_run_that_waits_sleeps_says_for_whom_and_ends_on_a_signal(own_home: Path) -> None:
    with start_reader(own_home) as holder:
        wait_for_slot(holder)
        [run] = list_runs(own_home)
        with start_reader(own_home) as waiting:
            assert re.search(
                f"waiting: crm-pipeline run {run.run_id[:8]} holds pool scl_source$", read_waiting_line(waiting)
            )
            before = count_cpu_seconds(waiting.pid)
            time.sleep(4)
            assert count_cpu_seconds(waiting.pid) - before < 1.0
            waiting.send_signal(signal.SIGTERM)
            waiting.communicate(timeout=PATIENCE_SECONDS)
        ended, held = list_runs(own_home)
        assert ended.is_finished
        assert held.status is dg.DagsterRunStatus.STARTED


def test_a_run_waits_only_so_long(own_home: Path) -> None:
    with start_reader(own_home) as holder:
        wait_for_slot(holder)
        with start_reader(own_home, timeout_seconds=1) as waiting:
            said = waiting.communicate(timeout=PATIENCE_SECONDS)[1]
    assert "holds pool scl_source and did not finish within 1 s" in said
