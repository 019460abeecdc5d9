"""The summary of a refresh, per tenant, read from the lake, so that a dry run has one too; as a table or as JSON."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from crm_pipeline.cli.output.fact_table import Fact, print_facts
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline

if TYPE_CHECKING:
    from crm_pipeline.cli.run import RefreshOutcome

HEADINGS = (
    "tenant",
    "records",
    "profiles",
    "links by rule",
    "stages",
    "open reviews",
    "timeline events",
    "quarantined",
)
SUMMARY_QUERY = """
    with snapshot_counts as ({records}),
    links as (
        select tenant_id, list({{'name': rule, 'count': link_count}} order by rule) as links_by_rule
        from (select tenant_id, rule, count(*) as link_count from customer_identities
            where rule <> 'ANCHOR' group by all)
        group by all),
    stages as (
        select tenant_id, list({{'name': lifecycle_stage, 'count': profile_count}} order by lifecycle_stage) as stages
        from (select tenant_id, lifecycle_stage, count(*) as profile_count from customer_profiles group by all)
        group by all),
    profile_counts as (
        select tenant_id, count(*) as profiles from customer_profiles group by all)
    select tenant_id, coalesce(records, 0) as records, coalesce(profiles, 0) as profiles, links_by_rule, stages,
        (select count(*) from identity_reviews r where r.tenant_id = snapshot_counts.tenant_id and closed_at is null)
            as open_reviews,
        coalesce(events.rows, 0) as timeline_events,
        (select count(*) from quarantined_records q where q.tenant_id = snapshot_counts.tenant_id)
            as quarantined_records
    from snapshot_counts left join profile_counts using (tenant_id) left join links using (tenant_id)
    left join stages using (tenant_id) left join ({events}) events using (tenant_id)
    where tenant_id <> ''
    order by tenant_id"""


def read_summary(lake: Lake) -> list[dict[str, Any]]:
    """Returns per tenant with a snapshot its counts, by the names of `SUMMARY_QUERY`; links and stages as mappings."""
    tables = (
        identity.customer_identities,
        identity.identity_reviews,
        profiles.customer_profiles,
        operations.quarantined_records,
    )
    with closing(lake.connect()) as con:
        for table in tables:
            lake.create_current_view(con, table)
        snapshots = lake.create_current_view(con, operations.service_snapshots)
        records = f"select tenant_id, cast(sum(rows) as bigint) as records from {snapshots} group by tenant_id"
        query = SUMMARY_QUERY.format(records=records, events=lake.build_counts_query(timeline.customer_timeline))
        rows: list[dict[str, Any]] = con.sql(query).to_arrow_table().to_pylist()
    return [{**row, **{name: _to_mapping(row[name]) for name in ("links_by_rule", "stages")}} for row in rows]


def print_summary(console: Console, tenants: Sequence[Mapping[str, Any]], as_of: datetime) -> None:
    """Prints records, profiles, links by rule, stages, reviews, events and quarantined rows per tenant."""
    print_facts(
        console,
        f"Customer profiles as of {as_of:%Y-%m-%d %H:%M} UTC",
        HEADINGS,
        [_build_tenant_facts(tenant) for tenant in tenants],
        "quarantined rows are in crm.quarantined_records, reviews in crm.identity_reviews",
    )


def build_run_document(
    outcome: "RefreshOutcome", tenants: Sequence[Mapping[str, Any]], *, dry_run: bool
) -> dict[str, Any]:
    """Returns the document of `run --json`, as `json_schemas.py` describes it."""
    return {
        "as_of": outcome.as_of,
        "is_dry_run": dry_run,
        "seconds": round(outcome.seconds, 1),
        "published_rows": outcome.published_rows,
        "failures": outcome.failures,
        "tenants": tenants,
    }


def _build_tenant_facts(tenant: Mapping[str, Any]) -> Sequence[Fact]:
    """Returns the facts in the order of HEADINGS."""
    return (
        tenant["tenant_id"],
        tenant["records"],
        tenant["profiles"],
        [f"{rule} {count}" for rule, count in tenant["links_by_rule"].items()],
        [f"{stage} {count}" for stage, count in tenant["stages"].items()],
        tenant["open_reviews"],
        tenant["timeline_events"],
        tenant["quarantined_records"],
    )


def _to_mapping(counts: Sequence[Mapping[str, Any]] | None) -> dict[str, int]:
    return {each["name"]: each["count"] for each in counts or ()}
