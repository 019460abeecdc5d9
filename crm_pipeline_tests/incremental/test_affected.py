"""Events rebuilt in addition to those of dirty rows: events that change because of rows linked to theirs."""

from collections.abc import Iterator

import duckdb
import pytest

from crm_pipeline.incremental.affected import IS_REBUILT, REBUILT_EVENTS_SQL, add_linked_dirty_rows

READ = {
    "present_scl_payment": "tenant_id, id, member_id, booking_id",
    "changed_scl_payment": "tenant_id, id, member_id, booking_id",
    "changed_scl_member": "tenant_id, id, yearly_fee_cents",
    "customer_identities": "tenant_id, service, service_record_id, profile_id",
    "present_teetime_booking": "tenant_id, id, player_id",
    "present_messaging_message_event": "tenant_id, id, contact_id, message_id, kind",
    "changed_messaging_message_event": "tenant_id, id, contact_id, message_id",
    "present_crm_referral": "tenant_id, id, referrer_profile_id, referred_profile_id",
    "changed_profile_ids": "tenant_id, profile_id, redirects_to",
    "dirty_records": "tenant_id, service, record_id",
    "dirty_rows": "tenant_id, table_name, record_id",
    "required_records": "tenant_id, service, record_id",
    "affected_profiles": "tenant_id, profile_id",
}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        for name, columns in READ.items():
            con.execute(f"create table {name} ({', '.join(f'{column} varchar' for column in columns.split(', '))})")
        # Two clubs use the same ids.
        for club in ("oak", "elm"):
            con.execute(
                f"insert into present_scl_payment values ('{club}', 'pay', '7', 'tee'), ('{club}', 'due', '8', null)"
            )
            con.execute(f"insert into present_scl_payment values ('{club}', 'cart', '9', '070')")
            con.execute(
                f"insert into present_teetime_booking values ('{club}', 'tee', 'ann'), ('{club}', 'sun', 'bob')"
            )
            con.execute(
                f"insert into present_teetime_booking values ('{club}', '70', 'cyd'), ('{club}', '0070', 'dan')"
            )
            for event, contact in (("open 1", "ann"), ("open 2", "ann"), ("open 3", "bob"), ("click", "ann")):
                row = f"('{club}', '{event}', '{contact}', 'news', '{'CLICKED' if event == 'click' else 'OPENED'}')"
                con.execute(f"insert into present_messaging_message_event values {row}")
            con.execute(f"insert into present_crm_referral values ('{club}', 'ref', 'p1', 'p2')")
            for contact, profile in (("ann", "p1"), ("ann at work", "p1"), ("bob", "p2")):
                con.execute(f"insert into customer_identities values ('{club}', 'MESSAGING', '{contact}', '{profile}')")
        yield con


