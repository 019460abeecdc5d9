"""Engagement through SQL: the points of each event, how they fade, and what is no activity of the customer."""

import json
from typing import Any, Final

import pytest
from sqlalchemy import Table

from crm_pipeline.domain.profile_facts.engagement import ENGAGEMENT_GROUPS
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, CLUB, Refreshed, Scene, Values, ago

Row = tuple[Table, Values]
OPENED: Final[Values] = {"kind": "OPENED", "message_id": "A"}
EARNS: Final[dict[str, tuple[str, float, list[Row]]]] = {
    "a round": ("play", 1, [(teetime.booking, {"status": "PLAYED", "tee_time_at": AS_OF})]),
    "a booking": ("play", 0.5, [(teetime.booking, {"booked_at": AS_OF, "tee_time_at": ago(-9)})]),
    "a no-show": ("play", 0.5, [(teetime.booking, {"status": "NO_SHOW", "booked_at": AS_OF})]),
    "a competition": ("play", 1.5, [(teetime.competition_entry, {"entered_at": AS_OF})]),
    "one played too": ("play", 1.5, [(teetime.competition_entry, {"entered_at": AS_OF, "played_at": AS_OF})]),
    "a handicap": ("play", 0.5, [(teetime.handicap_update, {"recorded_at": AS_OF})]),
    "a payment": ("spend", 1, [(scl.payment, {"status": "SETTLED", "amount_cents": 1, "paid_at": AS_OF})]),
    "a click": ("message", 1, [(messaging.message_event, {"kind": "CLICKED", "occurred_at": AS_OF})]),
    "a response": ("message", 1.5, [(crm.campaign_interaction, {"kind": "RESPONDED", "occurred_at": AS_OF})]),
    "an open": ("message", 0.25, [(messaging.message_event, {**OPENED, "occurred_at": AS_OF})] * 2),
    "a round of a month ago": ("play", 0.5, [(teetime.booking, {"status": "PLAYED", "tee_time_at": ago(30)})]),
    "a click of two months ago": (
        "message",
        0.25,
        [(messaging.message_event, {"kind": "CLICKED", "occurred_at": ago(60)})],
    ),
    "a payment of a quarter ago": (
        "spend",
        0.5,
        [(scl.payment, {"status": "SETTLED", "amount_cents": 1, "paid_at": ago(90)})],
    ),
}
"""The group, what the sum of its weights is, and the rows."""

EARNS_NOTHING: Final[dict[str, list[Row]]] = {
    "a send": [(messaging.message_event, {"kind": "SENT", "occurred_at": AS_OF})],
    "a machine's open": [(messaging.message_event, {**OPENED, "is_machine_open": True, "occurred_at": AS_OF})],
    "a refund": [(scl.payment, {"kind": "REFUND", "status": "SETTLED", "amount_cents": 1, "paid_at": AS_OF})],
    "an empty payment": [(scl.payment, {"status": "SETTLED", "amount_cents": 0, "paid_at": AS_OF})],
    "a fee asked for": [(scl.payment, {"status": "PENDING", "amount_cents": 1, "due_at": AS_OF})],
    "a cancelled booking": [(teetime.booking, {"status": "CANCELLED", "booked_at": AS_OF, "updated_at": AS_OF})],
    "an enquiry": [(crm.campaign_interaction, {"kind": "ENQUIRED", "occurred_at": AS_OF})],
    "a form": [(crm.campaign_interaction, {"kind": "FORM_SUBMITTED", "occurred_at": AS_OF})],
    "unsubscribing": [(crm.campaign_interaction, {"kind": "UNSUBSCRIBED", "occurred_at": AS_OF})],
    "a note and a tag": [(crm.note, {"created_at": AS_OF}), (crm.profile_tag, {"added_at": AS_OF})],
    "a referral": [(crm.referral, {"occurred_at": AS_OF, "referred_profile_id": "a friend"})],
    "joining": [(scl.member, {"joined_at": AS_OF}), (scl.tier_change, {"changed_at": AS_OF})],
    "becoming a lead": [(crm.lead, {"created_at": AS_OF})],
}


@pytest.fixture(scope="module")
def run() -> Refreshed:
    scene = Scene()
    stories = {who: rows for who, (*_, rows) in EARNS.items()} | EARNS_NOTHING
    for who, rows in stories.items():
        scene.add(teetime.player, who)
        for table, values in rows:
            scene.add(table, who, **values)
    return scene.refresh()


def points(profile: Values) -> dict[str, float]:
    """Returns the points earned, by habit."""
    earned: dict[str, Any] = json.loads(profile["engagement_reasons"])
    return {habit: value for habit, value in earned.items() if value}


@pytest.mark.parametrize("who", EARNS)
def test_an_event_earns_by_its_weight_and_age(run: Refreshed, who: str) -> None:
    habit, weight, _ = EARNS[who]
    [group] = [group for group in ENGAGEMENT_GROUPS if group.name == habit]
    expected = group.cap * (1 - 2 ** (-weight / group.half_saturation))
    assert points(run.profiles[who]).get(habit) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("who", EARNS_NOTHING)
def test_what_the_customer_did_not_do_is_no_activity(run: Refreshed, who: str) -> None:
    profile = run.profiles[who]
    assert (points(profile), profile["engagement_score"]) == ({}, 0)
    assert (profile["last_activity_at"], profile["activity_count_30d"], profile["booking_count_30d"]) == (None, 0, 0)


def test_an_open_is_engagement_but_no_activity(run: Refreshed) -> None:
    assert run.profiles["an open"]["last_activity_at"] is None


def test_any_consent_is_worth_five() -> None:
    scene = Scene()
    for channel in ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in"):
        scene.add(messaging.contact, channel, **{channel: True})
    assert all(points(profile) == {"consent": 5.0} for profile in scene.refresh().profiles.values())


def test_membership_is_worth_ten_or_five() -> None:
    scene = Scene()
    for status in ("PENDING", "ACTIVE", "OVERDUE", "SUSPENDED", "LAPSED", "RESIGNED"):
        scene.add(scl.member, status, membership_status=status, ended_at=ago(-1))
    earned = {who: points(p).get("membership") for who, p in scene.refresh().profiles.items()}
    none = dict.fromkeys(("PENDING", "LAPSED", "RESIGNED"))
    assert earned == none | {"ACTIVE": 10.0, "OVERDUE": 5.0, "SUSPENDED": 5.0}


def test_clubs_do_not_mix() -> None:
    """Two clubs that use the same ids: each counts its own."""
    scene = Scene()
    scene.tenant("other")
    for tenant, times in ((CLUB, 1), ("other", 2)):
        for number in range(times):
            played = {"id": f"round {number}", "status": "PLAYED", "tee_time_at": AS_OF, "player_id": "same"}
            scene.add(teetime.booking, f"player of {tenant}", tenant_id=tenant, **played)
    counts = {who: p["activity_count_30d"] for who, p in scene.refresh().profiles.items()}
    assert counts == {f"player of {CLUB}": 1, "player of other": 2}
