"""Asset `profile_scores`: the golden record, counts, scores, stage and status of every profile, in the lake."""

from collections import Counter

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context, report_failures
from crm_pipeline.defs.metadata import (
    HOURLY,
    build_asset_options,
    build_count_metrics,
    build_model_metadata,
    build_optional_table,
    build_rows_table,
)
from crm_pipeline.domain.scoring.lifecycle import StageTransition, count_stages
from crm_pipeline.incremental.model import materialize
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.scores import PROFILE_SCORES, PROFILES


@dg.asset(
    group_name="scores",
    kinds={"deltalake", "duckdb", "numpy"},
    **build_asset_options(HOURLY, PROFILES),
    deps=["customer_identities", "timeline_events", "churn_model"],
    description="Golden record, counts, scores, lifetime value and stage of every profile. In the lake.",
)
def profile_scores(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Returns the stored scores of the run's tenants and their stage changes: all profiles of a tenant, or affected."""
    with open_run_context(context, lake, settings) as run:
        scores = materialize(PROFILE_SCORES, run)
        report_failures(context, scores.failures)
        stages = count_stages(run.con, lake.create_current_view(run.con, PROFILES, tenants=scores.tenants))
        transitions = sum((batch.summary for batch in scores.batches), Counter[StageTransition]())
        return dg.MaterializeResult(
            metadata={
                "funnel": build_rows_table(
                    [
                        {"stage": stage.stage, "profiles": stage.profiles, "this_stage_or_deeper": stage.at_least}
                        for stage in stages
                    ]
                ),
                "stage_changes": build_optional_table(
                    [transition._asdict() | {"profiles": count} for transition, count in sorted(transitions.items())]
                ),
                **build_model_metadata(run, PROFILE_SCORES.name, scores, sum(stage.profiles for stage in stages)),
                **build_count_metrics("profiles", {stage.stage: stage.profiles for stage in stages}),
            }
        )
