"""Dagster's memory kept to a size: old runs go with all they wrote, but for what the UI still shows of the present.

Dagster deletes a run's events with it, and with them a partition's status where nothing newer was materialised; the
results of its checks it leaves for ever. So a run that holds the latest of anything stays, and results go with runs.
It also promises a result per check and tenant when a run begins, each naming every tenant of the run; where none came
because nothing moved, the promise hides the last result and takes more room than all else, and goes once the run ended.
"""

from datetime import datetime
from typing import Final, cast

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage
from sqlalchemy import text

LATEST: Final = text("""
    select run_id from event_logs where id in (
        select max(id) from event_logs
        where dagster_event_type in ('ASSET_MATERIALIZATION', 'ASSET_MATERIALIZATION_PLANNED')
        group by asset_key, partition, dagster_event_type)
    union
    select run_id from asset_check_executions where id in (
        select max(id) from asset_check_executions where execution_status <> 'PLANNED'
        group by asset_key, check_name, partition)""")
"""Runs that hold the latest materialisation, plan or check result of an asset or of one of its partitions."""
ORPHANS: Final = (
    text("delete from asset_check_executions where run_id <> '' and run_id not in (select run_id from runs)"),
    text("""delete from asset_check_executions where execution_status = 'PLANNED'
        and run_id in (select run_id from runs where status in ('SUCCESS', 'FAILURE', 'CANCELED'))"""),
    text("""delete from event_logs where dagster_event_type = 'FRESHNESS_STATE_CHANGE' and timestamp < :before
        and id not in (select max(id) from event_logs where dagster_event_type = 'FRESHNESS_STATE_CHANGE'
            group by asset_key)"""),
)
"""What belongs to no run any more: results of runs that are gone, broken promises, since when an asset was late."""


PROMISES: Final = text("""
    delete from asset_check_executions
    where execution_status = 'PLANNED' and run_id = :run_id and partition is not null""")


def drop_promises(instance: dg.DagsterInstance, run_id: str) -> None:
    """Take back what Dagster promised of tenants this run had nothing to judge of: their last results stand."""
    with cast("SqlEventLogStorage", instance.event_log_storage).index_connection() as connection:
        connection.execute(PROMISES, {"run_id": run_id})


def purge(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete the runs that ended and were made before then; return how many went."""
    storage = cast("SqlEventLogStorage", instance.event_log_storage)
    with storage.index_connection() as connection:
        latest = set(connection.execute(LATEST).scalars())
    old = instance.get_run_ids(dg.RunsFilter(statuses=list(FINISHED_STATUSES), created_before=before))
    gone = [run_id for run_id in old if run_id not in latest]
    for run_id in gone:
        instance.delete_run(run_id)
    with storage.index_connection() as connection:
        for statement in ORPHANS:
            connection.execute(statement, {"before": before.replace(tzinfo=None)})
    return len(gone)
