"""The timeline: every kind of event from its row, its profile, its time, and how it counts."""

import json
from decimal import Decimal

import pytest

from crm_pipeline.domain.timeline.events import build_timeline
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline.vocabulary import EventType
from crm_pipeline_tests.fixtures.worlds.scene import ANN, CURRENCY, Scene, Values, ago, stage_changed


def everything() -> Scene:
    """Returns a scene with one row of every kind, all about Ann; her club is in Berlin."""
    scene = Scene(timezone="Europe/Berlin")
    scene.events = stage_changed(ANN, ago(1))
    scene.add(scl.member, joined_at=ago(900), membership_tier="Full")
    scene.add(scl.tier_change, changed_at=ago(60), from_tier="Junior", to_tier="Full")
    scene.add(scl.payment, id="fee", status="SETTLED", amount_cents=120_050, paid_at=ago(50), description="Annual fee")
    scene.add(scl.payment, id="back", kind="REFUND", status="SETTLED", amount_cents=2_000, paid_at=ago(40))
    for status in ("BOOKED", "PLAYED", "CANCELLED", "NO_SHOW"):
        scene.add(
            teetime.booking,
            id=status,
            status=status,
            players=2,
            price_cents=4_500,
            booked_at=ago(20),
            updated_at=ago(15),
            tee_time_at=ago(10),
        )
    scene.add(teetime.booking, id="paid", booked_at=ago(9), tee_time_at=ago(-9), price_cents=4_500, paid_at=ago(8))
    moved = {"handicap": Decimal("11.2"), "previous_handicap": Decimal("11.6")}
    scene.add(teetime.handicap_update, recorded_at=ago(7), **moved)
    cup = {"competition": "Spring Cup", "played_at": ago(6), "position": 3}
    scene.add(teetime.competition_entry, entered_at=ago(14), **cup)
    for kind, channel in (("SENT", "EMAIL"), ("OPENED", "SMS"), ("CLICKED", "WHATSAPP")):
        scene.add(messaging.message_event, id=kind, kind=kind, channel=channel, occurred_at=ago(5))
    scene.add(crm.lead, created_at=ago(950), origin="website")
    scene.add(crm.note, created_at=ago(4), body="Called back,\nprefers Fridays")
    scene.add(crm.profile_tag, tag="vip", added_at=ago(300), removed_at=ago(3))
    for kind in ("RESPONDED", "FORM_SUBMITTED", "ENQUIRED", "UNSUBSCRIBED"):
        scene.add(crm.campaign_interaction, id=kind, kind=kind, occurred_at=ago(2))
    scene.add(crm.referral, referred_profile_id="ben", occurred_at=ago(2.5))
    return scene


