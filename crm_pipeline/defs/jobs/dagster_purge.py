"""The nightly job that purges Dagster's own storage."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from crm_pipeline.defs.dagster_context import report_errors
from crm_pipeline.defs.metadata import DAILY
from crm_pipeline.resources.dagster_storage.purge import delete_old_runs

RUN_RETENTION = timedelta(days=30)
"""How long runs and their events are stored; the current state shown in the UI stays however old it is."""


@dg.op(
    description=f"Delete runs and their events after {RUN_RETENTION.days} days, "
    "but for the latest of every asset and partition."
)
@report_errors()
def purge_runs(context: dg.OpExecutionContext) -> None:
    """Deletes the old runs, and logs how many."""
    deleted_runs = delete_old_runs(context.instance, datetime.now(UTC) - RUN_RETENTION)
    context.log.info("%d runs deleted", deleted_runs)
    context.add_output_metadata({"deleted_runs": deleted_runs})


@dg.job(description="Keep Dagster's own storage from growing without limit.", tags=DAILY.tags)
def purge_history() -> None:
    """A job of one op."""
    purge_runs()
