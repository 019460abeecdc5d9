"""The status table: per tenant the last refresh, age of each service's snapshot, reviews, bad rows, failed checks."""

from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import text

from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.resources.warehouse.warehouse import Warehouse

STATUS_QUERY = text("""
    with publication_times as (
        select tenant_id, max(as_of) filter (where table_name not like '%.snapshot') as as_of,
            max(published_at) filter (where table_name not like '%.snapshot') as published_at,
            string_agg(replace(table_name, '.snapshot', '') ||
                to_char(as_of at time zone 'UTC', ' YYYY-MM-DD HH24:MI'), E'\\n' order by table_name)
                filter (where table_name like '%.snapshot') as snapshots
        from crm.publications where tenant_id <> '' group by tenant_id)
    select tenant_id, to_char(as_of at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        to_char(published_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), coalesce(snapshots, ''),
        (select count(*) from crm.identity_reviews r
            where r.tenant_id = publication_times.tenant_id and closed_at is null),
        (select count(*) from crm.quarantined_records q where q.tenant_id = publication_times.tenant_id),
        (select count(distinct (table_name, service_record_id)) from crm.quarantined_records q
            where q.tenant_id = publication_times.tenant_id
                and table_name in ('IdentityOverride', 'SuppressedIdentifier')),
        (select coalesce(string_agg(suite || ': ' || expectation, E'\\n'), 'none') from crm.data_quality_results d
            where d.tenant_id = publication_times.tenant_id and not success)
    from publication_times order by tenant_id""")
HEADINGS = (
    "tenant",
    "as of",
    "last change published",
    "service snapshots",
    "open reviews",
    "quarantined",
    "decisions without effect",
    "failed checks",
)


def print_status(console: Console, warehouse: Warehouse) -> None:
    """Prints a table with one row per tenant that was ever published."""
    with warehouse.engine().connect() as connection:
        rows = connection.execute(STATUS_QUERY).all()
    if not rows:
        console.print("Nothing has been published yet: crm-pipeline run")
        return
    status_table = RichTable(title="Published tenants, times in UTC", title_justify="left", show_lines=True)
    for heading in HEADINGS:
        status_table.add_column(heading)
    for tenant_id, *values in rows:
        status_table.add_row(escape_invisible_characters(tenant_id), *map(str, values))
    console.print(status_table)
