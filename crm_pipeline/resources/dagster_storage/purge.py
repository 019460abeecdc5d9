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

LATEST_RUNS_QUERY: Final = text("""
    select run_id from event_logs where id in (
        select max(id) from event_logs
        where dagster_event_type in ('ASSET_MATERIALIZATION', 'ASSET_MATERIALIZATION_PLANNED')
        group by asset_key, partition, dagster_event_type)
    union
    select run_id from asset_check_executions where id in (
        select max(id) from asset_check_executions where execution_status <> 'PLANNED'
        group by asset_key, check_name, partition)""")
"""Runs that hold the latest materialisation, plan or check result of an asset or of one of its partitions."""
ORPHAN_DELETIONS: Final = (
    text("delete from asset_check_executions where run_id <> '' and run_id not in (select run_id from runs)"),
    text("""delete from asset_check_executions where execution_status = 'PLANNED'
        and run_id in (select run_id from runs where status in ('SUCCESS', 'FAILURE', 'CANCELED'))"""),
    text("""delete from event_logs where dagster_event_type = 'FRESHNESS_STATE_CHANGE' and timestamp < :before
        and id not in (select max(id) from event_logs where dagster_event_type = 'FRESHNESS_STATE_CHANGE'
            group by asset_key)"""),
)
"""What belongs to no run any more: results of runs that are gone, broken promises, since when an asset was late."""


CHECK_RESULT_RESTORATIONS: Final = (
    text("""
        delete from asset_check_executions
        where execution_status = 'PLANNED' and run_id = :run_id and partition is not null"""),
    text("""
        update asset_check_executions c set materialization_event_storage_id = m.id
        from event_logs m
        where m.run_id = :run_id and m.dagster_event_type = 'ASSET_MATERIALIZATION'
            and m.asset_key = c.asset_key and m.partition = c.partition
            and c.id = (select max(id) from asset_check_executions l where l.asset_key = c.asset_key
                and l.check_name = c.check_name and l.partition = c.partition)"""),
    text("""
        update asset_check_executions c set materialization_event_storage_id = (
            select max(id) from event_logs m where m.asset_key = c.asset_key and m.partition = c.partition
                and m.dagster_event_type = 'ASSET_MATERIALIZATION')
        where c.run_id = :run_id and c.partition is not null and c.materialization_event_storage_id is null"""),
)
"""Promises of what was not judged go; the last result of a partition is about what was materialised last."""


def restore_check_results(instance: dg.DagsterInstance, run_id: str) -> None:
    """Let a partition's last result stand, which Dagster takes for missing once a run materialised it unjudged.

    For when nothing of it moved, or it failed and was not materialised; at the end of the run, with its events stored.
    """
    with cast("SqlEventLogStorage", instance.event_log_storage).index_connection() as connection:
        for statement in CHECK_RESULT_RESTORATIONS:
            connection.execute(statement, {"run_id": run_id})


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete the runs that ended and were made before then; return how many went."""
    storage = cast("SqlEventLogStorage", instance.event_log_storage)
    with storage.index_connection() as connection:
        latest = set(connection.execute(LATEST_RUNS_QUERY).scalars())
    old = instance.get_run_ids(dg.RunsFilter(statuses=list(FINISHED_STATUSES), created_before=before))
    gone = [run_id for run_id in old if run_id not in latest]
    for run_id in gone:
        instance.delete_run(run_id)
    with storage.index_connection() as connection:
        for statement in ORPHAN_DELETIONS:
            connection.execute(statement, {"before": before.replace(tzinfo=None)})
    return len(gone)
