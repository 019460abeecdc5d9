"""The two published assets: a tenant's profiles and timeline, checked, then made visible in one transaction.

A tenant that fails its checks, or whose own row is wrong, keeps what was published last while the others go on; when
most tenants fail, something is wrong with us, and none is published.
"""

from collections.abc import Iterator, Set

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.checks.data_docs import DATA_DOCS
from crm_pipeline.defs.dagster_context import TENANTS, step
from crm_pipeline.defs.metadata import HOURLY, columns_metadata, published_lineage
from crm_pipeline.defs.publish.check_results import check_specs, step_results, tell
from crm_pipeline.defs.publish.materializations import results
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.run_context import Step
from crm_pipeline.settings import Settings
from crm_pipeline.steps.publish.gate import check, failed_tenants, keep_measures, show
from crm_pipeline.steps.publish.publish import (
    PROFILES,
    TIMELINE,
    find_due,
    find_snapshot_ages,
    publish_reports,
    publish_tenants,
    published_row_counts,
)


def _spec(table: Table, deps: list[str], description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.name,
        deps=deps,
        description=description,
        group_name="published",
        kinds={"postgres", "greatexpectations"},
        owners=["team:data"],
        tags=HOURLY.tags,
        freshness_policy=HOURLY.freshness,
        metadata={
            **columns_metadata(table),
            "dagster/column_lineage": published_lineage(table),
            "dagster/table_name": f"crm.{table.name}",
        },
        code_version="1",
    )


@dg.multi_asset(
    name="published",
    specs=[
        _spec(PROFILES, ["profile_scores"], "One row per person and club. crm.customer_profiles in PostgreSQL."),
        _spec(TIMELINE, ["timeline_events", "profile_scores"], "Everything a customer did. crm.customer_timeline."),
    ],
    check_specs=check_specs(),
    partitions_def=TENANTS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def published(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
    """Check and publish the run's tenants; raises Failure naming those that were not published."""
    with step(context, lake, settings) as this:
        usable, faulty = this.load_tenants()
        tenants = [tenant.tenant_id for tenant in usable]
        unpublished = {tenant: f"its Tenant row is wrong: {', '.join(faults)}" for tenant, faults in faulty.items()}
        with warehouse.publisher(this.con, as_of=this.as_of, run_id=this.run_id) as publisher:
            due = find_due(this, publisher, tenants)
            judged = check(this, due, tenants)
            if judged.verdicts:
                tell(context, this, judged.verdicts, settings.home / DATA_DOCS)
            keep_measures(this, judged.whole)
            unpublished |= failed_tenants(judged.verdicts, tenants)
            changes = publish_tenants(this, publisher, due, [t for t in tenants if t not in unpublished], unpublished)
            publish_reports(this, publisher, unpublished)
            publisher.finish([t for t in tenants if t not in unpublished], this.tenants, find_snapshot_ages(this))
            rows = published_row_counts(publisher)
        show(this, judged.verdicts, settings.home)
        changes |= {tenant: {} for tenant in _closed(context, this, {*tenants, *unpublished})}
        checks = step_results(context, this, settings.home)
        yield from results(context, changes, rows, publisher.costs, unpublished, checks)


def _closed(context: dg.AssetExecutionContext, this: Step, others: Set[str]) -> list[str]:
    """The run's partitions that are closed clubs, for which nothing moves; not those the CRM no longer lists."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    known = {tenant for (tenant,) in this.con.sql("from known_tenants").fetchall()}
    return [tenant for tenant in context.partition_keys if tenant in known - others]
