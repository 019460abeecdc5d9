"""The timeline: events of all services in one canonical stream, and the CRM rows that name no profile.

How each record becomes events is said in `timeline.sql`; scoring reads the stream and belongs to `profiles`.
"""

from pathlib import Path

from duckdb import DuckDBPyConnection

from crm_pipeline.tables.columns import find_table_service, source_metadata
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.vocabulary import QuarantineReason

TIMELINE_SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

CREATE_PROFILE_TARGETS = """
    create or replace temp view profile_targets as
    select tenant_id, profile_id, coalesce(redirects_to, profile_id) as target
    from profile_ids where is_live or redirects_to is not null"""
"""Every id that still leads to a profile, with the live id it leads to."""

CREATE_STAGE_CHANGES_VIEW = """
    create or replace temp view stage_changes as
    select * from customer_timeline where event_type = 'STAGE_CHANGED'"""

PROFILE_REFERENCE_TABLES = tuple(
    table
    for table in source_metadata.tables.values()
    if any(c.info.get("references") == PROFILE_REFERENCE for c in table.columns)
)
"""The tables of the CRM whose rows name a profile."""

ORPHANED_ROWS_SQL = " union all ".join(
    f"""select tenant_id, '{find_table_service(table)}' as service, '{table.name}' as table_name, id as service_record_id,
        id as _subject, '{column.name}' as column_name, '{QuarantineReason.ORPHAN}' as reason,
        'timeline_events' as found_by
    from {to_lake_name(table)} where tenant_id in (select tenant_id from tenants) and not exists (
        select 1 from profile_targets p
        where p.tenant_id = {to_lake_name(table)}.tenant_id and p.profile_id = {to_lake_name(table)}.{column.key})"""
    for table in PROFILE_REFERENCE_TABLES
    for column in table.columns
    if column.info.get("references") == PROFILE_REFERENCE
)
"""A query of the CRM rows whose profile neither lives nor redirects."""


def build_timeline(con: DuckDBPyConnection) -> int:
    """Create temp table `events`, the customer_timeline rows of the tenants in relation `tenants`.

    Returns how many events were left out because they lie in the future, which those of a clock that runs ahead do.
    Reads what `timeline.sql` says it reads; profile_targets and stage_changes are made here, from profile_ids and the
    customer_timeline kept so far.
    """
    con.execute(CREATE_PROFILE_TARGETS)
    con.execute(CREATE_STAGE_CHANGES_VIEW)
    con.execute(f"create or replace temp table events as {TIMELINE_SQL}")
    waiting: int = con.sql("select count(*) from events where waits").fetchall()[0][0]
    con.execute("delete from events where waits")
    return waiting
