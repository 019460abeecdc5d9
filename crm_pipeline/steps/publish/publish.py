"""Publication of a run's tenants: what is due, and every table made equal to the lake."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing

from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.warehouse.publishing.parallel import publish_parallel
from crm_pipeline.resources.warehouse.publishing.publisher import PendingRows, Publisher, PublishError, SnapshotAge
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingByTenant
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.publish.pending_rows import build_pending_batches, find_pending_rows
from crm_pipeline.tables import REPORT_TABLES
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


def find_pending_tables(run: RunContext, publisher: Publisher, tenants: Sequence[str]) -> dict[str, list[PendingRows]]:
    """Per tenant with something to publish its tables."""
    due = defaultdict(list)
    for table in TENANT_TABLES:
        for tenant, rows in find_pending_rows(run, publisher.published, table, tenants).items():
            due[tenant].append(rows)
    return dict(due)


def publish_tenants(
    run: RunContext, publisher: Publisher, due: PendingByTenant, tenants: Sequence[str], unpublished: dict[str, str]
) -> dict[str, dict[str, ChangeCounts]]:
    """Publish tenant by tenant; one that cannot be published is noted in `unpublished` and stops no other."""
    changes: dict[str, dict[str, ChangeCounts]] = {tenant: {} for tenant in tenants if tenant not in due}
    for group in build_pending_batches(run, due, [tenant for tenant in tenants if tenant in due]):
        for tenant, outcome in publish_parallel(publisher, group):
            if isinstance(outcome, PublishError):
                unpublished[tenant] = str(outcome).removeprefix(f"{tenant}: ")
            else:
                changes[tenant] = outcome
    return changes


def publish_reports(run: RunContext, publisher: Publisher, unpublished: dict[str, str]) -> None:
    """What was set aside, how the checks went and the churn models, for every tenant, the failed ones above all."""
    for table in REPORT_TABLES:
        due = find_pending_rows(run, publisher.published, table, run.tenants)
        publish_tenants(run, publisher, {tenant: [rows] for tenant, rows in due.items()}, list(due), unpublished)


def find_snapshot_ages(run: RunContext) -> list[SnapshotAge]:
    """The hour and the rows of every service's snapshot of each of the run's tenants."""
    current = run.lake.current(run.con, operations.service_snapshots, tenants=run.tenants)
    rows = run.con.sql(f"""
        select service, tenant_id, min(extracted_at), cast(sum(rows) as bigint) from {current}
        where tenant_id in (select tenant_id from tenants) group by all order by all""").fetchall()
    return [SnapshotAge(*row) for row in rows]


def count_published_rows(publisher: Publisher) -> dict[tuple[str, str], int]:
    """The published rows by table and tenant, of tables that did not move too."""
    with closing(publisher.connection.cursor()) as cursor:
        cursor.execute("select table_name, tenant_id, rows from crm.publications")
        return {(table, tenant): rows for table, tenant, rows in cursor.fetchall()}
