"""Profile scores: the golden record, counts, scores, stage and status of every profile, kept in the lake."""

import dagster as dg

from crm_pipeline.assets.metadata import columns_metadata, counted
from crm_pipeline.assets.step import step
from crm_pipeline.domain.lifecycle import find_stage_changes
from crm_pipeline.domain.people import normalise_people
from crm_pipeline.domain.profiles import NEGATIVE_TOTALS, build_profiles
from crm_pipeline.domain.timeline import PROFILE_TARGETS
from crm_pipeline.resources.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.tables import identities, profiles, timeline


@dg.asset(
    group_name="scores",
    kinds={"deltalake", "duckdb", "numpy"},
    owners=["team:data"],
    deps=["customer_identities", "timeline_events"],
    description="Golden record, counts, scores, lifetime value and stage of every profile. In the lake.",
    metadata=columns_metadata(profiles.customer_profiles),
    code_version="1",
)
def profile_scores(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Score the profiles of the run's tenants, keep what changed, and put stage changes on the timeline."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_everything()]
        for table in (identities.customer_identities, identities.profile_ids, timeline.customer_timeline):
            lake.current(this.con, table, tenants=tenants)
        this.con.execute(PROFILE_TARGETS)
        normalise_people(this.con)
        build_profiles(this.con)
        reasons = this.quarantine(NEGATIVE_TOTALS, "profile_scores", tenants)
        lake.current(this.con, profiles.customer_profiles, tenants=tenants)
        transitions = find_stage_changes(this.con)
        changed = "event_id in (select event_id from stage_changes)"
        changes = {
            "customer_timeline": this.replace(timeline.customer_timeline, "stage_changes", tenants, changed),
            "customer_profiles": this.replace(profiles.customer_profiles, "profiles", tenants),
        }
        stages = this.con.sql("select lifecycle_stage, count(*) from profiles group by all order by 1").fetchall()
        return dg.MaterializeResult(
            metadata={
                **counted(changes, sum(count for _, count in stages)),
                "stages": dg.MetadataValue.json(dict(stages)),
                "stage_changes": dg.MetadataValue.json(transitions),
                "quarantined": dg.MetadataValue.json(reasons),
            }
        )
