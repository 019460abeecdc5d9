"""The two published assets: a tenant's profiles and timeline, checked, then made visible in one transaction.

A tenant that fails its checks, or whose own row is wrong, keeps what was published last while the others go on; when
most tenants fail, something is wrong with us, and none is published.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.assets.metadata import columns_metadata
from crm_pipeline.assets.staging import due_rows
from crm_pipeline.assets.step import TENANTS, Step, step
from crm_pipeline.checks import Suite, Verdict, judge
from crm_pipeline.resources.lake import Changes, Lake
from crm_pipeline.resources.publisher import Publisher, PublishError, Rows, SnapshotAge
from crm_pipeline.resources.warehouse import Warehouse
from crm_pipeline.settings import Settings
from crm_pipeline.tables import REPORTS, identities, operations, profiles, timeline

CHECK = "expectations_hold"
PROFILES, TIMELINE = profiles.customer_profiles, timeline.customer_timeline
TENANT_TABLES = (
    PROFILES,
    TIMELINE,
    identities.customer_identities,
    identities.identity_reviews,
    identities.profile_events,
    identities.profile_ids,
)
SHARE_THAT_STOPS_ALL = 0.5


def _spec(table: Table, deps: list[str], description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.name,
        deps=deps,
        description=description,
        group_name="published",
        kinds={"postgres", "greatexpectations"},
        owners=["team:data"],
        metadata={**columns_metadata(table), "dagster/table_name": f"crm.{table.name}"},
        code_version="1",
    )


def _check_specs() -> list[dg.AssetCheckSpec]:
    with warnings.catch_warnings():
        # checks per partition are in preview; the users' wish to see each tenant's is not
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(CHECK, asset=table.name, partitions_def=TENANTS, description="The table's suite holds.")
            for table in (PROFILES, TIMELINE)
        ]


@dg.multi_asset(
    name="published",
    specs=[
        _spec(PROFILES, ["profile_scores"], "One row per person and club. crm.customer_profiles in PostgreSQL."),
        _spec(TIMELINE, ["timeline_events", "profile_scores"], "Everything a customer did. crm.customer_timeline."),
    ],
    check_specs=_check_specs(),
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
            due = _stage(this, publisher, tenants)
            verdicts = _check(context, this, due)
            failed = {v.tenant_id: f"{v.suite}: {v.expectation}" for v in verdicts if v.is_critical and not v.success}
            unpublished |= failed
            if len(failed) > SHARE_THAT_STOPS_ALL * len(tenants):
                unpublished |= {tenant: failed.get(tenant, "most tenants failed their checks") for tenant in tenants}
            changes = _publish(publisher, due, [t for t in tenants if t not in unpublished], unpublished)
            _publish_reports(this, publisher, unpublished)
            publisher.finish([t for t in tenants if t not in unpublished], this.tenants, _snapshot_ages(this))
            rows = _row_counts(publisher)
        yield from _results(context, changes, rows, unpublished)


def _stage(this: Step, publisher: Publisher, tenants: Sequence[str]) -> dict[str, list[Rows]]:
    """Per tenant with something to publish its tables; those that are judged are there as `rows_<table>` too."""
    due = defaultdict(list)
    for table in TENANT_TABLES:
        whole = table in (PROFILES, TIMELINE)
        for tenant, rows in due_rows(this, publisher.published, table, tenants, whole=whole).items():
            due[tenant].append(rows)
    return dict(due)


def _moved(due: dict[str, list[Rows]], table: Table) -> list[str]:
    return [tenant for tenant in due if any(rows.table is table for rows in due[tenant])]


def _check(context: dg.AssetExecutionContext, this: Step, due: dict[str, list[Rows]]) -> list[Verdict]:
    """Judge the staged rows, keep the verdicts and tell Dagster each tenant's; what did not move keeps its own."""
    this.define_as_of()
    this.lake.current(this.con, PROFILES, tenants=list(due), name="profiles_to_check")
    verdicts = []
    for table in (PROFILES, TIMELINE):
        tenants = _moved(due, table)
        found = judge(this.con, Suite(table), f"rows_{table.name}", tenants)
        _keep_verdicts(this, table, found, tenants)
        _tell(context, table, found)
        verdicts += found
    return verdicts


