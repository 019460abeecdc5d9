"""Publication of a run's tenants: what is due, and every table made equal to the lake."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing

from crm_pipeline.resources.lake.lake import Changes
from crm_pipeline.resources.warehouse.publishing.parallel import publish_at_once
from crm_pipeline.resources.warehouse.publishing.publisher import Publisher, PublishError, Rows, SnapshotAge
from crm_pipeline.resources.warehouse.publishing.table_publication import Due
from crm_pipeline.run_context import Step
from crm_pipeline.steps.publish.pending_rows import due_rows, in_order
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


def find_due(this: Step, publisher: Publisher, tenants: Sequence[str]) -> dict[str, list[Rows]]:
    """Per tenant with something to publish its tables."""
    due = defaultdict(list)
    for table in TENANT_TABLES:
        for tenant, rows in due_rows(this, publisher.published, table, tenants).items():
            due[tenant].append(rows)
    return dict(due)


def publish_tenants(
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


def publish_reports(this: Step, publisher: Publisher, unpublished: dict[str, str]) -> None:
    """What was set aside, how the checks went and the churn models, for every tenant, the failed ones above all."""
    for table in REPORTS:
        due = due_rows(this, publisher.published, table, this.tenants)
        publish_tenants(this, publisher, {tenant: [rows] for tenant, rows in due.items()}, list(due), unpublished)


def find_snapshot_ages(this: Step) -> list[SnapshotAge]:
    """The hour and the rows of every service's snapshot of each of the run's tenants."""
    current = this.lake.current(this.con, operations.service_snapshots, tenants=this.tenants)
    rows = this.con.sql(f"""
        select service, tenant_id, min(extracted_at), cast(sum(rows) as bigint) from {current}
        where tenant_id in (select tenant_id from tenants) group by all order by all""").fetchall()
    return [SnapshotAge(*row) for row in rows]


def published_row_counts(publisher: Publisher) -> dict[tuple[str, str], int]:
    """The published rows by table and tenant, of tables that did not move too."""
    with closing(publisher.connection.cursor()) as cursor:
        cursor.execute("select table_name, tenant_id, rows from crm.publications")
        return {(table, tenant): rows for table, tenant, rows in cursor.fetchall()}
