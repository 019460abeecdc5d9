"""What counts once, what money a booking is, which clock is right, and whose profile a CRM row is about."""

import json
from datetime import timedelta
from typing import Any

import pytest

from crm_pipeline.domain.timeline.events import ORPHANED_PAYMENTS_SQL
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, Scene, Values, ago, stage_changed

PAID: dict[str, Any] = {"price_cents": 4_500, "paid_at": ago(3)}


def of_type(scene: Scene, *event_types: str) -> dict[str, Values]:
    """Returns the events of these types by the id of their record."""
    return {event["service_record_id"]: event for event in scene.timeline() if event["event_type"] in event_types}


def test_booking_money_counts_once_and_only_where_it_stayed() -> None:
    scene = Scene()
    for id_ in ("own", "by ledger", "ledger pending", "ledger failed", "ledger refunds"):
        scene.add(teetime.booking, id=id_, **PAID)
    scene.add(teetime.booking, id="unpaid", price_cents=4_500)
    scene.add(teetime.booking, id="free", price_cents=0, paid_at=ago(3))
    scene.add(teetime.booking, id="no price", paid_at=ago(3))
    scene.add(teetime.booking, id="cancelled", status="CANCELLED", **PAID)
    scene.add(teetime.booking, id="no-show", status="NO_SHOW", **PAID)
    ledger: Values = {"amount_cents": 4_000, "paid_at": ago(2)}
    scene.add(scl.payment, id="A", status="SETTLED", booking_id="by ledger", **ledger)
    scene.add(scl.payment, id="B", status="PENDING", booking_id="ledger pending", **ledger)
    scene.add(scl.payment, id="C", status="FAILED", booking_id="ledger failed", **ledger)
    scene.add(scl.payment, id="D", status="SETTLED", kind="REFUND", booking_id="ledger refunds", **ledger)
    money = {id_: event["amount_cents"] for id_, event in of_type(scene, "PAYMENT", "REFUND").items()}
    own = dict.fromkeys(("own", "ledger pending", "ledger failed", "ledger refunds", "no-show"), 4_500)
    assert money == own | {"A": 4_000, "D": -4_000}


@pytest.mark.parametrize(
    ("bookings", "named", "settled"),
    [
        (("70001",), "70001", "70001"),
        (("70001",), "070001", "70001"),
        (("0070001",), "70001", "0070001"),
        (("70001", "070001"), "070001", "070001"),  # the text comes first
        (("70001", "0070001"), "070001", None),  # two have the number
        (("70001",), "70002", None),
        (("b-7",), "b-07", None),
    ],
)
def test_a_payment_names_a_booking_by_its_text_or_else_by_its_number(
    bookings: tuple[str, ...], named: str, settled: str | None
) -> None:
    scene = Scene()
    for id_ in bookings:
        scene.add(teetime.booking, id=id_, **PAID)
    scene.add(scl.payment, id="A", status="SETTLED", booking_id=named, amount_cents=4_000, paid_at=ago(2))
    paid = of_type(scene, "PAYMENT")
    assert paid.keys() == {"A", *bookings} - {settled}
    orphans = scene.con.sql(f"select service_record_id, column_name from ({ORPHANED_PAYMENTS_SQL})").fetchall()
    assert orphans == ([] if settled else [("A", "bookingId")])


def test_another_clubs_ledger_settles_nothing() -> None:
    scene = Scene()
    scene.tenant("other")
    scene.add(teetime.booking, id="own", **PAID)
    settled = {"amount_cents": 4_000, "paid_at": ago(2), "status": "SETTLED"}
    scene.add(scl.payment, "zoe", tenant_id="other", id="theirs", booking_id="own", **settled)
    assert of_type(scene, "PAYMENT").keys() == {"own", "theirs"}


def test_a_booking_is_one_event_in_counts() -> None:
    scene = Scene()
    for status in ("BOOKED", "PLAYED", "NO_SHOW", "CANCELLED"):
        scene.add(teetime.booking, id=status, status=status, booked_at=ago(9), tee_time_at=ago(2))
    scene.add(teetime.booking, id="checked in early", status="PLAYED", booked_at=ago(9), tee_time_at=ago(-0.1))
    counted = {
        (e["service_record_id"], e["counts_as"], e["occurred_at"])
        for e in scene.timeline()
        if e["counts_as"] in ("BOOKED", "ROUND_PLAYED")
    }
    booked = {(id_, "BOOKED", ago(9)) for id_ in ("BOOKED", "NO_SHOW", "checked in early")}
    assert counted == booked | {("PLAYED", "ROUND_PLAYED", ago(2))}


def test_a_competition_counts_once_when_played_or_else_when_entered() -> None:
    scene = Scene()
    for id_, played_at in (("played", ago(1)), ("not yet", ago(-1)), ("no day", None)):
        scene.add(teetime.competition_entry, id=id_, entered_at=ago(8), played_at=played_at)
    counted = {e["service_record_id"]: e["event_type"] for e in scene.timeline() if e["counts_as"] == "COMPETITION"}
    entered = "COMPETITION_ENTERED"
    assert counted == {"played": "COMPETITION_PLAYED", "not yet": entered, "no day": entered}


