"""The profiles, timeline events and quarantined rows that an hour's dirty rows affect.

A profile is affected by its dirty rows, by changes of its identity, and by what it counts of others. All events of an
affected profile are rebuilt. Besides, an event is made of one row and of what links it to others: the bookings that
payments settle, the first opening of a message, whom a referral brought. A row is validated by itself, by the hour and
by the person record it names, so a row keeps its faults unless it or its person is dirty.

Affecting too many costs time; none may be left out. A change of local day affects everybody and is not looked for here.
"""

from collections.abc import Sequence
from typing import Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import SHORT_TEXT_LENGTH
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import crm, scl

SCORE_SOURCE_TABLES: Final = (*PERSON_TABLES.values(), scl.payment, crm.profile_tag)
"""The source tables that scores are made of, besides events."""
IS_AFFECTED: Final = "profile_id in (select profile_id from affected_profiles)"
"""A condition on rows of profiles; no two clubs have an id in common, and ids that never were are in no list."""
AFFECTED_PROFILES_SQL: Final = """
    create or replace temp table affected_profiles as
    with met as (
        select tenant_id, profile_id from customer_identities
        semi join stirred on stirred.tenant_id = customer_identities.tenant_id
            and stirred.service = customer_identities.service and stirred.record_id = service_record_id
        union select tenant_id, record_id from stirred where service = ''
        union select tenant_id, profile_id from changed_customer_identities
        union select tenant_id, profile_id from changed_profile_ids
        union select tenant_id, redirects_to from changed_profile_ids where redirects_to is not null
    )
    select tenant_id, profile_id from (
        from met union select tenant_id, target from met join profile_targets using (tenant_id, profile_id))
    semi join profile_ids using (tenant_id, profile_id)"""

EVENT_AFFECTED_PROFILES_SQL: Final = """
    insert into affected_profiles
    select tenant_id, profile_id from changed_customer_timeline
    union
    select t.tenant_id, profile_id from customer_timeline t join noted using (tenant_id)
    where counts_as is not null and occurred_at > worked_at - recent() and occurred_at <= as_of() - recent()"""
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


def find_affected_profiles(con: DuckDBPyConnection) -> None:
    """Create temp table `affected_profiles` (tenant_id, profile_id): whose records were stirred or are others now.

    Reads `stirred`, customer_identities, its changed rows and those of profile_ids, and profile_targets.
    """
    con.execute(AFFECTED_PROFILES_SQL)


def add_event_affected_profiles(con: DuckDBPyConnection) -> None:
    """Add to `affected_profiles` whose scores can be others for what is, or no longer is, on a timeline.

    Creates `required_profiles` too, those and whom they referred, and `referrals`, the events that say so. Reads
    customer_timeline and its changed rows.
    """
    con.execute(EVENT_AFFECTED_PROFILES_SQL)
    con.execute(REFERRALS_SQL)
    con.execute(AFFECTED_REFERRERS_SQL)
    con.execute(REQUIRED_PROFILES_SQL)


_IS_OF_DIRTY_ROW: Final = """
    (tenant_id, split_part(event_id, ':', 2), service_record_id) in (
        select (tenant_id, table_name, record_id) from dirty_rows)"""
IS_REBUILT: Final = f"({IS_AFFECTED} or {_IS_OF_DIRTY_ROW})"
"""The condition on rows of customer_timeline that they are told anew."""
REBUILT_EVENTS_SQL: Final = f"""
    create or replace temp table rebuilt_events as
    select tenant_id, event_id, _row_hash from customer_timeline where {IS_AFFECTED}
    union
    select tenant_id, event_id, _row_hash from (
        -- Few are of a record of that name, and only of these is asked which table it was in.
        select tenant_id, event_id, service_record_id, _row_hash
        from customer_timeline semi join dirty_rows on record_id = service_record_id
    ) where {_IS_OF_DIRTY_ROW}"""
"""Creates temp table `rebuilt_events`: tenant_id, event_id and _row_hash of those in customer_timeline, as the lake has it."""

_LINKED_DIRTY_ROWS_QUERIES: Final = (
    """select tenant_id, 'Booking', booking_id from changed_scl_payment where booking_id is not null""",
    # Whether a payment is sound depends on its member, and on the hour.
    """select tenant_id, 'Booking', booking_id from present_scl_payment p where booking_id is not null and (
        (tenant_id, cast(member_id as varchar)) in (select (tenant_id, record_id) from stirred where service = 'SCL')
        or (tenant_id, id) in (select (tenant_id, record_id) from dirty_rows where table_name = 'Payment'))""",
    """select tenant_id, 'Payment', id from present_scl_payment where (tenant_id, booking_id) in (
        select (tenant_id, record_id) from dirty_rows where table_name = 'Booking'
        union select (tenant_id, id) from present_teetime_booking where (tenant_id, player_id) in (
            select (tenant_id, record_id) from required_records where service = 'TEETIME'))""",
    """select tenant_id, 'MessageEvent', id from present_messaging_message_event
    semi join dirty_messages using (tenant_id, contact_id, message_id) where kind = 'OPENED'""",
    """select r.tenant_id, 'Referral', id from present_crm_referral r
    semi join changed_profile_ids c on c.tenant_id = r.tenant_id and c.profile_id = r.referred_profile_id""",
)
# A table of its own, so that DuckDB knows how few there are. Those that did not change come of time.
_DIRTY_MESSAGES_SQL: Final = """
    create or replace temp table dirty_messages as
    select tenant_id, contact_id, message_id from changed_messaging_message_event
    union select tenant_id, contact_id, message_id from present_messaging_message_event semi join (
        select tenant_id, record_id as id from dirty_rows where table_name = 'MessageEvent'
        except select tenant_id, id from changed_messaging_message_event) using (tenant_id, id)"""


def add_linked_dirty_rows(con: DuckDBPyConnection) -> None:
    """Add to `dirty_rows` those that are told otherwise for what happened to others.

    Reads besides `stirred` (people's records), `required_records`, and of each table what `stirred` reads.
    """
    con.execute(_DIRTY_MESSAGES_SQL)
    for query in _LINKED_DIRTY_ROWS_QUERIES:
        con.execute(f"insert into dirty_rows {query}")


def build_revalidated_condition(tables: Sequence[Table]) -> str:
    """The condition on quarantined_records that the rows were judged again, or are gone."""
    ids = " union ".join(
        f"select tenant_id, '{table.name}', left(cast(id as varchar), {SHORT_TEXT_LENGTH}) from {which}_{to_lake_name(table)}"
        for table in tables
        for which in ("needed", "changed")
    )
    those = f"select (tenant_id, table_name, record_id) from ({ids}) as ids (tenant_id, table_name, record_id)"
    return f"service_record_id is null or (tenant_id, table_name, service_record_id) in ({those})"
