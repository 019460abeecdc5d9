"""Opens Dagster's instance under the home folder, with its pools created and dead runs marked failed."""

import os
import shutil
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import DBAPIError

from crm_pipeline.resources.dagster_storage.run_leases import fail_dead_runs
from crm_pipeline.settings import Settings, build_source_pool_name
from crm_pipeline.vocabulary import Service

DAGSTER_YAML = Path(__file__).with_name("dagster.yaml")


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
    fail_dead_runs(instance)
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
