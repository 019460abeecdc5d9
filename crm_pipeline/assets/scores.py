"""Profile scores: the golden record, counts, scores, stage and status of every profile, kept in the lake."""

import dagster as dg

from crm_pipeline.assets.metadata import HOURLY, columns_metadata, counted, rows_table
from crm_pipeline.assets.step import step
from crm_pipeline.domain.churn_model import load_models
from crm_pipeline.domain.lifecycle import INCOMPLETE, find_stage_changes, funnel
from crm_pipeline.domain.people import normalise_people
from crm_pipeline.domain.profiles import NEGATIVE_TOTALS, build_profiles
from crm_pipeline.domain.timeline import PROFILE_TARGETS
from crm_pipeline.resources.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.tables import churn, identities, profiles, timeline


@dg.asset(
    group_name="scores",
    kinds={"deltalake", "duckdb", "numpy"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["customer_identities", "timeline_events", "churn_model"],
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
        lake.current(this.con, churn.churn_models)
        build_profiles(this.con, load_models(this.con))
        reasons = this.quarantine(NEGATIVE_TOTALS, "profile_scores", tenants)
        lake.current(this.con, profiles.customer_profiles, tenants=tenants)
        transitions = find_stage_changes(this.con)
        # In this order: the changes of a run that ended in between are told by its profiles not being kept yet.
        changes = {
            "customer_timeline": this.replace(timeline.customer_timeline, "stage_changes", tenants, INCOMPLETE),
            "customer_profiles": this.replace(profiles.customer_profiles, "profiles", tenants),
        }
        stages = funnel(this.con)
        return dg.MaterializeResult(
            metadata={
                **counted(changes, sum(stage.profiles for stage in stages)),
                "funnel": rows_table([stage._asdict() for stage in stages]),
                "stage_changes": rows_table([transition._asdict() for transition in transitions]),
                "quarantined": dg.MetadataValue.json(reasons),
            }
        )
