"""Timeline events: everything the services know happened, in one stream, each event on its profile."""

import dagster as dg

from crm_pipeline.assets.metadata import HOURLY, columns_metadata, counted
from crm_pipeline.assets.step import step
from crm_pipeline.domain.timeline import ORPHANS, build_timeline
from crm_pipeline.resources.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.tables import identities, teetime, timeline


@dg.asset(
    group_name="timeline",
    kinds={"deltalake", "duckdb"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["customer_identities"],
    description="Every event of every service on its profile, read once for all tenants. In the lake.",
    metadata=columns_metadata(timeline.customer_timeline),
    code_version="1",
)
def timeline_events(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Build the stream of the run's tenants and keep what changed."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_everything()]
        for table in (identities.customer_identities, identities.profile_ids, timeline.customer_timeline):
            lake.current(this.con, table, tenants=tenants)
        lake.log(this.con, teetime.booking)
        waiting = build_timeline(this.con)
        reasons = this.quarantine(ORPHANS, "timeline_events", tenants)
        changes = this.replace(timeline.customer_timeline, "events", tenants)
        kinds = this.con.sql("select event_type, count(*) from events group by all order by 1").fetchall()
        return dg.MaterializeResult(
            metadata={
                **counted({"customer_timeline": changes}, sum(count for _, count in kinds)),
                "events_by_type": dg.MetadataValue.json(dict(kinds)),
                "events_in_the_future": waiting,
                "quarantined": dg.MetadataValue.json(reasons),
            }
        )