OF_ONE_NUMBER = {("oak", "Booking", "70"), ("oak", "Booking", "0070"), ("oak", "Payment", "cart")}
REBUILT: dict[str, tuple[str | None, set[tuple[str, str, str]]]] = {
    "nothing": (None, set()),
    "the bookings a changed payment settled and settles": (
        "changed_scl_payment values ('oak', 'pay', '7', 'tee'), ('oak', 'pay', '7', 'sun')",
        {("oak", "Booking", "tee"), ("oak", "Booking", "sun"), ("oak", "Payment", "pay")},
    ),
    "the booking of a payment whose member may be valid now": (
        "dirty_records values ('oak', 'SCL', '7')",
        {("oak", "Booking", "tee"), ("oak", "Payment", "pay")},
    ),
    "the booking of a payment whose time has come": (
        "dirty_rows values ('oak', 'Payment', 'pay')",
        {("oak", "Booking", "tee"), ("oak", "Payment", "pay")},
    ),
    "the payment that settles a dirty booking": (
        "dirty_rows values ('oak', 'Booking', 'tee')",
        {("oak", "Booking", "tee"), ("oak", "Payment", "pay")},
    ),
    "the payment that settles an affected player's booking": (
        "required_records values ('oak', 'TEETIME', 'ann')",
        {("oak", "Payment", "pay")},
    ),
    "whatever has the number of a booking that is gone": (
        "dirty_rows values ('oak', 'Booking', '00070')",
        {("oak", "Booking", "00070"), *OF_ONE_NUMBER},
    ),
    "whatever has the number that a changed payment named": (
        "changed_scl_payment values ('oak', 'cart', '9', '070')",
        {("oak", "Booking", "070"), *OF_ONE_NUMBER},
    ),
    "whatever has the number of an affected player's booking": (
        "required_records values ('oak', 'TEETIME', 'cyd')",
        OF_ONE_NUMBER,
    ),
    "whatever has the number of a booking whose player may be valid now": (
        "dirty_records values ('oak', 'TEETIME', 'dan')",
        OF_ONE_NUMBER,
    ),
    "all openings by the contact of a message of which one is gone": (
        "changed_messaging_message_event values ('oak', 'gone', 'ann', 'news')",
        {("oak", "MessageEvent", "open 1"), ("oak", "MessageEvent", "open 2")},
    ),
    "all openings by the contact of a message of which one's time has come": (
        "dirty_rows values ('oak', 'MessageEvent', 'open 1')",
        {("oak", "MessageEvent", "open 1"), ("oak", "MessageEvent", "open 2")},
    ),
    "openings by another contact of the same profile": (
        "changed_messaging_message_event values ('oak', 'new', 'ann at work', 'news')",
        {("oak", "MessageEvent", "open 1"), ("oak", "MessageEvent", "open 2")},
    ),
    "the booking that a payer of another identity pays for, and its payments": (
        "required_records values ('oak', 'SCL', '7')",
        {("oak", "Booking", "tee"), ("oak", "Payment", "pay")},
    ),
    "the payments of a member whose fee changed": (
        "changed_scl_member values ('oak', '8', '100'), ('oak', '8', null), ('elm', '7', '5'), ('elm', '7', '6')",
        {("oak", "Payment", "due"), ("elm", "Payment", "pay"), ("elm", "Booking", "tee")},
    ),
    "no payment of a member who changed otherwise": (
        "changed_scl_member values ('oak', '8', '100'), ('oak', '8', '100'), ('elm', '7', null)",
        set(),
    ),
    "the referral of whoever has another id": (
        "changed_profile_ids values ('oak', 'p2', 'p9')",
        {("oak", "Referral", "ref")},
    ),
}


@pytest.mark.parametrize(("happened", "rebuilt"), REBUILT.values(), ids=REBUILT)
def test_linked_rows_become_dirty(
    con: duckdb.DuckDBPyConnection, happened: str | None, rebuilt: set[tuple[str, str, str]]
) -> None:
    if happened:
        con.execute(f"insert into {happened}")
    add_linked_dirty_rows(con)
    assert set(con.sql("from dirty_rows").fetchall()) == rebuilt


def test_events_of_affected_profiles_and_of_rows_of_that_club_and_table_alone(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("insert into affected_profiles values ('oak', 'p1')")
    con.execute("insert into dirty_rows values ('oak', 'Booking', '5')")
    con.execute("""create table customer_timeline as select * from (values
        ('oak', 'CRM:Note:1:NOTE_ADDED', '1', 'p1', 11), ('oak', 'TEETIME:Booking:5:BOOKING_MADE', '5', 'p2', 12),
        ('oak', 'SCL:Payment:5:PAYMENT', '5', 'p2', 13), ('elm', 'TEETIME:Booking:5:BOOKING_MADE', '5', 'p3', 14)
    ) as events (tenant_id, event_id, service_record_id, profile_id, _row_hash)""")
    rebuilt = [("oak", "CRM:Note:1:NOTE_ADDED", 11), ("oak", "TEETIME:Booking:5:BOOKING_MADE", 12)]
    of_condition = f"select tenant_id, event_id, _row_hash from customer_timeline where {IS_REBUILT}"
    assert sorted(con.sql(of_condition).fetchall()) == rebuilt
    con.execute(REBUILT_EVENTS_SQL)
    assert sorted(con.sql("from rebuilt_events").fetchall()) == rebuilt
