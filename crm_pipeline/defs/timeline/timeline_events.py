"""Asset `timeline_events`: the events of all services in one stream, each linked to its profile."""

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context, report_failures
from crm_pipeline.defs.metadata import (
    HOURLY,
    build_asset_options,
    build_count_metrics,
    build_counts_table,
    build_model_metadata,
)
from crm_pipeline.incremental.model import materialize
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.timeline import TIMELINE, TIMELINE_EVENTS


@dg.asset(
    group_name="timeline",
    kinds={"deltalake", "duckdb"},
    **build_asset_options(HOURLY, TIMELINE),
    deps=["customer_identities"],
    description="Every event of every service on its profile, read once for all tenants. In the lake.",
)
def timeline_events(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Returns the timeline of the run's tenants, stored: all events of a tenant, or those of affected profiles."""
    with open_run_context(context, lake, settings) as run:
        timeline = materialize(TIMELINE_EVENTS, run)
        report_failures(context, timeline.failures)
        # Counted from ids: the id of an event contains its type.
        counts = lake.build_counts_query(TIMELINE, by="event_type", tenants=timeline.tenants)
        events = dict(run.con.sql(f"from ({counts}) where rows > 0 order by all").fetchall())
        return dg.MaterializeResult(
            metadata={
                "events_by_type": build_counts_table("event_type", events),
                **build_model_metadata(run, TIMELINE_EVENTS.name, timeline, sum(events.values())),
                "events_in_the_future": sum(batch.summary for batch in timeline.batches),
                **build_count_metrics("events", events),
            }
        )
