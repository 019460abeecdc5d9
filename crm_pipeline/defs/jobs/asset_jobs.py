"""The jobs over assets: the hourly refresh, the weekly fit, both in one, and the nightly reconciliation."""

from typing import Final

import dagster as dg

from crm_pipeline.defs.churn.churn_models import CHURN_GROUP
from crm_pipeline.defs.metadata import DAILY, HOURLY, WEEKLY
from crm_pipeline.defs.publish.reconciliation import compare_warehouse

EVERYTHING: Final = dg.AssetSelection.all() - dg.AssetSelection.checks(compare_warehouse)
"""Every asset with the checks of its own step."""

reconcile = dg.define_asset_job(
    "reconcile",
    selection=dg.AssetSelection.checks(compare_warehouse),
    description="Prove that the warehouse equals the lake.",
    tags=DAILY.tags,
)

refresh = dg.define_asset_job(
    "refresh",
    selection=EVERYTHING - dg.AssetSelection.groups(CHURN_GROUP),
    description="Read the services, resolve identities, score, check and publish.",
    tags=HOURLY.tags,
)

fit_churn = dg.define_asset_job(
    "fit_churn",
    selection=dg.AssetSelection.groups(CHURN_GROUP),
    description="Fit every club's churn model and backtest it; the next refresh applies it.",
    tags=WEEKLY.tags,
)

refresh_and_fit = dg.define_asset_job(
    "refresh_and_fit",
    selection=EVERYTHING,
    description="Refresh, and fit the churn models before the scores that they are for; a demo begins with it.",
    tags={"cadence": "by_hand"},
)
