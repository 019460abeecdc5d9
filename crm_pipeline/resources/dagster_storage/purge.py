"""Deletes old runs from Dagster's storage with everything they wrote, except what the UI still shows.

Dagster deletes a run's events with it, and with them a partition's status where nothing newer was materialised, but
never deletes check results. So a run that holds the latest event of an asset or partition stays, and check results are
deleted with their run. When a run begins, Dagster also plans a result per check and tenant, each naming every tenant of
the run. Where nothing changed no result follows; the planned one hides the last result and takes more space than all
other rows, so it is deleted once the run ended.
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
        group by asset_key, check_name, partition)
    and (asset_key, check_name) in (
        select asset_key, check_name from asset_check_executions
        where execution_status <> 'PLANNED' and evaluation_event_timestamp >= :before)""")
"""Runs that hold the latest materialisation, plan or check result of an asset or of one of its partitions.

A check without any result since `before` is no longer defined: its results go with their runs.
"""
ORPHAN_DELETIONS: Final = (
    text("delete from asset_check_executions where run_id <> '' and run_id not in (select run_id from runs)"),
    text("""delete from asset_check_executions where execution_status = 'PLANNED'
        and run_id in (select run_id from runs where status in ('SUCCESS', 'FAILURE', 'CANCELED'))"""),
    text("""delete from event_logs where dagster_event_type = 'FRESHNESS_STATE_CHANGE' and timestamp < :before
        and id not in (select max(id) from event_logs where dagster_event_type = 'FRESHNESS_STATE_CHANGE'
            group by asset_key)"""),
)
"""Deletes results of deleted runs, planned results of ended runs, and old freshness changes but an asset's latest."""
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
"""Deletes the run's planned results, and points each partition's last result at its last materialisation."""


def restore_check_results(instance: dg.DagsterInstance, run_id: str) -> None:
    """Restores each partition's last check result, which Dagster shows as missing if a run did not check the partition.

    A run skips the check where nothing changed, or does not materialise the partition where it failed. To be called at
    the end of the run, when its events are stored.
    """
    with cast("SqlEventLogStorage", instance.event_log_storage).index_connection() as connection:
        for statement in CHECK_RESULT_RESTORATIONS:
            connection.execute(statement, {"run_id": run_id})


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Returns how many runs were deleted: ended, created before `before`, and holding nothing the UI shows."""
    storage = cast("SqlEventLogStorage", instance.event_log_storage)
    limit = {"before": before.replace(tzinfo=None)}
    with storage.index_connection() as connection:
        latest = set(connection.execute(LATEST_RUNS_QUERY, limit).scalars())
    old = instance.get_run_ids(dg.RunsFilter(statuses=list(FINISHED_STATUSES), created_before=before))
    deleted_runs = [run_id for run_id in old if run_id not in latest]
    for run_id in deleted_runs:
        instance.delete_run(run_id)
    with storage.index_connection() as connection:
        for statement in ORPHAN_DELETIONS:
            connection.execute(statement, limit)
    return len(deleted_runs)
