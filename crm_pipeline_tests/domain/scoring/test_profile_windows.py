"""Time and money: windows exact to the second, ages in the club's own days, and what adds to lifetime value."""

from datetime import UTC, datetime, timedelta

import pytest

from crm_pipeline.tables.sources import messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import ANN, AS_OF, Scene, Values, ago

LOS_ANGELES, NEW_YORK, LONDON, AUCKLAND = (
    "America/Los_Angeles",
    "America/New_York",
    "Europe/London",
    "Pacific/Auckland",
)
MOMENT = timedelta(microseconds=1)
IN_WINDOW = {
    "30 days": (ago(30), False),
    "a moment less": (ago(30) + MOMENT, True),
    "30 days and a second": (ago(30, 1), False),
    "now": (AS_OF, True),
    "clock 5 min fast": (ago(0, -300), True),
    "clock 6 min fast": (ago(0, -360), False),
}
AGES = {
    "west, still yesterday": (LOS_ANGELES, "2026-03-31T06:59:59", 1),
    "west, today": (LOS_ANGELES, "2026-03-31T07:00:00", 0),
    "east, already tomorrow": (AUCKLAND, "2026-03-31T11:00:00", 0),
    "east, yesterday": (AUCKLAND, "2026-03-31T10:59:59", 1),
    "before clocks went forward": (LONDON, "2026-03-28T23:59:59", 3),
    "the short day": (LONDON, "2026-03-29T00:00:00", 2),
    "after clocks went forward": (LONDON, "2026-03-29T23:00:00", 1),
    "winter time in autumn": (NEW_YORK, "2025-11-02T04:00:00", 149),
    "the long day's end": (NEW_YORK, "2025-11-03T04:59:59", 149),
    "leap day": ("UTC", "2024-02-29T23:59:59", 761),
    "after leap day": ("UTC", "2024-03-01T00:00:00", 760),
}
"""Club's time zone, UTC time of a round, its age in whole local days."""


def test_thirty_days_are_exact_to_the_moment() -> None:
    scene = Scene(timezone=LONDON)  # where an hour of March is missing
    for who, (at, _) in IN_WINDOW.items():
        scene.add(messaging.message_event, who, kind="CLICKED", occurred_at=at)
        scene.add(teetime.booking, who, booked_at=at, tee_time_at=ago(-7))
    profiles = scene.refresh().profiles
    counts = {who: (profiles[who]["activity_count_30d"], profiles[who]["booking_count_30d"]) for who in IN_WINDOW}
    assert counts == {who: (2, 1) if is_in else (0, 0) for who, (_, is_in) in IN_WINDOW.items()}


def test_bookings_count_when_booked_and_unless_cancelled() -> None:
    scene = Scene()
    for status in ("BOOKED", "PLAYED", "NO_SHOW", "CANCELLED"):
        scene.add(teetime.booking, status, status=status, booked_at=ago(1), tee_time_at=ago(0))
        scene.add(teetime.booking, f"long {status}", status=status, booked_at=ago(40), tee_time_at=ago(0))
    profiles = scene.refresh().profiles
    counts = {who: p["booking_count_30d"] for who, p in profiles.items() if p["booking_count_30d"]}
    assert counts == {"BOOKED": 1, "PLAYED": 1, "NO_SHOW": 1}
    assert [profiles[who]["activity_count_30d"] for who in ("PLAYED", "long PLAYED", "CANCELLED")] == [1, 1, 0]


def test_ages_are_whole_days_of_the_club() -> None:
    scene = Scene()
    for who, (zone, at, _) in AGES.items():
        scene.tenant(who, zone)
        played = datetime.fromisoformat(at).replace(tzinfo=UTC)
        scene.add(teetime.booking, who, tenant_id=who, status="PLAYED", tee_time_at=played)
    scene.refresh()
    ages = {who: scene.fact("last_transaction_age", profile=who)[0] for who in AGES}
    assert ages == {who: age for who, (_, _, age) in AGES.items()}


def test_an_hour_within_a_day_changes_no_score() -> None:
    scene = Scene()
    scene.add(teetime.booking, status="PLAYED", tee_time_at=ago(40), price_cents=4_500, paid_at=ago(40))
    scene.add(messaging.message_event, kind="CLICKED", occurred_at=ago(35))
    noon, midnight, next_day = (scene.refresh(AS_OF + timedelta(hours=h)).profiles[ANN] for h in (0, 11.99, 12))
    assert midnight | {"updated_at": noon["updated_at"]} == noon
    assert next_day["engagement_reasons"] != noon["engagement_reasons"]


@pytest.mark.parametrize(
    ("refunded", "value", "reported"),
    [([], 4_500, False), ([4_500], 0, False), ([4_500, 1], 0, True), ([1_000, 500], 3_000, False)],
)
def test_refunds_remove_money_but_never_the_visit(refunded: list[int], value: int, reported: bool) -> None:
    scene = Scene()
    settled: Values = {"status": "SETTLED", "paid_at": ago(40)}
    scene.add(scl.payment, id="fee", amount_cents=4_500, **settled)
    for cents in refunded:
        scene.add(scl.payment, kind="REFUND", refund_of_id="fee", amount_cents=cents, **settled)
    profile = scene.profile()
    assert (profile["lifetime_value"], profile["lifecycle_stage"]) == (value, "CUSTOMER")
    assert scene.fact("visit_days", "net_value") == (1, 4_500 - sum(refunded))
    assert scene.negative_totals() == ([ANN] if reported else [])


def test_only_settled_money_of_the_clubs_currency_counts() -> None:
    scene = Scene()
    paid: Values = {"amount_cents": 100, "paid_at": ago(1)}
    scene.add(scl.payment, "settled", status="SETTLED", **paid)
    scene.add(scl.payment, "pending", status="PENDING", **paid)
    scene.add(scl.payment, "failed", status="FAILED", **paid)
    scene.add(scl.payment, "dollars", id="dollars", status="SETTLED", currency="USD", **paid)
    scene.add(scl.payment, "no time", id="no time", status="SETTLED", amount_cents=100)
    scene.add(scl.payment, "nothing", status="SETTLED", amount_cents=0, paid_at=ago(1))
    profiles = scene.refresh().profiles
    found = {who: (p["lifetime_value"], p["lifecycle_stage"]) for who, p in profiles.items()}
    assert found.pop("settled") == (100, "CUSTOMER")
    assert set(found.values()) == {(0, "LEAD")}
    problems = [("dollars", "currency:WRONG_CURRENCY"), ("no time", "paidAt:MISSING_VALUE")]
    assert scene.find_quarantined(scl.payment) == problems
    assert {p["currency"] for p in profiles.values()} == {"EUR"}