def test_cancelled_when_first_seen_cancelled() -> None:
    scene = Scene()
    later = scene.add(teetime.booking, status="CANCELLED", updated_at=ago(1))
    for status, days in (("BOOKED", 9), ("CANCELLED", 5), ("CANCELLED", 3)):
        scene.was(later, status=status, updated_at=ago(days), player_id="ann")
    revived = scene.add(teetime.booking, status="BOOKED", updated_at=ago(1))
    scene.was(revived, status="CANCELLED", updated_at=ago(5), player_id="ann")
    assert [(id_, e["occurred_at"]) for id_, e in of_type(scene, "BOOKING_CANCELLED").items()] == [(later, ago(5))]


def test_only_a_persons_first_open_of_a_message_counts() -> None:
    scene = Scene()
    for id_, message, days, machine in (
        ("scanner", "A", 9, True),
        ("second", "A", 7, False),
        ("first", "A", 8, False),
        ("other message", "B", 6, False),
        ("only a scanner", "C", 5, True),
        ("tie 1", "D", 4, False),
        ("tie 2", "D", 4, False),
    ):
        how: Values = {"message_id": message, "is_machine_open": machine, "occurred_at": ago(days)}
        scene.add(messaging.message_event, id=id_, kind="OPENED", **how)
    opened = of_type(scene, "MESSAGE_OPENED")
    counted = {id_ for id_, event in opened.items() if event["counts_as"] == "OPEN"}
    assert len(opened) == 7
    assert counted == {"first", "other message", "tie 1"}
    assert opened["scanner"]["summary"] == "Opened an email (by a machine)"


def test_a_message_is_opened_once_by_a_person_whichever_contact_opened_it() -> None:
    scene = Scene()
    for contact, profile in (("at home", "ann"), ("at work", "ann"), ("ben", "ben")):
        scene.add(messaging.contact, profile, id=contact)
    for id_, contact, message, days in (
        ("later", "at home", "A", 7),
        ("first", "at work", "A", 8),
        ("of somebody else", "ben", "A", 9),
        ("tie 2", "at work", "B", 4),
        ("tie 1", "at home", "B", 4),
        ("alone", "at work", "C", 3),
    ):
        how: Values = {"contact_id": contact, "message_id": message, "occurred_at": ago(days)}
        scene.add(messaging.message_event, "ben" if contact == "ben" else "ann", id=id_, kind="OPENED", **how)
    opened = of_type(scene, "MESSAGE_OPENED")
    counted = {id_ for id_, event in opened.items() if event["counts_as"] == "OPEN"}
    assert (len(opened), counted) == (6, {"first", "of somebody else", "tie 1", "alone"})


def test_a_member_who_joins_later_is_created_then() -> None:
    scene = Scene()
    for who, joined in (("now", AS_OF), ("in a second", ago(0, -1)), ("next month", ago(-30))):
        scene.add(scl.member, who, joined_at=joined)
    assert [event["profile_id"] for event in scene.timeline()] == ["now"]
    scene.as_of = ago(0, -1)
    assert [event["profile_id"] for event in scene.timeline()] == ["now", "in a second"]
    assert scene.find_quarantined(scl.member) == []


def test_what_an_event_says_of_visits() -> None:
    scene = Scene()
    for id_, values in VISIT_BOOKINGS.items():
        scene.add(teetime.booking, id=id_, **({"booked_at": ago(20), "tee_time_at": ago(10)} | values))
    ledger: Values = {"amount_cents": 4_000, "paid_at": ago(2), "status": "SETTLED"}
    for id_ in ("played", "not marked", "to come", "missed", "cancelled"):
        scene.add(scl.payment, id=f"for {id_}", booking_id=id_, **ledger)
    scene.add(scl.payment, "ben", id="for another's", booking_id="paid by ben", **ledger)
    scene.add(scl.payment, id="fee", due_at=ago(9), **ledger)
    scene.add(scl.payment, id="else", **ledger)
    scene.add(scl.payment, id="nothing", **(ledger | {"amount_cents": 0}))
    scene.add(scl.payment, id="back", kind="REFUND", **ledger)
    events = [e for e in scene.timeline() if e["event_type"] in ("BOOKING_MADE", "PAYMENT", "REFUND", "ROUND_PLAYED")]
    said = {(e["event_type"], e["service_record_id"]): (e["visit_kind"], e["visit_at"]) for e in events}
    assert said == {
        ("BOOKING_MADE", "played"): (None, None),
        ("ROUND_PLAYED", "played"): (None, None),
        ("BOOKING_MADE", "not marked"): ("BOOKED_PAID", ago(10)),
        ("BOOKING_MADE", "to come"): ("BOOKED_PAID", ago(-10)),
        ("BOOKING_MADE", "paid by ben"): ("BOOKED_PAID", ago(10)),
        ("BOOKING_MADE", "not paid"): ("BOOKED", ago(10)),
        ("BOOKING_MADE", "missed"): (None, None),
        ("BOOKING_MADE", "cancelled"): ("CANCELLED", ago(10)),
        ("BOOKING_MADE", "paid itself"): ("BOOKED_PAID", ago(10)),
        ("PAYMENT", "paid itself"): ("BOOKING_PAYMENT", ago(10)),
        ("PAYMENT", "for played"): ("BOOKING_PAYMENT", ago(10)),
        ("PAYMENT", "for not marked"): ("BOOKING_PAYMENT", ago(10)),
        ("PAYMENT", "for to come"): ("BOOKING_PAYMENT", None),
        ("PAYMENT", "for missed"): ("BOOKING_PAYMENT", None),
        ("PAYMENT", "for cancelled"): ("BOOKING_PAYMENT", None),
        ("PAYMENT", "for another's"): ("VISIT", None),
        ("PAYMENT", "fee"): ("FEE", None),
        ("PAYMENT", "else"): ("VISIT", None),
        ("PAYMENT", "nothing"): (None, None),
        ("REFUND", "back"): (None, None),
    }


