"""Which events an hour tells anew: those of the source rows that were `stirred`, and all of the touched profiles.

Who somebody is decides about all events of theirs, so that of a person who was `touched` all are told anew. Besides,
an event is made of one row and of what ties it to others: the bookings that payments settle, the first opening of a
message, whom a referral brought. Here: which rows that makes. Not here: what events say.
"""

from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.domain.touched import IS_TOUCHED

_OF_STIRRED_ROWS: Final = """
    (tenant_id, split_part(event_id, ':', 2), service_record_id) in (
        select (tenant_id, table_name, record_id) from stirred_rows)"""
IS_RETOLD: Final = f"({IS_TOUCHED} or {_OF_STIRRED_ROWS})"
"""The condition on rows of customer_timeline that they are told anew."""
RETOLD: Final = f"""
    create or replace temp table retold as
    select tenant_id, event_id, _row_hash from customer_timeline where {IS_TOUCHED}
    union
    select tenant_id, event_id, _row_hash from (
        -- Few are of a record of that name, and only of these is asked which table it was in.
        select tenant_id, event_id, service_record_id, _row_hash
        from customer_timeline semi join stirred_rows on record_id = service_record_id
    ) where {_OF_STIRRED_ROWS}"""
"""Creates temp table `retold`: tenant_id, event_id and _row_hash of those in customer_timeline, as the lake has it."""

_STIRRED_BY_OTHERS: Final = (
    """select tenant_id, 'Booking', booking_id from changed_scl_payment where booking_id is not null""",
    # Whether a payment is sound depends on its member, and on the hour.
    """select tenant_id, 'Booking', booking_id from present_scl_payment p where booking_id is not null and (
        (tenant_id, cast(member_id as varchar)) in (select (tenant_id, record_id) from stirred where service = 'SCL')
        or (tenant_id, id) in (select (tenant_id, record_id) from stirred_rows where table_name = 'Payment'))""",
    """select tenant_id, 'Payment', id from present_scl_payment where (tenant_id, booking_id) in (
        select (tenant_id, record_id) from stirred_rows where table_name = 'Booking'
        union select (tenant_id, id) from present_teetime_booking where (tenant_id, player_id) in (
            select (tenant_id, record_id) from needed_records where service = 'TEETIME'))""",
    """select tenant_id, 'MessageEvent', id from present_messaging_message_event
    semi join stirred_messages using (tenant_id, contact_id, message_id) where kind = 'OPENED'""",
    """select r.tenant_id, 'Referral', id from present_crm_referral r
    semi join changed_profile_ids c on c.tenant_id = r.tenant_id and c.profile_id = r.referred_profile_id""",
)
# A table of its own, so that DuckDB knows how few there are. Those that did not change come of time.
_STIRRED_MESSAGES: Final = """
    create or replace temp table stirred_messages as
    select tenant_id, contact_id, message_id from changed_messaging_message_event
    union select tenant_id, contact_id, message_id from present_messaging_message_event semi join (
        select tenant_id, record_id as id from stirred_rows where table_name = 'MessageEvent'
        except select tenant_id, id from changed_messaging_message_event) using (tenant_id, id)"""


def stir_rows_by_others(con: DuckDBPyConnection) -> None:
    """Add to `stirred_rows` those that are told otherwise for what happened to others.

    Reads besides `stirred` (people's records), `needed_records`, and of each table what `stirred` reads.
    """
    con.execute(_STIRRED_MESSAGES)
    for query in _STIRRED_BY_OTHERS:
        con.execute(f"insert into stirred_rows {query}")
