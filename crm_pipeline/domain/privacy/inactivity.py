"""Inactive casual golfers: who is one, and what ends it.

A casual golfer has a player in TeeTime and is no member, now or ever. They are inactive once their last activity is
older than their club wants to keep; without any activity, once they were first seen that long ago. Nobody with an open
matter is inactive.
"""

from types import MappingProxyType
from typing import Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.privacy.subject_rows import list_record_references
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, messaging, teetime

OPEN_MATTER_DAYS: Final = 730
"""How long an enquiry, form, lead or referral is an open matter: as long as it makes a LEAD or an ADVOCATE."""
LATE_DELIVERY_INTERVAL: Final = "interval 7 days"
"""How late a service may deliver an activity; whoever was removed did nothing for longer."""
GOLFER_TOMBSTONE_CONDITION: Final = "contains(certificate_id, '-')"
"""Selects the tombstones of removed golfers, which can end: several share a certificate, each with a number in it."""
ACTIVITY_TIMES: Final = MappingProxyType(
    {
        teetime.booking: "case when t.status <> 'CANCELLED' then t.booked_at end",
        teetime.handicap_update: "t.recorded_at",
        teetime.competition_entry: "t.entered_at",
        messaging.message_event: "case when t.kind = 'CLICKED' then t.occurred_at end",
        crm.campaign_interaction: "case when t.kind <> 'UNSUBSCRIBED' then t.occurred_at end",
    }
)
"""SQL of the time of an activity, for each table that shows one; tables about members alone have none."""
_LOCAL_DATE: Final = "cast(timezone(timezone, {}) as date)"
_CREATE_CANDIDATES: Final = f"""
    create or replace temp table retention_limits as
    select tenant_id, timezone, seen_until, {_LOCAL_DATE.format("seen_until")} as today,
        cast(today - to_months(casual_golfers_months) as date) as inactive_before
    from retention_periods join tenants using (tenant_id);
    create or replace temp table candidates as
    select distinct p.id as owner, limits.*
    from customer_profiles p join retention_limits limits using (tenant_id)
    join customer_identities i on i.tenant_id = p.tenant_id and i.profile_id = p.id and i.service = 'TEETIME'
    where cast(timezone(limits.timezone, coalesce(p.last_activity_at, p.first_seen_at)) as date) < inactive_before;
    create or replace temp table candidate_ids as
    select candidates.*, i.profile_id from candidates
    join profile_ids i on i.tenant_id = candidates.tenant_id and (i.profile_id = owner or i.redirects_to = owner);
    create or replace temp table candidate_records as
    select candidates.*, i.service, i.service_record_id as record_id
    from candidates join customer_identities i on i.tenant_id = candidates.tenant_id and i.profile_id = owner
    union all
    select * exclude (profile_id), 'CRM', profile_id from candidate_ids"""
_MEMBERS_SQL: Final = """
    select tenant_id, owner from link_history join candidate_ids using (tenant_id, profile_id) where service = 'SCL'
    union
    select tenant_id, owner from profile_ids join candidate_ids using (tenant_id, profile_id)
    where 'SCL' in (minted_service, anchor_service)"""
_OPEN_MATTERS_SQL: Final = f"""
    select c.tenant_id, owner from customer_timeline e
    join candidates c on c.tenant_id = e.tenant_id and c.owner in (e.profile_id, e.details ->> 'referred_profile_id')
    where event_type in ('LEAD_CREATED', 'ENQUIRY', 'FORM_SUBMITTED', 'REFERRAL')
        and today - {_LOCAL_DATE.format("occurred_at")} <= {OPEN_MATTER_DAYS}"""
_OPEN_BOOKINGS_SQL: Final = """
    select c.tenant_id, owner from present_teetime_booking b
    join candidate_records c on c.tenant_id = b.tenant_id and c.service = 'TEETIME' and c.record_id = b.player_id
    where b.status <> 'CANCELLED' and (b.tee_time_at > seen_until or (b.price_cents > 0 and b.paid_at is null
        and not exists (from present_scl_payment s where s.tenant_id = b.tenant_id and s.booking_id = b.id
            and s.kind = 'PAYMENT' and s.status = 'SETTLED')))"""
_OPEN_REVIEWS_SQL: Final = """
    select c.tenant_id, owner from identity_reviews v
    join candidate_records c on c.tenant_id = v.tenant_id
        and ((c.service = service_a and c.record_id = record_id_a)
            or (c.service = service_b and c.record_id = record_id_b))
    where closed_at is null"""


def find_inactive_profiles(con: DuckDBPyConnection) -> list[tuple[str, str]]:
    """Returns tenant and profile id of every inactive casual golfer.

    Reads: retention_periods (tenant_id, casual_golfers_months, and seen_until, up to when its services were read);
    tenants; the outputs of runs; link_history (every version of customer_identities); `present_<lake name>`, the rows
    of the services, quarantined ones too.
    Creates: retention_limits, candidates, candidate_ids, candidate_records.
    """
    con.execute(_CREATE_CANDIDATES)
    recent_activity = (_build_recent_activity_query(table) for table in ACTIVITY_TIMES)
    exclusions = " union all ".join(
        f"({reason})"
        for reason in (_MEMBERS_SQL, _OPEN_MATTERS_SQL, _OPEN_BOOKINGS_SQL, _OPEN_REVIEWS_SQL, *recent_activity)
    )
    return con.sql(f"""
        select tenant_id, owner from candidates
        anti join ({exclusions}) using (tenant_id, owner) order by all""").fetchall()


def build_returned_golfers_query(table: Table, rows: str) -> str | None:
    """Returns a query of tenant_id and certificate_id of removed golfers with later activity in relation `rows`.

    Returns None where the table holds no activity.
    Reads: `rows`; forgotten, which names the golfers, with the time up to which they were inactive.
    """
    if table not in ACTIVITY_TIMES:
        return None
    return " union ".join(
        f"""select f.tenant_id, f.certificate_id from {rows} t
        join forgotten f on f.tenant_id = t.tenant_id and f.service = {reference.service}
            and f.table_name = {reference.table} and f.record_id = {reference.record_id}
        where {GOLFER_TOMBSTONE_CONDITION} and {ACTIVITY_TIMES[table]} > f.forgotten_at - {LATE_DELIVERY_INTERVAL}"""
        for reference in list_record_references(table)
    )


def _build_recent_activity_query(table: Table) -> str:
    """Returns a query of candidates with activity that no run has processed yet, or that is quarantined."""
    return " union all ".join(
        f"""select c.tenant_id, owner from present_{to_lake_name(table)} t
        join candidate_records c on c.tenant_id = t.tenant_id and c.service = {reference.service}
            and c.record_id = {reference.record_id}
        where {_LOCAL_DATE.format(ACTIVITY_TIMES[table])} >= inactive_before"""
        for reference in list_record_references(table)
    )
