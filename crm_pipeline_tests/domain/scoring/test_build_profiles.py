"""Profiles from source rows: the worked examples of scores.md, unrounded risks, reasons, status, money."""

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from scipy.special import expit

from crm_pipeline.domain.churn.mbg_nbd import PRIOR, predict_horizon_churn, predict_transactions
from crm_pipeline.domain.churn.renewal import compute_renewal_hazard
from crm_pipeline.domain.churn.risk import to_churn_score
from crm_pipeline.domain.profile_facts.engagement import compute_engagement_points
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, LONG_AGO, Refreshed, Scene, Values, ago

EXAMPLES: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("worked_examples.json").read_text("utf-8"))
ZONES: Final = ("UTC", "America/Phoenix", "Pacific/Auckland")
COLUMNS: Final = {
    "engagementScore": "engagement_score",
    "churnRiskScore": "churn_risk_score",
    "churnBasis": "churn_basis",
    "lifetimeValueCents": "lifetime_value",
    "activityCount30d": "activity_count_30d",
    "bookingCount30d": "booking_count_30d",
    "lifecycleStage": "lifecycle_stage",
}
VISITS: Final = ("visit_days - 1", "first_visit_age - last_visit_age", "first_visit_age")


def add_example(scene: Scene, who: str, given: Values) -> None:
    """Adds an example's source rows: a payment as old as a round is the round's price, any other is in the ledger."""
    paid = {age: cents for cents, age in given.get("pay", []) if cents > 0}
    scene.add(messaging.contact, who, email_opt_in=bool(given.get("consent")))
    if "member" in given:
        add_membership(scene, who, given)
    for kind, age in given["ev"]:
        at = ago(age)
        if kind == "booking_played":
            price = {"price_cents": paid[age], "paid_at": at} if age in paid else {}
            scene.add(teetime.booking, who, status="PLAYED", booked_at=at, tee_time_at=at, **price)
        elif kind == "competition":
            scene.add(teetime.competition_entry, who, entered_at=at)
        else:
            scene.add(messaging.message_event, who, kind="CLICKED", occurred_at=at)
    rounds = {age for kind, age in given["ev"] if kind == "booking_played"}
    for cents, age in given.get("pay", []):
        if cents < 0 or age not in rounds:
            money = {"kind": "REFUND" if cents < 0 else "PAYMENT", "amount_cents": abs(cents), "paid_at": ago(age)}
            scene.add(scl.payment, who, status="SETTLED", **money)
    if "lead" in given:
        scene.add(crm.campaign_interaction, who, kind="ENQUIRED", occurred_at=ago(given["lead"]))
    if "referral" in given:
        friend = f"friend of {who}"
        scene.add(crm.referral, who, referred_profile_id=friend, occurred_at=ago(given["referral"]))
        scene.add(teetime.booking, friend, status="PLAYED", tee_time_at=ago(given["referral"]))


def add_membership(scene: Scene, who: str, given: Values) -> None:
    status, number, fee = given["member"]
    days = 45 if "overdue_31_60" in given.get("flags", []) else -100
    times = {"renews_on": ago(days).date(), "joined_at": ago(days + 365.25 * number)}
    scene.add(scl.member, who, membership_status=status, yearly_fee_cents=fee, **times)


@pytest.fixture(scope="module", params=ZONES)
def examples(request: pytest.FixtureRequest) -> tuple[Scene, Refreshed]:
    """Returns all examples in one club, whatever its time zone."""
    scene = Scene(timezone=request.param)
    for who, given in EXAMPLES["inputs"].items():
        add_example(scene, who, given)
    return scene, scene.refresh()


@pytest.mark.parametrize("who", EXAMPLES["inputs"])
def test_a_worked_example_holds_in_every_field(examples: tuple[Scene, Refreshed], who: str) -> None:
    profile, expected = examples[1].profiles[who], EXAMPLES["expected"][who]
    assert {name: profile[column] for name, column in COLUMNS.items()} == {name: expected[name] for name in COLUMNS}
    age = expected["lastActivityAgeDays"]
    assert profile["last_activity_at"] == (None if age is None else ago(age))
    assert expected.keys() == {*COLUMNS, "lastActivityAgeDays"}


