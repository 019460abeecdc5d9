"""The profiles, timeline events and quarantined rows that an hour's dirty rows affect.

A profile is affected by its dirty rows, by changes of its identity, and by profiles it is scored on. All its events are
rebuilt, and so are events linked to a dirty row: settled bookings, payments that are fees or not, first openings of a
message, referrals.
Too many affected profiles cost time; a missing one is an error. A new local day is a full refresh, see `watermarks.py`.
"""

from collections.abc import Sequence
from typing import Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.ingest.text_cleaning import build_id_number_sql
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import SHORT_TEXT_LENGTH
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, scl

SCORE_SOURCE_TABLES: Final = (*PERSON_TABLES.values(), scl.payment, crm.profile_tag)
"""The source tables that scores read directly, next to timeline events."""

IS_AFFECTED: Final = "profile_id in (select profile_id from affected_profiles)"
"""The condition on rows with a profile_id that the profile is affected. Profile ids are unique across tenants."""

AFFECTED_PROFILES_SQL: Final = """
    create or replace temp table affected_profiles as
    with directly_affected as (
        select tenant_id, profile_id from customer_identities
        semi join dirty_records d on d.tenant_id = customer_identities.tenant_id
            and d.service = customer_identities.service and d.record_id = service_record_id
        union select tenant_id, record_id from dirty_records where service = ''
        union select tenant_id, profile_id from changed_customer_identities
        union select tenant_id, profile_id from changed_profile_ids
        union select tenant_id, redirects_to from changed_profile_ids where redirects_to is not null
        union select tenant_id, profile_id from changed_withheld_consents
    )
    select tenant_id, profile_id from (
        from directly_affected
        union select tenant_id, target from directly_affected join profile_targets using (tenant_id, profile_id))
    semi join profile_ids using (tenant_id, profile_id)"""
"""Creates `affected_profiles`: affected ids, the ids they redirect to, and without ids that were never assigned."""

EVENT_AFFECTED_PROFILES_SQL: Final = """
    insert into affected_profiles
    select tenant_id, profile_id from changed_customer_timeline
    union
    select t.tenant_id, profile_id from customer_timeline t join watermarks using (tenant_id)
    where counts_as is not null
        and occurred_at > worked_at - recent_window() and occurred_at <= as_of() - recent_window()
    union
    select t.tenant_id, profile_id from customer_timeline t join watermarks using (tenant_id)
    where visit_kind = 'CANCELLED' and visit_at > worked_at and visit_at <= as_of() + clock_tolerance()"""

REFERRALS_SQL: Final = """
    create or replace temp table referrals as
    select *, details ->> 'referred_profile_id' as referred_profile_id
    from customer_timeline where event_type = 'REFERRAL'"""

AFFECTED_REFERRERS_SQL: Final = """
    insert into affected_profiles
    select tenant_id, profile_id from referrals
    where referred_profile_id in (select profile_id from affected_profiles)"""

REQUIRED_PROFILES_SQL: Final = f"""
    create or replace temp table required_profiles as
    from affected_profiles union
    select tenant_id, referred_profile_id from referrals where {IS_AFFECTED}"""


_IS_OF_DIRTY_ROW: Final = """
    (tenant_id, split_part(event_id, ':', 2), service_record_id) in (
        select (tenant_id, table_name, record_id) from dirty_rows)"""

IS_REBUILT: Final = f"({IS_AFFECTED} or {_IS_OF_DIRTY_ROW})"
"""The condition on rows of customer_timeline that they are rebuilt."""

REBUILT_EVENTS_SQL: Final = f"""
    create or replace temp table rebuilt_events as
    select tenant_id, event_id, _row_hash from customer_timeline where {IS_AFFECTED}
    union
    select tenant_id, event_id, _row_hash from (
        -- Filter by record id first: few rows match. Then check the table.
        select tenant_id, event_id, service_record_id, _row_hash
        from customer_timeline semi join dirty_rows on record_id = service_record_id
    ) where {_IS_OF_DIRTY_ROW}"""
"""Creates temp table `rebuilt_events` (tenant_id, event_id, _row_hash): the stored events that are rebuilt."""

_PLAYER_BOOKINGS_SQL: Final = """
    create or replace temp table player_bookings as
    select tenant_id, id from present_teetime_booking where (tenant_id, player_id) in (
        select (tenant_id, record_id) from required_records where service = 'TEETIME'
        union select (tenant_id, record_id) from dirty_records where service = 'TEETIME')"""
"""Creates temp table `player_bookings`: the bookings of players who are affected, or may be valid or not since."""

# In this order: payments whose member's fee changed, the bookings of all dirty payments, the payments of all bookings.
_LINKED_DIRTY_ROWS_QUERIES: Final = (
    """select tenant_id, 'Payment', id from present_scl_payment where (tenant_id, member_id) in (
        select (tenant_id, id) from changed_scl_member
        group by tenant_id, id having count(distinct coalesce(cast(yearly_fee_cents as varchar), '')) > 1)""",
    """select tenant_id, 'Booking', booking_id from changed_scl_payment where booking_id is not null""",
    # The validity of a payment depends on its member and on the hour; whether it is its booking's, on who the payer is.
    """select tenant_id, 'Booking', booking_id from present_scl_payment p where booking_id is not null and (
        (tenant_id, cast(member_id as varchar)) in (
            select (tenant_id, record_id) from dirty_records where service = 'SCL'
            union select (tenant_id, record_id) from required_records where service = 'SCL')
        or (tenant_id, id) in (select (tenant_id, record_id) from dirty_rows where table_name = 'Payment'))""",
    """select tenant_id, 'Payment', id from present_scl_payment where (tenant_id, booking_id) in (
        select (tenant_id, record_id) from dirty_rows where table_name = 'Booking'
        union select (tenant_id, id) from player_bookings)""",
    """select tenant_id, 'MessageEvent', id from present_messaging_message_event
    semi join dirty_messages using (tenant_id, contact_id, message_id) where kind = 'OPENED'""",
    """select r.tenant_id, 'Referral', id from present_crm_referral r
    semi join changed_profile_ids c on c.tenant_id = r.tenant_id and c.profile_id = r.referred_profile_id""",
)