EXPECTED: dict[str, tuple[float, str | None, int | None, str]] = {
    "SCL:Member:1:MEMBER_CREATED": (900, None, None, "Joined as Full"),
    "SCL:TierChange:1:TIER_CHANGED": (60, None, None, "Moved from Junior to Full"),
    "SCL:Payment:fee:PAYMENT": (50, "PAYMENT", 120_050, "Paid EUR 1200.50: Annual fee"),
    "SCL:Payment:back:REFUND": (40, None, -2_000, "Refunded EUR 20.00"),
    "TEETIME:Booking:BOOKED:BOOKING_MADE": (20, "BOOKED", None, "Booked a tee time on 21 Mar 2026 13:00 for 2"),
    "TEETIME:Booking:PLAYED:BOOKING_MADE": (20, "PLAYED_BOOKING", None, "Booked a tee time on 21 Mar 2026 13:00 for 2"),
    "TEETIME:Booking:PLAYED:ROUND_PLAYED": (10, "ROUND_PLAYED", None, "Played a round"),
    "TEETIME:Booking:CANCELLED:BOOKING_MADE": (20, None, None, "Booked a tee time on 21 Mar 2026 13:00 for 2"),
    "TEETIME:Booking:CANCELLED:BOOKING_CANCELLED": (15, None, None, "Cancelled a tee time"),
    "TEETIME:Booking:NO_SHOW:BOOKING_MADE": (20, "BOOKED", None, "Booked a tee time on 21 Mar 2026 13:00 for 2"),
    "TEETIME:Booking:NO_SHOW:BOOKING_NO_SHOW": (10, None, None, "Did not show up for a tee time"),
    "TEETIME:Booking:paid:BOOKING_MADE": (9, "BOOKED", None, "Booked a tee time on 9 Apr 2026 14:00 for 0"),
    "TEETIME:Booking:paid:PAYMENT": (8, "PAYMENT", 4_500, "Paid EUR 45.00 for a tee time"),
    "TEETIME:HandicapUpdate:1:HANDICAP_UPDATED": (7, "HANDICAP_UPDATE", None, "Handicap 11.2 (was 11.6)"),
    "TEETIME:CompetitionEntry:1:COMPETITION_ENTERED": (14, None, None, "Entered Spring Cup"),
    "TEETIME:CompetitionEntry:1:COMPETITION_PLAYED": (6, "COMPETITION", None, "Played Spring Cup, position 3"),
    "MESSAGING:MessageEvent:SENT:MESSAGE_SENT": (5, None, None, "Was sent an email"),
    "MESSAGING:MessageEvent:OPENED:MESSAGE_OPENED": (5, "OPEN", None, "Opened an SMS"),
    "MESSAGING:MessageEvent:CLICKED:MESSAGE_CLICKED": (5, "CLICK", None, "Clicked in a WhatsApp message"),
    "CRM:Lead:ann:LEAD_CREATED": (950, None, None, "Became a lead through website"),
    "CRM:Note:1:NOTE_ADDED": (4, None, None, "Note: Called back, prefers Fridays"),
    "CRM:ProfileTag:1:TAG_ADDED": (300, None, None, "Tagged vip"),
    "CRM:ProfileTag:1:TAG_REMOVED": (3, None, None, "Tag vip taken off"),
    "CRM:CampaignInteraction:RESPONDED:CAMPAIGN_RESPONDED": (2, "CAMPAIGN_RESPONSE", None, "Responded to a campaign"),
    "CRM:CampaignInteraction:FORM_SUBMITTED:FORM_SUBMITTED": (2, None, None, "Submitted a form"),
    "CRM:CampaignInteraction:ENQUIRED:ENQUIRY": (2, None, None, "Made an enquiry"),
    "CRM:CampaignInteraction:UNSUBSCRIBED:UNSUBSCRIBED": (2, None, None, "Unsubscribed"),
    "CRM:Referral:1:REFERRAL": (2.5, None, None, "Referred another customer"),
    "CRM:CustomerProfile:ann:STAGE_CHANGED:1774872000000000": (1, None, None, "Stage changed from LEAD to CUSTOMER"),
}
"""For every event: how many days ago, what it counts as, its cents, its words."""


@pytest.fixture(scope="module")
def events() -> dict[str, Values]:
    rows = everything().timeline()
    by_id = {event["event_id"]: event for event in rows}
    assert len(by_id) == len(rows), "an event id is not unique"
    return by_id


@pytest.mark.parametrize("event_id", EXPECTED)
def test_an_event_is_built_from_its_row(events: dict[str, Values], event_id: str) -> None:
    event, (days, counts_as, cents, summary) = events[event_id], EXPECTED[event_id]
    source, _, record_id, event_type, *_ = event_id.split(":")
    assert (event["source"], event["service_record_id"], event["event_type"]) == (source, record_id, event_type)
    assert (event["occurred_at"], event["counts_as"], event["summary"]) == (ago(days), counts_as, summary)
    assert (event["amount_cents"], event["currency"]) == (cents, CURRENCY if cents is not None else None)
    assert event["profile_id"] == ANN


def test_there_is_no_other_event_and_no_kind_is_missing(events: dict[str, Values]) -> None:
    assert events.keys() == EXPECTED.keys()
    assert {event["event_type"] for event in events.values()} == set(EventType)


def test_every_event_says_the_rest_of_its_row_as_json(events: dict[str, Values]) -> None:
    assert all(isinstance(json.loads(event["details"]), dict) for event in events.values())
    assert json.loads(events["CRM:Referral:1:REFERRAL"]["details"]) == {"referred_profile_id": "ben"}


def test_a_stage_change_keeps_its_id_when_rebuilt() -> None:
    scene = everything()
    first = scene.refresh().timeline
    assert scene.refresh().timeline == first


def test_events_of_the_next_day_wait_and_are_counted() -> None:
    scene = Scene()
    for seconds in (0, -300, -301, -86_400):
        scene.add(teetime.handicap_update, id=str(seconds), recorded_at=ago(0, seconds))
    assert len(scene.timeline()) == 2
    assert build_timeline(scene.con) == 2