VISIT_BOOKINGS: dict[str, Values] = {
    "played": {"status": "PLAYED"},
    "not marked": {},
    "to come": {"tee_time_at": ago(-10)},
    "paid by ben": {},
    "not paid": {},
    "missed": {"status": "NO_SHOW"},
    "cancelled": {"status": "CANCELLED", **PAID},
    "paid itself": PAID,
}


def test_clocks_a_little_fast_are_set_back_and_faster_ones_wait() -> None:
    scene = Scene()
    ahead = {"now": 0, "5 min": 300, "5 min 1 s": 301, "24 h": 86_400, "24 h 1 s": 86_401}
    for id_, seconds in ahead.items():
        occurred_at = AS_OF + timedelta(seconds=seconds)
        scene.add(messaging.message_event, id=id_, kind="CLICKED", occurred_at=occurred_at)
    clicks = {id_: event["occurred_at"] for id_, event in of_type(scene, "MESSAGE_CLICKED").items()}
    assert clicks == {"now": AS_OF, "5 min": AS_OF}
    assert scene.find_quarantined(messaging.message_event) == [("24 h 1 s", "occurredAt:FUTURE_TIME")]


def test_what_is_planned_may_lie_ahead_and_is_no_event_yet() -> None:
    scene = Scene()
    scene.add(teetime.booking, booked_at=ago(1), tee_time_at=ago(-90))
    scene.add(teetime.competition_entry, entered_at=ago(1), played_at=ago(-60))
    scene.add(scl.member, renews_on=ago(-300).date(), ended_at=ago(-300), joined_at=ago(1))
    scene.add(scl.payment, status="PENDING", due_at=ago(-20))
    assert [e["event_type"] for e in scene.timeline()] == ["MEMBER_CREATED", "BOOKING_MADE", "COMPETITION_ENTERED"]


def test_crm_rows_follow_redirects() -> None:
    scene = Scene()
    scene.redirect("old", "ann")
    scene.add(teetime.player)
    scene.add(teetime.player, "ben")
    scene.add(crm.note, profile_id="old")
    scene.add(crm.referral, id="by her", referrer_profile_id="old", referred_profile_id="ben")
    scene.add(crm.referral, id="of her", referrer_profile_id="ben", referred_profile_id="old")
    scene.events = stage_changed("old", ago(1))
    events = {(e["event_type"], e["service_record_id"]): e for e in scene.timeline()}
    assert {key: e["profile_id"] for key, e in events.items()} == {
        ("NOTE_ADDED", "1"): "ann",
        ("REFERRAL", "by her"): "ann",
        ("REFERRAL", "of her"): "ben",
        ("STAGE_CHANGED", "old"): "ann",
    }
    assert json.loads(events["REFERRAL", "of her"]["details"]) == {"referred_profile_id": "ann"}
    [event_id] = scene.events.column("event_id").to_pylist()
    assert events["STAGE_CHANGED", "old"]["event_id"] == event_id


@pytest.mark.parametrize("nobody", ["never was", "retired"])
def test_a_crm_row_about_nobody_is_reported_and_no_event(nobody: str) -> None:
    scene = Scene()
    scene.redirect("retired", None)
    scene.lost.add(nobody)
    for table in (crm.note, crm.profile_tag, crm.campaign_interaction):
        scene.add(table, profile_id=nobody)
    scene.add(crm.referral, id="to", referred_profile_id=nobody)
    scene.add(crm.referral, id="by", referrer_profile_id=nobody, referred_profile_id="ann")
    assert scene.timeline() == []
    assert scene.orphans() == [
        ("CampaignInteraction", "1", "profileId"),
        ("Note", "1", "profileId"),
        ("ProfileTag", "1", "profileId"),
        ("Referral", "by", "referrerProfileId"),
        ("Referral", "to", "referredProfileId"),
    ]
