"""Inactive casual golfers: who is one, and what ends it.

A casual golfer has a player in TeeTime and is no member, now or ever. They are inactive once the last thing they did
lies longer back than their club wants to know; of somebody who never did anything, once they were first seen that long
ago. Nobody is with whom a matter is open. How they are removed is the business of `forget`.
"""

from types import MappingProxyType
from typing import Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.privacy.subject_rows import list_record_references
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, messaging, teetime

OPEN_MATTER_DAYS: Final = 730
"""How long an enquiry, a form, a lead or a referral is an open matter: as long as it makes a LEAD or an ADVOCATE."""
LATE_DELIVERY_INTERVAL: Final = "interval 7 days"
"""A service may deliver what was done a little before it was last read; whoever was removed did nothing for longer."""
GOLFER_TOMBSTONE_CONDITION: Final = "contains(certificate_id, '-')"
"""Whether a tombstone is a removed golfer's, and so can end: several have one certificate, and each a number in it."""
ACTIVITY_TIMES: Final = MappingProxyType(
    {
        teetime.booking: "case when t.status <> 'CANCELLED' then t.booked_at end",
        teetime.handicap_update: "t.recorded_at",
        teetime.competition_entry: "t.entered_at",
        messaging.message_event: "case when t.kind = 'CLICKED' then t.occurred_at end",
        crm.campaign_interaction: "case when t.kind <> 'UNSUBSCRIBED' then t.occurred_at end",
    }
)
"""When a row says that a customer did something; what only members do is not among it."""
_LOCAL_DATE: Final = "cast(timezone(timezone, {}) as date)"
_CREATE_RETENTION_LIMITS: Final = f"""
    create or replace temp table clubs as
    select tenant_id, timezone, seen_until, {_LOCAL_DATE.format("seen_until")} as today,
        cast(today - to_months(casual_golfers_months) as date) as kept_from
    from retention_periods join tenants using (tenant_id)"""
_CREATE_CANDIDATES: Final = """
    create or replace temp table quiet as
    select distinct p.id as owner, clubs.*
    from customer_profiles p join clubs using (tenant_id)
    join customer_identities i on i.tenant_id = p.tenant_id and i.profile_id = p.id and i.service = 'TEETIME'
    where cast(timezone(clubs.timezone, coalesce(p.last_activity_at, p.first_seen_at)) as date) < kept_from"""
_CREATE_CANDIDATE_IDS: Final = """
    create or replace temp table quiet_ids as
    select quiet.*, i.profile_id from quiet
    join profile_ids i on i.tenant_id = quiet.tenant_id and (i.profile_id = owner or i.redirects_to = owner)"""
_CREATE_CANDIDATE_RECORDS: Final = """
    create or replace temp table quiet_records as
    select quiet.*, i.service, i.service_record_id as record_id
    from quiet join customer_identities i on i.tenant_id = quiet.tenant_id and i.profile_id = owner
    union all
    select * exclude (profile_id), 'CRM', profile_id from quiet_ids"""
_MEMBERS_SQL: Final = """
    select tenant_id, owner from link_history join quiet_ids using (tenant_id, profile_id) where service = 'SCL'
    union
    select tenant_id, owner from profile_ids join quiet_ids using (tenant_id, profile_id)
    where 'SCL' in (minted_service, anchor_service)"""
_OPEN_MATTERS_SQL: Final = f"""
    select q.tenant_id, owner from customer_timeline e
    join quiet q on q.tenant_id = e.tenant_id and q.owner in (e.profile_id, e.details ->> 'referred_profile_id')
    where event_type in ('LEAD_CREATED', 'ENQUIRY', 'FORM_SUBMITTED', 'REFERRAL')
        and today - {_LOCAL_DATE.format("occurred_at")} <= {OPEN_MATTER_DAYS}"""
_OPEN_BOOKINGS_SQL: Final = """
    select q.tenant_id, owner from present_teetime_booking b
    join quiet_records q on q.tenant_id = b.tenant_id and q.service = 'TEETIME' and q.record_id = b.player_id
    where b.status <> 'CANCELLED' and (b.tee_time_at > seen_until or (b.price_cents > 0 and b.paid_at is null
        and not exists (from present_scl_payment s where s.tenant_id = b.tenant_id and s.booking_id = b.id
            and s.kind = 'PAYMENT' and s.status = 'SETTLED')))"""
_OPEN_REVIEWS_SQL: Final = """
    select q.tenant_id, owner from identity_reviews v
    join quiet_records q on q.tenant_id = v.tenant_id
        and ((q.service = service_a and q.record_id = record_id_a)
            or (q.service = service_b and q.record_id = record_id_b))
    where closed_at is null"""


def find_inactive_profiles(con: DuckDBPyConnection) -> list[tuple[str, str]]:
    """Tenant and profile id of every inactive casual golfer.

    Reads relation `retention_periods` (tenant_id, casual_golfers_months, and seen_until, up to when its services were read),
    `tenants`, what runs have concluded, `link_history` (every version of customer_identities), and what the services have
    as `present_<lake name>`, records that are set aside too.
    """
    for statement in (_CREATE_RETENTION_LIMITS, _CREATE_CANDIDATES, _CREATE_CANDIDATE_IDS, _CREATE_CANDIDATE_RECORDS):
        con.execute(statement)
    did = (_build_recent_activity_query(table) for table in ACTIVITY_TIMES)
    stays = " union all ".join(
        f"({reason})" for reason in (_MEMBERS_SQL, _OPEN_MATTERS_SQL, _OPEN_BOOKINGS_SQL, _OPEN_REVIEWS_SQL, *did)
    )
    return con.sql(f"""
        select tenant_id, owner from quiet anti join ({stays}) using (tenant_id, owner) order by all""").fetchall()


def build_returned_golfers_query(table: Table, rows: str) -> str | None:
    """A query of tenant_id and certificate_id of the golfers who did something since, as relation `rows` has it.

    They are those relation `forgotten` names, with the time up to which they had done nothing.
    """
    if table not in ACTIVITY_TIMES:
        return None
    return " union ".join(
        f"""select f.tenant_id, f.certificate_id from {rows} t
        join forgotten f on f.tenant_id = t.tenant_id and f.service = {mention.service}
            and f.table_name = {mention.table} and f.record_id = {mention.record_id}
        where {GOLFER_TOMBSTONE_CONDITION} and {ACTIVITY_TIMES[table]} > f.forgotten_at - {LATE_DELIVERY_INTERVAL}"""
        for mention in list_record_references(table)
    )


def _build_recent_activity_query(table: Table) -> str:
    """What a service has heard that no run has concluded yet, or that is set aside."""
    return " union all ".join(
        f"""select q.tenant_id, owner from present_{to_lake_name(table)} t
        join quiet_records q on q.tenant_id = t.tenant_id and q.service = {mention.service}
            and q.record_id = {mention.record_id}
        where {_LOCAL_DATE.format(ACTIVITY_TIMES[table])} >= kept_from"""
        for mention in list_record_references(table)
    )
