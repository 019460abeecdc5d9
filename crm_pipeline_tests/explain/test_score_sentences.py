"""The sentences of `explain` about visits, plans and fees: each stage, risk, forecast, status and count."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from crm_pipeline.explain.formatting import Row, TenantClock
from crm_pipeline.explain.score_reasons import explain_churn, explain_counts, explain_predicted_value
from crm_pipeline.explain.stage_reasons import explain_stage, explain_status
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, Scene, ago

Story = Callable[[Scene, str], Any]
CLOCK: Final = TenantClock(AS_OF, "UTC")
FEE: Final = 120_000


def booked(tee: float, **values: object) -> Story:
    """A booking of 25 days before a tee time that many days ago."""
    given = {"booked_at": ago(tee + 25), "tee_time_at": ago(tee), "players": 1} | values
    return lambda scene, who: scene.add(teetime.booking, who, **given)


def played(days: float) -> Story:
    return booked(days, status="PLAYED")


def paid_by_a_friend(tee: float) -> Story:
    """An unmarked booking that somebody else paid."""

    def add_rows(scene: Scene, who: str) -> None:
        settled = {"status": "SETTLED", "amount_cents": 4_500, "paid_at": ago(45)}
        scene.add(scl.payment, f"friend of {who}", booking_id=booked(tee)(scene, who), **settled)

    return add_rows


def member(status: str = "ACTIVE", **values: object) -> Story:
    given = {"membership_status": status, "yearly_fee_cents": FEE, "joined_at": ago(100)} | values
    return lambda scene, who: scene.add(scl.member, who, **given)


def fee(days: float) -> Story:
    given = {"status": "SETTLED", "amount_cents": FEE, "paid_at": ago(days)}
    return lambda scene, who: scene.add(scl.payment, who, **given)


PEOPLE: Final[dict[str, list[Story]]] = {
    "nobody": [lambda scene, who: scene.add(teetime.player, who)],
    "booked": [booked(-9)],
    "planned and paid": [paid_by_a_friend(-9)],
    "paid, and nobody marked it": [paid_by_a_friend(40)],
    "played": [played(180)],
    "played today": [played(0)],
    "plays": [played(68), played(40), booked(-3)],
    "played long ago": [played(400)],
    "played long ago, and booked": [played(400), booked(-9)],
    "member": [member()],
    "suspended": [member("SUSPENDED")],
    "without a fee": [member(yearly_fee_cents=None)],
    "resigned": [member("RESIGNED", ended_at=ago(-20))],
    "joins": [member(joined_at=ago(-10))],
    "pending": [member("PENDING")],
    "ended": [member("LAPSED", ended_at=ago(60))],
    "ended without a fee": [member("LAPSED", ended_at=ago(60), yearly_fee_cents=None)],
    "ended at an unknown time": [member("RESIGNED", updated_at=ago(1))],
    "ended lately": [member("LAPSED", ended_at=ago(10))],
    "ended, with a fee since": [member("LAPSED", ended_at=ago(60)), fee(40)],
    "ended, and booked": [member("LAPSED", ended_at=ago(60)), booked(-9)],
}


class Person:
    """A refreshed profile with its events and its SCL record, as `explain` reads them."""

    def __init__(self, profile: Row, events: list[Row], record: Row | None) -> None:
        json_columns = ("churn_reasons", "engagement_reasons")
        self.profile = profile | {name: json.loads(profile[name] or "null") for name in json_columns}
        self.events = [event | {"details": json.loads(event["details"])} for event in events]
        self.record = record and record | {"contract_ended_at": record["ended_at"] or record["updated_at"]}

    def stage(self) -> str:
        explained = explain_stage(self.profile, self.events, CLOCK, self.record, {})
        return f"{explained['stage']}: {explained['because']}"

    def churn(self) -> Row:
        return explain_churn(self.profile)

    def predicted(self) -> str:
        fee_cents = self.record["yearly_fee_cents"] if self.record else None
        return str(explain_predicted_value(self.profile, self.churn(), fee_cents)["words"])


@pytest.fixture(scope="module")
def people() -> dict[str, Person]:
    """Returns each of PEOPLE."""
    scene = Scene()
    for who, stories in PEOPLE.items():
        for add_rows in stories:
            add_rows(scene, who)
    refreshed = scene.refresh()
    records = {row["id"]: row for row in scene.rows["scl_member"]}
    return {
        who: Person(
            refreshed.profiles[who],
            [event for event in refreshed.timeline if event["profile_id"] == who],
            records.get(scene.members.get(who)),
        )
        for who in PEOPLE
    }


@pytest.mark.parametrize(
    ("who", "stage"),
    [
        ("planned and paid", "CUSTOMER: a tee time on 9 Apr 2026 is paid"),
        ("paid, and nobody marked it", "CUSTOMER: 1 payment or round, the last on 19 Feb 2026"),
        ("plays", "CUSTOMER: 2 payments and rounds, the last on 19 Feb 2026"),
        ("booked", "LEAD: made 1 booking not yet played or paid"),
        ("played long ago", "CHURNED: the last payment or round was on 24 Feb 2025, 400 days ago"),
        ("played long ago, and booked", "CUSTOMER: 1 payment or round, the last on 24 Feb 2025"),
        ("suspended", "MEMBER: the membership is suspended"),
        ("resigned", "MEMBER: the membership is resigned and runs until 20 Apr 2026"),
        ("joins", "LEAD: the membership begins on 10 Apr 2026"),
        ("pending", "LEAD: the membership is pending"),
        ("ended lately", "CUSTOMER: the membership ended on 21 Mar 2026, 10 days ago"),
        ("ended at an unknown time", "CUSTOMER: the membership ended on 30 Mar 2026, 1 day ago"),
        (
            "ended, with a fee since",
            (
                "CHURNED: the membership ended on 30 Jan 2026, 60 days ago,"
                " and there was no payment but fees and no round since"
            ),
        ),
        ("nobody", "SUBSCRIBER: no membership, payment, round, answer or other sign of interest that counts"),
    ],
)
def test_a_stage_tells_visits_plans_and_fees_apart(people: dict[str, Person], who: str, stage: str) -> None:
    assert people[who].stage() == stage


VISITOR: Final = "the risk of no further visit within the next 12 months"
MEMBER: Final = "the risk that the membership is not renewed within the next 12 months"
ENDED: Final = "the risk that the membership, which has ended, is not renewed within the next 12 months"
NEITHER: Final = "neither a membership nor a visit to judge by"


@pytest.mark.parametrize(
    ("who", "basis", "words"),
    [
        (
            "played",
            VISITOR,
            "Last visit 180 days ago, the only one so far: 77 in 100 such customers do not come within a year, 23 do",
        ),
        (
            "played today",
            VISITOR,
            "Last visit today, the only one so far: 44 in 100 such customers do not come within a year, 56 do",
        ),
        (
            "plays",
            VISITOR,
            (
                "Last visit 40 days ago, usually comes about every 4 weeks, next booked for 3 Apr 2026:"
                " 8 in 100 such customers do not come within a year, 92 do"
            ),
        ),
        (
            "ended, and booked",
            VISITOR,
            "No visit yet, next booked for 9 Apr 2026: 10 in 100 such customers do not come within a year, 90 do",
        ),
        ("member", MEMBER, "14.9, rounded to 15"),
        ("suspended", MEMBER, "14.9 + 29.1 = 44.0, rounded to 44"),
        ("resigned", MEMBER, "Resigned"),
        ("ended", ENDED, "Membership ended, nothing since"),
        ("ended at an unknown time", ENDED, "Membership ended, nothing since"),
        ("booked", NEITHER, "no score: there is nothing to judge by"),
        ("pending", NEITHER, "no score: there is nothing to judge by"),
    ],
)
def test_a_risk_says_of_what_it_is_and_why(people: dict[str, Person], who: str, basis: str, words: str) -> None:
    churn = people[who].churn()
    assert (churn["basis_words"], churn["words"]) == (basis, words)


def test_each_reason_of_a_members_risk_has_its_words_and_points(people: dict[str, Person]) -> None:
    terms = [(part["words"], part["shown"]) for part in people["suspended"].churn()["parts"]]
    assert terms == [("Where members stand at this renewal", "14.9"), ("Membership suspended", "29.1")]


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("member", "EUR 1,020.83: the yearly fee of EUR 1,200.00 times the chance of 85.07% that it is renewed"),
        ("resigned", "EUR 0.00: the yearly fee of EUR 1,200.00 times the chance of 0.00% that it is renewed"),
        ("without a fee", "not known: the yearly fee is not known"),
        ("ended", "EUR 0.00: the membership ended, and there was no visit"),
        ("ended without a fee", "EUR 0.00: the membership ended, and there was no visit"),
        ("ended, with a fee since", "EUR 0.00: the membership ended, and there was no visit"),
        ("ended, and booked", "not known: there was no visit yet"),
        ("booked", "not known: nothing to judge by"),
    ],
)
def test_a_forecast_says_what_it_is_made_of(people: dict[str, Person], who: str, words: str) -> None:
    assert people[who].predicted() == words


def test_a_visitors_forecast_is_of_visits(people: dict[str, Person]) -> None:
    money, _, made_of = people["plays"].predicted().partition(": ")
    assert made_of == "the visits expected within a year, times what such a visit usually brings"
    assert money.startswith("EUR ")


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("resigned", "At risk: the churn risk, 100, is 70 or more"),
        ("member", "Active: the membership is running"),
        ("plays", "Active: the last activity was 22 days ago"),
        ("ended lately", "At risk: the churn risk, 100, is 70 or more"),
        ("pending", "Inactive: no running membership, and there was no activity yet"),
        ("played long ago", "Churned: the stage is Churned"),
    ],
)
def test_a_status_has_its_reason(people: dict[str, Person], who: str, status: str) -> None:
    explained = explain_status(people[who].profile, CLOCK)
    assert f"{explained['name']}: {explained['because']}" == status


@pytest.mark.parametrize(
    ("who", "activities", "bookings", "last"),
    [
        ("played today", "1: 1 round played", "1: 1 booking that was played", "31 Mar 2026: Played a round"),
        (
            "booked",
            "1: 1 booking not played",
            "1: 1 booking not played",
            "15 Mar 2026: Booked a tee time on 9 Apr 2026 12:00 for 1",
        ),
        ("ended, with a fee since", "0", "0", "19 Feb 2026: Paid EUR 1200.00"),
        ("nobody", "0", "0", "nothing yet"),
    ],
)
def test_what_was_counted_is_named(
    people: dict[str, Person], who: str, activities: str, bookings: str, last: str
) -> None:
    counts = explain_counts(people[who].profile, people[who].events, CLOCK)
    assert (counts["activity_count_30d"]["words"], counts["booking_count_30d"]["words"]) == (activities, bookings)
    assert counts["last_activity_at"]["words"] == last
