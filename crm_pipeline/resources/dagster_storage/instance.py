"""Opens Dagster's instance under the home folder, with its pools created and abandoned runs marked failed."""

import os
import shutil
import socket
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import DBAPIError

from crm_pipeline.settings import Settings, build_source_pool_name
from crm_pipeline.vocabulary import Service

DAGSTER_YAML = Path(__file__).with_name("dagster.yaml")
PROCESS_TAG = "crm_pipeline/process"
"""Run tag: `<host>:<pid>` of the process that executes the run."""


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Returns Dagster's instance under the home folder, its database running.

    Marks runs of dead processes failed. Sets DAGSTER_HOME and copies `dagster.yaml` there.
    """
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DAGSTER_YAML, folder / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")
    instance = dg.DagsterInstance.get()
    # Pool connections: one for each of hundreds of statements takes a fifth of a small run's time.
    instance.optimize_for_webserver(statement_timeout=600_000, pool_recycle=3600, max_overflow=20)
    create_pools(instance)
    _fail_abandoned_runs(instance)
    return instance


def create_pools(instance: dg.DagsterInstance) -> None:
    """Creates one pool per service.

    Dagster would create them with the first run, and one of two parallel runs would fail.
    """
    events = instance.event_log_storage
    pools = set(map(build_source_pool_name, Service))
    for pool in pools - events.get_concurrency_keys():
        try:
            events.initialize_concurrency_limit_to_default(pool)
        except DBAPIError:
            # Another process was faster.
            if pool not in events.get_concurrency_keys():
                raise


def build_process_tag() -> dict[str, str]:
    """Returns a run tag that names this process, so that a later one can check whether it is alive."""
    return {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"}


def _fail_abandoned_runs(instance: dg.DagsterInstance) -> None:
    running = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(running):
        host, _, pid = run.tags.get(PROCESS_TAG, "").rpartition(":")
        if host == socket.gethostname() and not _is_alive(int(pid)):
            instance.report_run_failed(run, f"its process {pid} ended without a word")
    # A dead run would hold its pool slots for ever and block other runs.
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
