"""The nightly purge of Dagster's own storage, as a job. What may go is `dagster_history`'s business."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from crm_pipeline.defs.metadata import DAILY
from crm_pipeline.resources.dagster_storage.purge import delete_old_runs

RUN_RETENTION = timedelta(days=30)
"""How long runs and their events are kept; what the UI shows of the present stays however old it is."""


@dg.op(
    description=f"Delete runs and their events after {RUN_RETENTION.days} days, but for the latest of every asset and partition."
)
def purge_runs(context: dg.OpExecutionContext) -> None:
    """Delete, and say how many went."""
    gone = delete_old_runs(context.instance, datetime.now(UTC) - RUN_RETENTION)
    context.log.info("%d runs deleted", gone)
    context.add_output_metadata({"deleted_runs": gone})


@dg.job(description="Keep Dagster's own storage to a size.", tags=DAILY.tags)
def purge_history() -> None:
    """One op."""
    purge_runs()