def test_the_examples_click_of_tomorrow_is_quarantined(examples: tuple[Scene, Refreshed]) -> None:
    assert [problem for _, problem in examples[0].find_quarantined(messaging.message_event)] == [
        "occurredAt:FUTURE_TIME"
    ]


@pytest.mark.parametrize("who", EXAMPLES["inputs"])
def test_engagement_reasons_add_up_exactly_to_the_unrounded_score(examples: tuple[Scene, Refreshed], who: str) -> None:
    scene, run = examples
    reasons = json.loads(run.profiles[who]["engagement_reasons"])
    given = EXAMPLES["inputs"][who]
    play, spend, message = scene.fact("play", "spend", "message", profile=who)
    factor = {"ACTIVE": 1.0, "OVERDUE": 0.5}.get(given.get("member", [""])[0], 0.0)
    points = compute_engagement_points(play or 0, spend or 0, message or 0, factor, bool(given.get("consent")))
    assert sum(reasons.values()) == float(points.unrounded)
    spent = sum(2 ** (-age / 90) for cents, age in given.get("pay", []) if cents > 0)
    assert reasons["spend"] == pytest.approx(20 * (1 - 2**-spent), abs=1e-9)
    assert (reasons["membership"], reasons["consent"]) == (10 * factor, 5 * given.get("consent", 0))


def test_visitors_unrounded() -> None:
    """x, t_x and T as SQL counts them, and the reference values they lead to."""
    scene = Scene()
    reference = {(0, 0, 0): 43.8794, (0, 0, 180): 76.6400, (5, 300, 330): 14.9682}
    reference |= {(20, 350, 357): 3.8039, (20, 350, 500): 93.7883}
    for x, recency, age in reference:
        for visit in range(x + 1):
            days = age - round(visit * recency / max(x, 1))
            for _ in range(2):  # a second round on a day is no second visit
                scene.add(teetime.booking, f"{x} {recency} {age}", status="PLAYED", tee_time_at=ago(days))
    profiles = scene.refresh().profiles
    for visitor, percent in reference.items():
        name = " ".join(map(str, visitor))
        assert scene.fact(*VISITS, profile=name) == visitor
        unrounded = float(predict_horizon_churn(PRIOR, *visitor))
        assert 100 * unrounded == pytest.approx(percent, abs=5e-5)
        assert profiles[name]["churn_risk_score"] == to_churn_score(unrounded) == math.floor(0.5 + 100 * unrounded)


def test_members_unrounded(examples: tuple[Scene, Refreshed]) -> None:
    """A member's reasons are log odds that add up to the risk."""
    new = Scene()
    new.add(scl.member, membership_status="ACTIVE", joined_at=ago(10))
    late = examples[1].profiles["9 overdue 45d, no play 60d, renewal #3"]
    for profile, percent in ((new.profile(), 14.9307), (late, 50.9409)):
        log_odds = sum(reason["log_odds"] for reason in json.loads(profile["churn_reasons"]))
        assert 100 * expit(log_odds) == pytest.approx(percent, abs=5e-5)
        assert profile["churn_risk_score"] == math.floor(0.5 + percent)


