"""Asset check `tenant_is_fresh`: what each club's tables speak of, and why not a later hour, partitioned by tenant.

A run reports clubs that somebody has to look at, its own or not, and those that changed; of the others the last result
stays true.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS
from crm_pipeline.defs.metadata import build_rows_table
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.resources.warehouse.freshness import TenantFreshness
from crm_pipeline.steps.publish.gate import format_short_list
from crm_pipeline.steps.publish.publish import PROFILES

TENANT_FRESHNESS_CHECK = "tenant_is_fresh"


def build_freshness_spec() -> dg.AssetCheckSpec:
    """Returns the check, partitioned by tenant."""
    with warnings.catch_warnings():
        # Checks per partition are a preview feature of Dagster.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            TENANT_FRESHNESS_CHECK,
            asset=PROFILES.name,
            partitions_def=TENANT_PARTITIONS,
            description="The club's tables are of its last refresh, with every service. As view crm.tenant_freshness.",
        )


def report_freshness(context: dg.AssetExecutionContext, clubs: Sequence[TenantFreshness]) -> None:
    """Reports the check for each of these clubs that is a partition."""
    partitions = set(context.instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name)))
    for club in clubs:
        if club.tenant_id in partitions:
            context.log_event(
                dg.AssetCheckEvaluation(
                    asset_key=dg.AssetKey(PROFILES.name),
                    check_name=TENANT_FRESHNESS_CHECK,
                    passed=club.is_fresh,
                    partition=club.tenant_id,
                    description=" ".join(club.sentences),
                    metadata=_build_metadata(club),
                )
            )


def build_freshness_evaluation(
    context: dg.AssetExecutionContext, clubs: Sequence[TenantFreshness]
) -> dg.AssetCheckEvaluation:
    """Returns what the step must return besides the clubs' own: the club's evaluation in a run of one, else of all."""
    tenant = context.partition_key if context.has_partition_key else None
    if tenant is not None:
        clubs = [club for club in clubs if club.tenant_id == tenant]
    stale = [club for club in clubs if not club.is_fresh]
    lines = [
        f"{escape_invisible_characters(club.tenant_id)} {club.state}: {' '.join(club.sentences)}" for club in stale
    ]
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(PROFILES.name),
        check_name=TENANT_FRESHNESS_CHECK,
        passed=not stale,
        partition=tenant,
        metadata={"reason": format_short_list(lines)} if lines else {},
    )


def _build_metadata(club: TenantFreshness) -> dict[str, Any]:
    rows = [
        {"service": str(service.service), "state": str(service.state), "reason": service.reason}
        for service in club.services
    ]
    return {"state": str(club.state), "reason": club.reason, "services": build_rows_table(rows)}
