"""The two published assets: a tenant's profiles and timeline, checked, then made visible in one transaction.

A tenant that fails its checks, or whose own row is wrong, keeps what was published last while the others go on; when
most tenants fail, something is wrong with us, and none is published.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from contextlib import closing

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.assets.gate import check, failed_tenants, show
from crm_pipeline.assets.gate_told import check_specs, step_results
from crm_pipeline.assets.metadata import HOURLY, columns_metadata, published_lineage
from crm_pipeline.assets.published_results import results
from crm_pipeline.assets.staging import due_rows, in_order
from crm_pipeline.assets.step import TENANTS, Step, step
from crm_pipeline.resources.lake.lake import Changes, Lake
from crm_pipeline.resources.warehouse.publishing.parallel import publish_at_once
from crm_pipeline.resources.warehouse.publishing.publisher import Publisher, PublishError, Rows, SnapshotAge
from crm_pipeline.resources.warehouse.publishing.table_publication import Due
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings
from crm_pipeline.tables import REPORTS
from crm_pipeline.tables.outputs import identity, operations, privacy, profiles, timeline

PROFILES, TIMELINE = profiles.customer_profiles, timeline.customer_timeline
TENANT_TABLES = (
    PROFILES,
    TIMELINE,
    identity.customer_identities,
    identity.identity_reviews,
    identity.profile_events,
    identity.profile_ids,
    privacy.forgotten_totals,
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
            due = _due(this, publisher, tenants)
            verdicts = check(context, this, due, tenants, settings.home)
            unpublished |= failed_tenants(verdicts, tenants)
            changes = _publish(this, publisher, due, [t for t in tenants if t not in unpublished], unpublished)
            _publish_reports(this, publisher, unpublished)
            publisher.finish([t for t in tenants if t not in unpublished], this.tenants, _snapshot_ages(this))
            rows = _row_counts(publisher)
        show(this, verdicts, settings.home)
        changes |= {tenant: {} for tenant in _closed(context, this, {*tenants, *unpublished})}
        checks = step_results(context, this, settings.home)
        yield from results(context, changes, rows, publisher.costs, unpublished, checks)


def _closed(context: dg.AssetExecutionContext, this: Step, others: Set[str]) -> list[str]:
    """The run's partitions that are closed clubs, for which nothing moves; not those the CRM no longer lists."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    known = {tenant for (tenant,) in this.con.sql("from known_tenants").fetchall()}
    return [tenant for tenant in context.partition_keys if tenant in known - others]


def _due(this: Step, publisher: Publisher, tenants: Sequence[str]) -> dict[str, list[Rows]]:
    """Per tenant with something to publish its tables."""
    due = defaultdict(list)
    for table in TENANT_TABLES:
        for tenant, rows in due_rows(this, publisher.published, table, tenants).items():
            due[tenant].append(rows)
    return dict(due)


def _publish(
    this: Step, publisher: Publisher, due: Due, tenants: Sequence[str], unpublished: dict[str, str]
) -> dict[str, dict[str, Changes]]:
    """Publish tenant by tenant; one that cannot be published is noted in `unpublished` and stops no other."""
    changes: dict[str, dict[str, Changes]] = {tenant: {} for tenant in tenants if tenant not in due}
    for group in in_order(this, due, [tenant for tenant in tenants if tenant in due]):
        for tenant, outcome in publish_at_once(publisher, group):
            if isinstance(outcome, PublishError):
                unpublished[tenant] = str(outcome).removeprefix(f"{tenant}: ")
            else:
                changes[tenant] = outcome
    return changes


def _publish_reports(this: Step, publisher: Publisher, unpublished: dict[str, str]) -> None:
    """What was set aside, how the checks went and the churn models, for every tenant, the failed ones above all."""
    for table in REPORTS:
        due = due_rows(this, publisher.published, table, this.tenants)
        _publish(this, publisher, {tenant: [rows] for tenant, rows in due.items()}, list(due), unpublished)


def _snapshot_ages(this: Step) -> list[SnapshotAge]:
    current = this.lake.current(this.con, operations.service_snapshots, tenants=this.tenants)
    rows = this.con.sql(f"""
        select service, tenant_id, min(extracted_at), cast(sum(rows) as bigint) from {current}
        where tenant_id in (select tenant_id from tenants) group by all order by all""").fetchall()
    return [SnapshotAge(*row) for row in rows]


def _row_counts(publisher: Publisher) -> dict[tuple[str, str], int]:
    """The published rows by table and tenant, of tables that did not move too."""
    with closing(publisher.connection.cursor()) as cursor:
        cursor.execute("select table_name, tenant_id, rows from crm.publications")
        return {(table, tenant): rows for table, tenant, rows in cursor.fetchall()}
