"""Properties of every club: nothing is lost or counted twice, order does not matter, and scores stay in their range."""

import json
import math
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.domain.profile_facts.engagement import EngagementPoints
from crm_pipeline.vocabulary import ChurnBasis, CustomerStatus, LifecycleStage
from crm_pipeline_tests.fixtures.worlds.random_profiles import Row, club, clubs
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, Scene, ago, thorough


def money(scene: Scene) -> list[tuple[int, datetime]]:
    """Returns cents and time of every settled payment and refund, by scores.md read row by row."""
    settled = [row for row in scene.rows["scl_payment"] if row["status"] == "SETTLED"]
    by_ledger = {row["booking_id"] for row in settled if row["kind"] == "PAYMENT"}
    signs = {"PAYMENT": 1, "REFUND": -1}
    return [(signs[row["kind"]] * row["amount_cents"], row["paid_at"]) for row in settled] + [
        (row["price_cents"], row["paid_at"])
        for row in scene.rows["teetime_booking"]
        if row["status"] != "CANCELLED" and row["paid_at"] and row["price_cents"] and row["id"] not in by_ledger
    ]


def acts(scene: Scene) -> list[datetime]:
    """Returns when customers did something, each act once, by scores.md read row by row."""
    bookings = [row for row in scene.rows["teetime_booking"] if row["status"] != "CANCELLED"]
    clicks = [row for row in scene.rows["messaging_message_event"] if row["kind"] == "CLICKED"]
    responses = [row for row in scene.rows["crm_campaign_interaction"] if row["kind"] == "RESPONDED"]
    return [
        *(row["tee_time_at" if row["status"] == "PLAYED" else "booked_at"] for row in bookings),
        *(row["played_at"] for row in scene.rows["teetime_competition_entry"]),
        *(row["recorded_at"] for row in scene.rows["teetime_handicap_update"]),
        *(row["occurred_at"] for row in clicks + responses),
        *(at for cents, at in money(scene) if cents > 0),
    ]


@thorough(12)
@given(clubs)
def test_no_cent_and_no_act_is_lost_or_counted_twice(drawn: tuple[list[Row], str]) -> None:
    scene = club(drawn)
    profiles = scene.refresh().profiles.values()
    net_values = [value for (value,) in scene.con.sql("select net_value from facts").fetchall()]
    assert sum(net_values) == sum(cents for cents, _ in money(scene))
    assert sum(p["lifetime_value"] for p in profiles) == sum(max(0, value) for value in net_values)
    assert len(scene.negative_totals()) == sum(value < 0 for value in net_values)
    assert sum(p["activity_count_30d"] for p in profiles) == sum(ago(30) < at <= AS_OF for at in acts(scene))
    last = max((p["last_activity_at"] for p in profiles if p["last_activity_at"]), default=None)
    assert last == max(acts(scene), default=None)


@thorough(8)
@given(clubs)
def test_two_profiles_made_one_have_the_money_and_the_events_of_both(drawn: tuple[list[Row], str]) -> None:
    apart, merged = club(drawn), club(drawn)
    for link in merged.rows["links"]:
        if link["profile_id"] == "ben":
            link["profile_id"] = "ann"
    ben = next(row for row in merged.rows["profile_ids"] if row["profile_id"] == "ben")
    ben |= {"is_live": False, "redirects_to": "ann"}
    before, after = apart.refresh().profiles, merged.refresh().profiles
    assert after.keys() == before.keys() - {"ben"}
    for count in ("activity_count_30d", "booking_count_30d"):
        assert after["ann"][count] == before["ann"][count] + before["ben"][count]
    nets = [scene.fact("net_value", profile=who)[0] for scene, who in ((apart, "ann"), (apart, "ben"), (merged, "ann"))]
    assert nets[2] == nets[0] + nets[1]
    assert after["ann"]["lifetime_value"] == max(0, nets[2])
    seen = [before[who]["last_activity_at"] for who in ("ann", "ben") if before[who]["last_activity_at"]]
    assert after["ann"]["last_activity_at"] == max(seen, default=None)


@thorough(8)
@given(clubs, st.integers(0, 9))
def test_the_order_of_rows_does_not_matter(drawn: tuple[list[Row], str], order: int) -> None:
    assert club(drawn, order).refresh() == club(drawn).refresh()


@thorough(12)
@given(clubs)
def test_scores_keep_their_range_and_reasons_add_up_to_them(drawn: tuple[list[Row], str]) -> None:
    for profile in club(drawn).refresh().profiles.values():
        points = json.loads(profile["engagement_reasons"])
        assert tuple(points) == EngagementPoints._fields
        assert profile["engagement_score"] == math.floor(0.5 + sum(points.values()))
        assert 0 <= profile["engagement_score"] <= 100
        assert profile["lifetime_value"] >= 0
        assert profile["lifecycle_stage"] in set(LifecycleStage)
        assert profile["status"] in set(CustomerStatus)
        has_signal = profile["churn_basis"] != ChurnBasis.NO_SIGNAL
        assert (profile["churn_risk_score"] is not None) == (profile["churn_reasons"] is not None) == has_signal
        assert 0 <= (profile["churn_risk_score"] or 0) <= 100
        assert (profile["predicted_value_12m"] or 0) >= 0


@thorough(6)
@given(clubs)
def test_event_ids_are_unique_and_a_rerun_changes_nothing(drawn: tuple[list[Row], str]) -> None:
    scene = club(drawn)
    first = scene.refresh()
    assert len({event["event_id"] for event in first.timeline}) == len(first.timeline)
    assert scene.refresh() == first
