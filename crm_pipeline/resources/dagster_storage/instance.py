"""The working folder of one installation: where Dagster keeps its files, and the servers the settings leave to us.

Only what must stand before Dagster can be asked for anything belongs here.
"""

import os
import shutil
import socket
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import DBAPIError

from crm_pipeline.settings import Settings, build_source_pool_name
from crm_pipeline.vocabulary import Service

DAGSTER_YAML = Path(__file__).parents[3] / "dagster.yaml"
PROCESS_TAG = "crm_pipeline/process"


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Dagster's instance under the home folder, its database running; runs of dead processes are marked failed."""
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DAGSTER_YAML, folder / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")
    instance = dg.DagsterInstance.get()
    # It would make a connection for each of hundreds of statements, which is a fifth of a small run's time.
    instance.optimize_for_webserver(statement_timeout=600_000, pool_recycle=3600, max_overflow=20)
    create_pools(instance)
    _fail_abandoned_runs(instance)
    return instance


def create_pools(instance: dg.DagsterInstance) -> None:
    """Make the pools of the services: Dagster would with the first run, and of two at once one would fail."""
    events = instance.event_log_storage
    wanted = set(map(build_source_pool_name, Service))
    for pool in wanted - events.get_concurrency_keys():
        try:
            events.initialize_concurrency_limit_to_default(pool)
        except DBAPIError:
            # Somebody else was quicker.
            if pool not in events.get_concurrency_keys():
                raise


def build_process_tag() -> dict[str, str]:
    """A run tag that names this process, so that a later one can tell whether it still lives."""
    return {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"}


def _fail_abandoned_runs(instance: dg.DagsterInstance) -> None:
    running = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(running):
        host, _, pid = run.tags.get(PROCESS_TAG, "").rpartition(":")
        if host == socket.gethostname() and not _is_alive(int(pid)):
            instance.report_run_failed(run, f"its process {pid} ended without a word")
    # What a dead run holds of a pool is held for ever, and whoever wants it waits as long.
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
