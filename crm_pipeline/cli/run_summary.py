"""The summary of a refresh as a table with one row per tenant, read from the lake, so that a dry run has one too."""

from contextlib import closing
from datetime import datetime

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline

TEXT_HEADINGS = ("tenant", "links by rule", "stages")
HEADINGS = (
    "tenant",
    "records",
    "profiles",
    "links by rule",
    "stages",
    "open\nreviews",
    "timeline\nevents",
    "bad\nrows",
)
SUMMARY_QUERY = """
    with records as ({records}),
    links as (
        select tenant_id, string_agg(rule || ' ' || link_count, chr(10) order by rule) as links
        from (select tenant_id, rule, count(*) as link_count from customer_identities
            where rule <> 'ANCHOR' group by all)
        group by all),
    stages as (
        select tenant_id,
            string_agg(lifecycle_stage || ' ' || profile_count, chr(10) order by lifecycle_stage) as stages
        from (select tenant_id, lifecycle_stage, count(*) as profile_count from customer_profiles group by all)
        group by all),
    profile_counts as (
        select tenant_id, count(*) as profiles from customer_profiles group by all)
    select tenant_id, coalesce(records, 0), coalesce(profiles, 0), coalesce(links, ''), coalesce(stages, ''),
        (select count(*) from identity_reviews r where r.tenant_id = profile_counts.tenant_id and closed_at is null),
        coalesce(events.rows, 0),
        (select count(*) from quarantined_records q where q.tenant_id = profile_counts.tenant_id)
    from profile_counts left join records using (tenant_id) left join links using (tenant_id)
    left join stages using (tenant_id) left join ({events}) events using (tenant_id)
    order by tenant_id"""


def print_summary(console: Console, lake: Lake, as_of: datetime) -> None:
    """Prints records, profiles, links by rule, stages, reviews, events and quarantined rows per tenant."""
    summary_table = RichTable(
        title=f"Customer profiles as of {as_of:%Y-%m-%d %H:%M} UTC",
        title_justify="left",
        caption="bad rows are in crm.quarantined_records, reviews in crm.identity_reviews",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_lines=True,
    )
    for heading in HEADINGS:
        if heading in TEXT_HEADINGS:
            summary_table.add_column(heading, overflow="fold")
        else:
            summary_table.add_column(heading, justify="right", no_wrap=True)
    for row in _read_tenant_counts(lake):
        summary_table.add_row(*(f"{value:,}" if isinstance(value, int) else value for value in row))
    console.print(summary_table)


def _read_tenant_counts(lake: Lake) -> list[tuple[str | int, ...]]:
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
        rows: list[tuple[str | int, ...]] = con.sql(query).fetchall()
    return rows