def _keep_verdicts(this: Step, table: Table, verdicts: Sequence[Verdict], tenants: Sequence[str]) -> None:
    if not verdicts:
        return
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    this.con.register("verdicts", pd.DataFrame(verdicts))
    this.con.execute(f"""
        create or replace temp view results as
        select *, '{this.as_of.isoformat()}'::timestamptz as checked_at, '{this.run_id}' as run_id from verdicts""")
    this.replace(operations.data_quality_results, "results", tenants, f"suite = '{table.name}'")


def _tell(context: dg.AssetExecutionContext, table: Table, verdicts: Sequence[Verdict]) -> None:
    by_tenant: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_tenant[verdict.tenant_id].append(verdict)
    for tenant, found in by_tenant.items():
        broken = {verdict.expectation: verdict.unexpected_count for verdict in found if not verdict.success}
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(table.name),
                check_name=CHECK,
                passed=not broken,
                partition=tenant,
                metadata={"expectations": len(found), "broken": dg.MetadataValue.json(broken)},
            )
        )


def _publish(
    publisher: Publisher, due: dict[str, list[Rows]], tenants: Sequence[str], unpublished: dict[str, str]
) -> dict[str, dict[str, Changes]]:
    """Publish tenant by tenant; one that cannot be published is noted in `unpublished` and stops no other."""
    changes = {}
    for tenant in sorted(tenants):
        try:
            changes[tenant] = publisher.publish(tenant, due.get(tenant, []))
        except PublishError as error:
            unpublished[tenant] = str(error).removeprefix(f"{tenant}: ")
    return changes


def _publish_reports(this: Step, publisher: Publisher, unpublished: dict[str, str]) -> None:
    """What was set aside, how the checks went and the churn models, for every tenant, the failed ones above all."""
    for table in REPORTS:
        due = due_rows(this, publisher.published, table, this.tenants)
        _publish(publisher, {tenant: [rows] for tenant, rows in due.items()}, list(due), unpublished)


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


def _results(
    context: dg.AssetExecutionContext,
    changes: dict[str, dict[str, Changes]],
    rows: dict[tuple[str, str], int],
    unpublished: dict[str, str],
) -> Iterator[dg.MaterializeResult]:
    """All good: one result per asset, with metadata per tenant. Some bad: the good ones' events, then Failure.

    A run of the whole graph has no partitions for Dagster to mark, and gets the good ones' events too.
    """
    one_by_one = unpublished or not (context.has_partition_key or context.has_partition_key_range)
    for table in (PROFILES, TIMELINE):
        for tenant, changed in changes.items():
            metadata = _metadata(changed.get(table.name), rows.get((table.name, tenant)))
            if one_by_one:
                context.log_event(dg.AssetMaterialization(table.name, partition=tenant, metadata=metadata))
            else:
                context.add_asset_metadata(metadata, asset_key=table.name, partition_key=tenant)
        if not unpublished:
            yield dg.MaterializeResult(
                asset_key=table.name,
                metadata=_metadata(None),  # of closed tenants, which belong to the run and have no part in it
                check_results=[dg.AssetCheckResult(check_name=CHECK, passed=True, asset_key=table.name)],
            )
    if unpublished:
        reasons = "; ".join(f"{tenant} ({reason})" for tenant, reason in sorted(unpublished.items()))
        raise dg.Failure(
            f"not published, last published data kept: {reasons}",
            metadata={"unpublished": dg.MetadataValue.json(unpublished)},
            allow_retries=False,
        )


def _metadata(changes: Changes | None, rows: int | None = None) -> dict[str, Any]:
    added, changed, removed = changes or Changes(0, 0, 0)
    counts = {"rows_added": added, "rows_changed": changed, "rows_removed": removed}
    return counts if rows is None else {**counts, "dagster/row_count": rows}
