"""The timeline: events of all services in one canonical stream, and the CRM rows that name no profile.

`events.sql` turns each record into its events.
"""

from pathlib import Path

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.ingest.text_cleaning import build_id_number_sql
from crm_pipeline.tables.columns import find_table_service, source_metadata
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.vocabulary import QuarantineReason

TIMELINE_SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

CREATE_PROFILE_TARGETS = """
    create or replace temp view profile_targets as
    select tenant_id, profile_id, coalesce(redirects_to, profile_id) as target
    from profile_ids where is_live or redirects_to is not null"""
"""Creates view `profile_targets`: every id that still leads to a profile, with the live id it leads to."""

CREATE_PAST_STAGE_CHANGES_VIEW = """
    create or replace temp view past_stage_changes as
    select * from customer_timeline where event_type = 'STAGE_CHANGED'"""

PROFILE_REFERENCE_TABLES = tuple(
    table
    for table in source_metadata.tables.values()
    if any(c.info.get("references") == PROFILE_REFERENCE for c in table.columns)
)
"""The tables of the CRM whose rows name a profile."""

ORPHANED_ROWS_SQL = " union all ".join(
    f"""select tenant_id, '{find_table_service(table)}' as service, '{table.name}' as table_name,
        id as service_record_id, id as _subject, '{column.name}' as column_name, '{QuarantineReason.ORPHAN}' as reason,
        'timeline_events' as found_by
    from {to_lake_name(table)} where tenant_id in (select tenant_id from tenants) and not exists (
        select 1 from profile_targets p
        where p.tenant_id = {to_lake_name(table)}.tenant_id and p.profile_id = {to_lake_name(table)}.{column.key})"""
    for table in PROFILE_REFERENCE_TABLES
    for column in table.columns
    if column.info.get("references") == PROFILE_REFERENCE
)
"""Selects the CRM rows whose profile is neither live nor redirected."""


CREATE_PAYMENT_BOOKINGS = f"""
    create or replace temp table payment_bookings as
    with naming as (select tenant_id, id, booking_id from scl_payment where booking_id is not null),
    same_texts as (
        select n.* from naming n join teetime_booking b on b.tenant_id = n.tenant_id and b.id = n.booking_id),
    other_numbers as (
        select tenant_id, id, {build_id_number_sql("booking_id")} as number
        from naming anti join same_texts using (tenant_id, id) where number is not null),
    same_numbers as (
        select tenant_id, {build_id_number_sql("id")} as number, min(id) as booking_id
        from teetime_booking where (tenant_id, number) in (select (tenant_id, number) from other_numbers)
        group by all having count(*) = 1)
    from same_texts
    union all
    select tenant_id, id, booking_id from other_numbers join same_numbers using (tenant_id, number)"""
"""Creates temp table `payment_bookings` (tenant_id, id, booking_id): the booking that a payment names.

That is the booking of that text, else the only one that is the same number: `70001` for `070001`.
"""

ORPHANED_PAYMENTS_SQL = f"""
    select tenant_id, 'SCL' as service, 'Payment' as table_name, id as service_record_id, id as _subject,
        'bookingId' as column_name, '{QuarantineReason.ORPHAN}' as reason, 'timeline_events' as found_by
    from scl_payment anti join payment_bookings using (tenant_id, id) where booking_id is not null"""
"""Selects the payments whose booking does not exist, or no more; the payments count."""


def build_timeline(con: DuckDBPyConnection) -> int:
    """Returns the number of events left out because they lie in the future, as those of a fast clock do.

    Reads: what `events.sql` reads, profile_ids, and customer_timeline as stored so far.
    Creates: events, the customer_timeline rows of the tenants in `tenants`; profile_targets; past_stage_changes;
        payment_bookings.
    """
    con.execute(CREATE_PROFILE_TARGETS)
    con.execute(CREATE_PAST_STAGE_CHANGES_VIEW)
    con.execute(CREATE_PAYMENT_BOOKINGS)
    con.execute(f"create or replace temp table events as {TIMELINE_SQL}")
    future_events: int = con.sql("select count(*) from events where is_future").fetchall()[0][0]
    con.execute("delete from events where is_future")
    return future_events