_BOOKING_NUMBERS_SQL: Final = f"""
    create or replace temp table booking_numbers as
    with player_numbers as (
        select tenant_id, {build_id_number_sql("id")} as number from player_bookings where number is not null)
    select distinct tenant_id, {build_id_number_sql("record_id")} as number
    from dirty_rows where table_name = 'Booking' and number is not null
    union
    select tenant_id, {build_id_number_sql("booking_id")} as number
    from present_scl_payment where (tenant_id, number) in (select (tenant_id, number) from player_numbers)"""
_SAME_NUMBER_QUERIES: Final = tuple(
    f"""select tenant_id, '{table}', id from {rows}
        where (tenant_id, {build_id_number_sql(booking_id)}) in (select (tenant_id, number) from booking_numbers)"""
    for table, rows, booking_id in (
        ("Booking", "present_teetime_booking", "id"),
        ("Payment", "present_scl_payment", "booking_id"),
    )
)
"""Selects bookings that are the same number as one of `booking_numbers`, and the payments that name any of them."""

# A temp table, so that DuckDB knows how few rows it has. Dirty events without a change are those whose time has come.
# Of a profile's contacts only the first to open a message counts.
_DIRTY_MESSAGES_SQL: Final = """
    create or replace temp table dirty_messages as
    select tenant_id, contact_id, message_id from changed_messaging_message_event
    union select tenant_id, contact_id, message_id from present_messaging_message_event semi join (
        select tenant_id, record_id as id from dirty_rows where table_name = 'MessageEvent'
        except select tenant_id, id from changed_messaging_message_event) using (tenant_id, id);
    insert into dirty_messages
    select distinct d.tenant_id, other.service_record_id, message_id
    from dirty_messages d
    join customer_identities own on own.tenant_id = d.tenant_id and own.service = 'MESSAGING'
        and own.service_record_id = d.contact_id
    join customer_identities other on other.tenant_id = d.tenant_id and other.service = 'MESSAGING'
        and other.profile_id = own.profile_id"""


def find_affected_profiles(con: DuckDBPyConnection) -> None:
    """Creates temp table `affected_profiles` (tenant_id, profile_id): those with dirty records or a changed identity.

    Reads: `dirty_records`, customer_identities, profile_ids, their changed rows and those of withheld_consents, and
        profile_targets.
    """
    con.execute(AFFECTED_PROFILES_SQL)


def add_event_affected_profiles(con: DuckDBPyConnection) -> None:
    """Adds to `affected_profiles` the profiles whose scores can change because of timeline events.

    These have changed events, have events that left the recent window, had cancelled a tee time that has come, or
    referred an affected profile.

    Reads: `affected_profiles`, `watermarks`, customer_timeline and its changed rows.
    Creates: temp tables `referrals` (the REFERRAL events, with referred_profile_id) and `required_profiles` (tenant_id,
        profile_id): affected profiles and the profiles they referred, whose events scores read.
    """
    con.execute(EVENT_AFFECTED_PROFILES_SQL)
    con.execute(REFERRALS_SQL)
    con.execute(AFFECTED_REFERRERS_SQL)
    con.execute(REQUIRED_PROFILES_SQL)


def add_linked_dirty_rows(con: DuckDBPyConnection) -> None:
    """Adds to `dirty_rows` the rows whose events change because of dirty rows they are linked to.

    Reads: `dirty_rows`, `dirty_records` (of people), `required_records`, the changed rows of profile_ids, and the
        present and changed rows of the source tables, see `dirty_rows.py`.
    """
    con.execute(_DIRTY_MESSAGES_SQL)
    con.execute(_PLAYER_BOOKINGS_SQL)
    for query in _LINKED_DIRTY_ROWS_QUERIES:
        con.execute(f"insert into dirty_rows {query}")
    con.execute(_BOOKING_NUMBERS_SQL)
    if con.execute("from booking_numbers limit 1").fetchall():
        for query in _SAME_NUMBER_QUERIES:
            con.execute(f"insert into dirty_rows {query}")


def build_revalidated_condition(tables: Sequence[Table]) -> str:
    """Returns the condition on quarantined_records that a source row of these tables was validated again or is gone."""
    ids = " union ".join(
        f"""select tenant_id, '{table.name}', left(cast(id as varchar), {SHORT_TEXT_LENGTH})
            from {prefix}_{to_lake_name(table)}"""
        for table in tables
        for prefix in ("required", "changed")
    )
    revalidated_ids = (
        f"select (tenant_id, table_name, record_id) from ({ids}) as ids (tenant_id, table_name, record_id)"
    )
    return f"service_record_id is null or (tenant_id, table_name, service_record_id) in ({revalidated_ids})"
