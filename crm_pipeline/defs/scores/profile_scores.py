"""Profile scores: the golden record, counts, scores, stage and status of every profile, kept in the lake."""

from collections import Counter

import dagster as dg

from crm_pipeline.defs.dagster_context import step
from crm_pipeline.defs.metadata import HOURLY, added_up, columns_metadata, counted, rows_table
from crm_pipeline.domain.scoring.lifecycle import Transition, funnel
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.scores import PROFILES, keep_scores


@dg.asset(
    group_name="scores",
    kinds={"deltalake", "duckdb", "numpy"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["customer_identities", "timeline_events", "churn_model"],
    description="Golden record, counts, scores, lifetime value and stage of every profile. In the lake.",
    metadata=columns_metadata(PROFILES),
    code_version="1",
)
def profile_scores(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Score the profiles of the run's tenants, of each all or whom the hour touched, and tell stage changes."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_tenants()[0]]
        parts = keep_scores(this, tenants)
        stages = funnel(this.con, lake.current(this.con, PROFILES, tenants=tenants))
        transitions = sum((part.summary for part in parts), Counter[Transition]())
        return dg.MaterializeResult(
            metadata={
                **counted(added_up(part.changes for part in parts), sum(stage.profiles for stage in stages)),
                "funnel": rows_table([stage._asdict() for stage in stages]),
                "stage_changes": rows_table(
                    [transition._asdict() | {"profiles": count} for transition, count in sorted(transitions.items())]
                ),
                "quarantined": dg.MetadataValue.json(this.set_aside("profile_scores")),
            }
        )
