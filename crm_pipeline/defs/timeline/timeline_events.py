"""Timeline events: everything the services know happened, in one stream, each event on its profile."""

import dagster as dg

from crm_pipeline.defs.dagster_context import step
from crm_pipeline.defs.metadata import HOURLY, added_up, columns_metadata, counted
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.timeline import TIMELINE, keep_timeline


@dg.asset(
    group_name="timeline",
    kinds={"deltalake", "duckdb"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["customer_identities"],
    description="Every event of every service on its profile, read once for all tenants. In the lake.",
    metadata=columns_metadata(TIMELINE),
    code_version="1",
)
def timeline_events(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Build the stream of the run's tenants, of each whole or of whom the hour touched, and keep what changed."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_tenants()[0]]
        parts = keep_timeline(this, tenants)
        # Each event's id has its type in it.
        counts = lake.counts(TIMELINE, by="event_type", tenants=tenants)
        kinds = this.con.sql(f"from ({counts}) where rows > 0 order by all").fetchall()
        return dg.MaterializeResult(
            metadata={
                **counted(added_up(part.changes for part in parts), sum(count for _, count in kinds)),
                "events_by_type": dg.MetadataValue.json(dict(kinds)),
                "events_in_the_future": sum(part.summary for part in parts),
                "quarantined": dg.MetadataValue.json(this.set_aside("timeline_events")),
            }
        )
