"""Everything Dagster is told: assets, jobs, schedules, sensors, and the resources they run on."""

import dagster as dg

from crm_pipeline.assets.alerts import run_failed, run_incomplete
from crm_pipeline.assets.churn import churn_assets, fit_churn
from crm_pipeline.assets.history import purge_history
from crm_pipeline.assets.identities import customer_identities
from crm_pipeline.assets.progress import progress_logger
from crm_pipeline.assets.published import published
from crm_pipeline.assets.reconciliation import reconcile
from crm_pipeline.assets.refresh import new_tenants, refresh
from crm_pipeline.assets.refresh_failed import refresh_failed, refresh_left_behind
from crm_pipeline.assets.schedules import schedules
from crm_pipeline.assets.scores import profile_scores
from crm_pipeline.assets.snapshots import snapshot_assets
from crm_pipeline.assets.tenants import tenants
from crm_pipeline.assets.timeline import timeline_events
from crm_pipeline.assets.upkeep import lake_upkeep
from crm_pipeline.assets.wiring import resources_of
from crm_pipeline.forget.retention_job import people_retention, weekly_retention
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
        jobs=[refresh, refresh_failed, fit_churn, reconcile, lake_upkeep, people_retention, purge_history],
        schedules=[*schedules, weekly_retention],
        sensors=[new_tenants, refresh_left_behind, run_failed, run_incomplete],
        resources=resources_of(settings),
        executor=dg.in_process_executor,
        loggers={"console": progress_logger},
    )


defs = build_defs(Settings.from_environment())
