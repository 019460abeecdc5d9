"""Schedules of the jobs: one run per tick, as of the tick.

After a time without a daemon Dagster evaluates only the last tick, so one run makes up for missed hours.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC

import dagster as dg

from crm_pipeline.defs.dagster_context import AS_OF_TAG, TENANT_PARTITIONS, build_range_tags
from crm_pipeline.defs.jobs.asset_jobs import fit_churn, reconcile, refresh
from crm_pipeline.defs.jobs.dagster_purge import purge_history
from crm_pipeline.defs.jobs.lake_compaction import lake_upkeep
from crm_pipeline.defs.jobs.people_retention import people_retention
from crm_pipeline.defs.metadata import DAILY, HOURLY, WEEKLY, Cadence


def build_schedule(
    name: str,
    job_name: str,
    cron_schedule: str,
    cadence: Cadence,
    description: str,
    build_tags: Callable[[Sequence[str]], Mapping[str, str]] = lambda _: {},
) -> dg.ScheduleDefinition:
    """Returns a schedule that is on; `build_tags` of all tenants are added to the tags of its runs."""

    @dg.schedule(
        name=name,
        job_name=job_name,
        cron_schedule=cron_schedule,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
        tags=cadence.tags,
    )
    def request_run(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tenants = context.instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name))
        if not tenants:
            return dg.SkipReason("no tenant is known yet that can be worked on")
        as_of = context.scheduled_execution_time.isoformat()
        if later := _find_later_hour(context.instance, job_name, as_of):
            return dg.SkipReason(f"{job_name} as of {later} has been made already, and live tables are never rewound")
        return dg.RunRequest(run_key=as_of, tags={AS_OF_TAG: as_of, **build_tags(tenants)})

    return request_run


def _find_later_hour(instance: dg.DagsterInstance, job_name: str, as_of: str) -> str | None:
    """Returns the hour of the job's last run if it is later: a tick can be late, and a run by hand come before it."""
    succeeded = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS])
    records = instance.get_run_records(succeeded, limit=1)
    hours = [
        record.dagster_run.tags.get(AS_OF_TAG) or record.create_timestamp.astimezone(UTC).isoformat()
        for record in records
    ]
    return next((hour for hour in hours if hour > as_of), None)


hourly_refresh = build_schedule(
    "hourly_refresh", refresh.name, "0 * * * *", HOURLY, "One run for all tenants.", build_range_tags
)
daily_purge = build_schedule(
    "daily_purge", purge_history.name, "10 2 * * *", DAILY, "Every night, between two refreshes."
)
daily_lake_upkeep = build_schedule("daily_lake_upkeep", lake_upkeep.name, "30 2 * * *", DAILY, "After the purge.")
nightly_reconciliation = build_schedule(
    "nightly_reconciliation", reconcile.name, "20 3 * * *", DAILY, "After the next refresh."
)
weekly_churn_fit = build_schedule(
    "weekly_churn_fit", fit_churn.name, "30 4 * * 0", WEEKLY, "Sundays, after the night's upkeep."
)
weekly_retention = build_schedule(
    "weekly_retention", people_retention.name, "30 1 * * 0", WEEKLY, "Sundays, before the upkeep."
)
