"""Everything Dagster is told: assets, the hourly and the weekly job with their schedules, the resources they run on."""

import dagster as dg

from crm_pipeline.assets.churn import churn_assets, fit_churn, weekly_churn_fit
from crm_pipeline.assets.identities import customer_identities
from crm_pipeline.assets.progress import progress_logger
from crm_pipeline.assets.published import published
from crm_pipeline.assets.reconciliation import nightly_reconciliation, reconcile
from crm_pipeline.assets.refresh import hourly_refresh, new_tenants, refresh
from crm_pipeline.assets.retention import people_retention, weekly_retention
from crm_pipeline.assets.scores import profile_scores
from crm_pipeline.assets.snapshots import snapshot_assets
from crm_pipeline.assets.tenants import tenants
from crm_pipeline.assets.timeline import timeline_events
from crm_pipeline.assets.upkeep import daily_lake_upkeep, lake_upkeep
from crm_pipeline.assets.wiring import resources_of
from crm_pipeline.settings import Settings


def build_defs(settings: Settings) -> dg.Definitions:
    """The definitions for these settings."""
    return dg.Definitions(
        assets=[
            *snapshot_assets(),
            tenants,
            customer_identities,
            timeline_events,
            churn_assets,
            profile_scores,
            published,
        ],
        jobs=[refresh, fit_churn, reconcile, lake_upkeep, people_retention],
        schedules=[hourly_refresh, weekly_churn_fit, nightly_reconciliation, daily_lake_upkeep, weekly_retention],
        sensors=[new_tenants],
        resources=resources_of(settings),
        executor=dg.in_process_executor,
        loggers={"console": progress_logger},
    )


defs = build_defs(Settings.from_environment())