def test_churn_reasons_in_words_for_each_basis() -> None:
    scene = Scene()
    for days in (40, 20, 0):
        scene.add(teetime.booking, "regular", status="PLAYED", tee_time_at=ago(30 + days))
    for person, days in (("once", 30), ("yesterday", 1), ("today", 0)):
        scene.add(teetime.booking, person, status="PLAYED", tee_time_at=ago(days))
    scene.add(scl.member, "member", membership_status="SUSPENDED", joined_at=ago(10))
    scene.add(scl.member, "leaving", membership_status="ACTIVE", notice_given_at=AS_OF + timedelta(minutes=5))
    scene.add(scl.member, "gone", membership_status="LAPSED", ended_at=ago(10))
    scene.add(teetime.player, "nobody")
    profiles = scene.refresh().profiles
    reasons = {name: json.loads(p["churn_reasons"] or "null") for name, p in profiles.items()}
    regular = "Last visit 30 days ago, usually comes about every 3 weeks"
    assert reasons["regular"] == {"last_visit_days": 30, "usual_gap_days": 20.0, "words": regular}
    assert reasons["once"]["words"] == "Last visit 30 days ago, the only one so far"
    assert reasons["yesterday"]["words"] == "Last visit yesterday, the only one so far"
    assert reasons["today"]["words"] == "Last visit today, the only one so far"
    words = ["Where members stand at this renewal", "Membership suspended"]
    assert [reason["words"] for reason in reasons["member"]] == words
    assert [reason["words"] for reason in reasons["leaving"]] == ["Gave notice"]
    assert [reason["words"] for reason in reasons["gone"]] == ["Membership ended, nothing since"]
    assert reasons["nobody"] is None
    found = {name: (p["churn_basis"], p["churn_risk_score"]) for name, p in profiles.items()}
    assert (found["leaving"], found["gone"], found["nobody"]) == (("MEMBER", 100), ("MEMBER", 100), ("NO_SIGNAL", None))


def test_status_by_the_stored_score() -> None:
    scores = [int(to_churn_score(predict_horizon_churn(PRIOR, 0, 0, age))) for age in range(366)]
    rounded_up = next(age for age in range(366) if 69.5 <= 100 * predict_horizon_churn(PRIOR, 0, 0, age) < 70)
    scene, expected = Scene(), {"rounded up": "AT_RISK", "69": "INACTIVE" if scores.index(69) > 90 else "ACTIVE"}
    for who, days in (("rounded up", rounded_up), ("69", scores.index(69)), ("over a year", 366)):
        scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(days))
    for days in (90, 91):
        scene.add(messaging.message_event, f"clicked {days}", kind="CLICKED", occurred_at=ago(days))
    scene.add(scl.member, "member", membership_status="ACTIVE", joined_at=LONG_AGO)
    scene.add(scl.member, "notice", membership_status="ACTIVE", notice_given_at=ago(1))
    scene.add(scl.member, "ended", membership_status="LAPSED", ended_at=ago(31))
    expected |= {"over a year": "CHURNED", "clicked 90": "ACTIVE", "clicked 91": "INACTIVE"}
    expected |= {"member": "ACTIVE", "notice": "AT_RISK", "ended": "CHURNED"}
    assert {who: p["status"] for who, p in scene.refresh().profiles.items()} == expected


def test_predicted_value() -> None:
    scene = Scene()
    for days, cents in ((90, 4_000), (30, 5_000), (0, 6_000)):
        paid = {"price_cents": cents, "paid_at": ago(days)}
        scene.add(teetime.booking, "visitor", status="PLAYED", tee_time_at=ago(days), **paid)
    renewing = {"membership_status": "ACTIVE", "joined_at": ago(10)}
    scene.add(scl.member, "member", **renewing, yearly_fee_cents=120_000)
    scene.add(scl.member, "no fee", **renewing)
    scene.add(scl.member, "ended", membership_status="LAPSED", yearly_fee_cents=120_000)
    scene.add(teetime.player, "nobody")
    found = {who: p["predicted_value_12m"] for who, p in scene.refresh().profiles.items()}
    visits = float(predict_transactions(PRIOR, 2, 90, 90))
    fee = 120_000 * (1 - float(compute_renewal_hazard(1)))
    expected = {"visitor": math.floor(0.5 + 5_000 * visits), "member": math.floor(0.5 + fee)}
    assert found == expected | {"no fee": None, "ended": 0, "nobody": None}
