"""Publication of a run's tenants: finds the pending tables and makes the published tables equal to the lake."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Table

from crm_pipeline.checks.data_docs import DATA_DOCS_FOLDER, write_pages
from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.domain.ingest.tenant_validation import Tenant
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.warehouse.freshness import TenantFreshness
from crm_pipeline.resources.warehouse.publishing.parallel import publish_parallel
from crm_pipeline.resources.warehouse.publishing.publisher import (
    PendingRows,
    Publisher,
    PublishError,
    SnapshotAge,
    TenantRefresh,
)
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingByTenant
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.publish.pending_rows import build_pending_batches, find_pending_rows
from crm_pipeline.tables import PUBLISHER_TABLES, REPORT_TABLES
from crm_pipeline.tables.outputs import identity, operations, privacy, profiles, timeline
from crm_pipeline.vocabulary import TenantStatus

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
TENANT_GONE = "the CRM has no Tenant row of it any more"


def find_pending_tables(
    run: RunContext, publisher: Publisher, tables: Sequence[Table], tenants: Sequence[str] | None
) -> dict[str, list[PendingRows]]:
    """Returns the pending rows of each tenant that has any, one entry per table; of every tenant where it is None."""
    pending = defaultdict(list)
    for table in tables:
        for tenant, rows in find_pending_rows(run, publisher.publication_states, table, tenants).items():
            pending[tenant].append(rows)
    return dict(pending)


def publish_tenants(
    run: RunContext, publisher: Publisher, pending: PendingByTenant, tenants: Sequence[str], unpublished: dict[str, str]
) -> dict[str, dict[str, ChangeCounts]]:
    """Publishes tenant by tenant; returns the changes per tenant and table.

    A tenant that fails is added to `unpublished` with the reason and does not stop the others.
    """
    changes: dict[str, dict[str, ChangeCounts]] = {tenant: {} for tenant in tenants if tenant not in pending}
    for batch in build_pending_batches(run, pending, [tenant for tenant in tenants if tenant in pending]):
        for tenant, outcome in publish_parallel(publisher, batch):
            if isinstance(outcome, PublishError):
                unpublished[tenant] = str(outcome).removeprefix(f"{tenant}: ")
            else:
                changes[tenant] = outcome
    return changes


def publish_reports(run: RunContext, publisher: Publisher, unpublished: dict[str, str]) -> None:
    """Publishes the report tables of every tenant, failed ones included: quarantine, check results, churn models."""
    pending = find_pending_tables(run, publisher, REPORT_TABLES, run.tenants)
    publish_tenants(run, publisher, pending, list(pending), unpublished)


def update_data_docs(
    run: RunContext,
    home: Path,
    results: Sequence[ExpectationResult],
    clubs: Sequence[TenantFreshness],
    news: Sequence[TenantFreshness],
) -> None:
    """Writes Data Docs: the index, the suites' pages, and the pages of clubs with new `results` or `news`."""
    for name, table in (
        ("shown_results", operations.data_quality_results),
        ("shown_measures", operations.quality_measures),
    ):
        current = run.lake.create_current_view(run.con, table, name=f"present_{table.name}")
        run.con.execute(f"create or replace temp table {name} as from {current}")
    changed = {result.tenant_id for result in results} | {club.tenant_id for club in news}
    write_pages(run.con, run.as_of, home / DATA_DOCS_FOLDER, clubs, changed)


def find_snapshot_ages(run: RunContext, refreshes: Sequence[TenantRefresh]) -> list[SnapshotAge]:
    """Returns the hour and the number of rows of each service snapshot per tenant that the run refreshed.

    Of a tenant that left the CRM it is the hour at which the service was last read for any tenant.
    """
    current = run.lake.create_current_view(run.con, operations.service_snapshots, tenants=run.tenants)
    query = f"""
        select service, tenant_id, min(extracted_at), cast(sum(rows) as bigint) from {current}
        where tenant_id in (from known_tenants) group by all
        union all
        select service, gone_id, max(extracted_at), cast(coalesce(sum(rows) filter (tenant_id = gone_id), 0) as bigint)
        from {current} cross join (select unnest($gone::varchar[]) as gone_id) group by all
        order by all"""
    return [SnapshotAge(*row) for row in run.con.execute(query, {"gone": list_gone_tenants(refreshes)}).fetchall()]


def find_tenant_refreshes(
    run: RunContext, usable: Sequence[Tenant], unpublished: Mapping[str, str], recorded: Collection[str]
) -> list[TenantRefresh]:
    """Returns how the run ended for each of its tenants, closed ones and those that left the CRM included.

    `recorded` are the tenants that an earlier run stored.
    Reads: known_tenants.
    """
    known = {tenant for (tenant,) in run.con.sql("from known_tenants").fetchall() if tenant}
    statuses: dict[str, str | None] = dict.fromkeys(known - unpublished.keys(), TenantStatus.CLOSED)
    statuses |= {tenant.tenant_id: tenant.status for tenant in usable}
    reasons = dict.fromkeys(set(recorded) - known, TENANT_GONE) | {
        t: unpublished[t] for t in known & unpublished.keys()
    }
    run_tenants = known | reasons.keys()
    if run.tenants is not None:
        run_tenants &= set(run.tenants)
    return [TenantRefresh(tenant, statuses.get(tenant), reasons.get(tenant)) for tenant in sorted(run_tenants)]


def list_gone_tenants(refreshes: Sequence[TenantRefresh]) -> list[str]:
    """Returns the tenants that left the CRM."""
    return [refresh.tenant_id for refresh in refreshes if refresh.unpublished_reason == TENANT_GONE]


def count_published_rows(publisher: Publisher) -> dict[tuple[str, str], int]:
    """Returns the number of published rows by table and tenant, including unchanged tables.

    Of the publisher's own tables it is that of all tenants, under the empty name.
    """
    own_queries = (f"select '{table.name}', '', count(*) from crm.{table.name}" for table in PUBLISHER_TABLES)
    query = " union all ".join(("select table_name, tenant_id, rows from crm.publications", *own_queries))
    with closing(publisher.connection.cursor()) as cursor:
        cursor.execute(query)
        return {(table, tenant): rows for table, tenant, rows in cursor.fetchall()}
