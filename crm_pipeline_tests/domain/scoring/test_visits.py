"""Visit days, fees and planned visits: what is a visit and on which day, whoever paid, and what a plan changes."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from crm_pipeline.domain.churn.mbg_nbd import PRIOR, predict_horizon_churn, predict_transactions
from crm_pipeline.domain.churn.risk import to_churn_score
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, Scene, Values, ago

Story = Callable[[Scene, str], Any]
FEE: Final = 123_456


def booked(tee: float, **values: object) -> Story:
    """A booking of 300 days ago with a tee time that many days ago, which nobody marked unless told so."""
    given = {"booked_at": ago(300), "tee_time_at": ago(tee)} | values
    return lambda scene, who: scene.add(teetime.booking, who, **given)


def prepaid(tee: float, paid: float, **values: object) -> Story:
    return booked(tee, **({"price_cents": 4_500, "paid_at": ago(paid)} | values))


def paid(days: float, **values: object) -> Story:
    settled = {"status": "SETTLED", "amount_cents": 4_500, "paid_at": ago(days)}
    return lambda scene, who: scene.add(scl.payment, who, **(settled | values))


def round_and_payment(tee: float, paid_at: float, payer: str = "{}", **values: object) -> Story:
    """A round played, and a settled payment that names it, by whoever is said."""

    def add_rows(scene: Scene, who: str) -> None:
        booking = booked(tee, **({"status": "PLAYED"} | values))(scene, who)
        paid(paid_at, booking_id=booking)(scene, payer.format(who))

    return add_rows


def member(**values: object) -> Story:
    given = {"membership_status": "LAPSED", "ended_at": ago(400), "yearly_fee_cents": FEE} | values
    return lambda scene, who: scene.add(scl.member, who, **given)


VISITS: Final[dict[str, tuple[list[Story], list[int], int]]] = {
    "a round prepaid the day before": ([prepaid(40, 41, status="PLAYED")], [40], 4_500),
    "a round paid the day after": ([prepaid(40, 39, status="PLAYED")], [40], 4_500),
    "a round that the ledger was paid for": ([round_and_payment(40, 41)], [40], 4_500),
    "two rounds of a day, one paid weeks before": (
        [prepaid(40, 60, status="PLAYED"), booked(40, status="PLAYED")],
        [40],
        4_500,
    ),
    "two rounds paid together": ([prepaid(40, 60, status="PLAYED"), prepaid(30, 60, status="PLAYED")], [40, 30], 9_000),
    "an unpaid round": ([booked(40, status="PLAYED")], [40], 0),
    "paid, and nobody marked it": ([prepaid(40, 41)], [40], 4_500),
    "paid to the ledger, and nobody marked it": ([round_and_payment(40, 41, status="BOOKED")], [40], 4_500),
    "paid by a friend, and nobody marked it": (
        [round_and_payment(40, 41, payer="friend of {}", status="BOOKED")],
        [40],
        0,
    ),
    "not paid, and nobody marked it": ([booked(40)], [], 0),
    "paid nothing for, and nobody marked it": ([prepaid(40, 41, price_cents=0)], [], 0),
    "paid, and of today": ([prepaid(0.1, 41)], [], 0),
    "paid, and still to come": ([prepaid(-9, 41)], [], 0),
    "paid, and did not show up": ([prepaid(40, 41, status="NO_SHOW")], [], 0),
    "paid, and cancelled": ([prepaid(40, 41, status="CANCELLED")], [], 0),
    "paid to the ledger, and cancelled": ([round_and_payment(40, 41, status="CANCELLED")], [], 0),
    "paid at the bar": ([paid(40)], [40], 4_500),
    "paid for no booking there is": ([paid(40, booking_id="gone")], [40], 4_500),
    "paid for a friend's round": (
        [lambda scene, who: round_and_payment(50, 40, payer=who)(scene, f"friend of {who}")],
        [40],
        4_500,
    ),
    "a refund": ([paid(40), paid(39, kind="REFUND")], [40], 4_500),
    "not settled": ([paid(40, status="PENDING")], [], 0),
    "a fee that was due": ([paid(40, due_at=ago(41))], [], 0),
    "a fee in full": ([member(), paid(40, amount_cents=FEE)], [], 0),
    "a fee in full, rounded": ([member(), paid(40, amount_cents=FEE + 1)], [], 0),
    "a half": ([member(), paid(40, amount_cents=FEE // 2 + 1)], [], 0),
    "a quarter": ([member(), paid(40, amount_cents=FEE // 4)], [], 0),
    "a twelfth of a fee that is no multiple of it": (
        [member(yearly_fee_cents=100_000), paid(40, amount_cents=8_334), paid(10, amount_cents=8_333)],
        [],
        0,
    ),
    "two cents beside a twelfth": ([member(), paid(40, amount_cents=FEE // 12 + 2)], [40], FEE // 12 + 2),
    "a third": ([member(), paid(40, amount_cents=FEE // 3)], [40], FEE // 3),
    "15 % less, years ago": ([member(yearly_fee_cents=100_000), paid(700, amount_cents=85_000)], [], 0),
    "15 % more": ([member(yearly_fee_cents=100_000), paid(40, amount_cents=115_000)], [], 0),
    "more than 15 % more": ([member(yearly_fee_cents=100_000), paid(40, amount_cents=115_001)], [40], 115_001),
    "a fee of nothing": ([member(yearly_fee_cents=0), paid(40, amount_cents=1)], [40], 1),
    "no known fee": ([member(yearly_fee_cents=None), paid(40, amount_cents=FEE)], [40], FEE),
    "of the fee's amount, for a round": (
        [
            *(member(yearly_fee_cents=4_500), round_and_payment(40, 60)),
        ],
        [40],
        4_500,
    ),
}
"""By story the days of the visits, days ago, and what was paid on them."""


@pytest.fixture(scope="module")
def seen() -> dict[str, tuple[Any, ...]]:
    """Returns visit days, the first and the last of them, and their money, by story."""
    scene = Scene()
    for story, (stories, _, _) in VISITS.items():
        for add_rows in stories:
            add_rows(scene, story)
    scene.refresh()
    columns = ("coalesce(visit_days, 0)", "first_visit_age", "last_visit_age", "coalesce(visit_value, 0)")
    return {story: scene.fact(*columns, profile=story) for story in VISITS}


@pytest.mark.parametrize("story", VISITS)
def test_a_visit_is_counted_once_on_its_day_with_its_money(seen: dict[str, tuple[Any, ...]], story: str) -> None:
    _, ages, cents = VISITS[story]
    assert seen[story] == (len(ages), max(ages, default=None), min(ages, default=None), cents)


def test_one_prepaid_round_is_no_habit_and_a_visit_is_worth_its_price() -> None:
    scene = Scene()
    prepaid(40, 41, status="PLAYED")(scene, "once")
    profile = scene.profile("once")
    assert json.loads(profile["churn_reasons"])["words"] == "Last visit 40 days ago, the only one so far"
    assert profile["churn_risk_score"] == to_churn_score(predict_horizon_churn(PRIOR, 0, 0, 40))
    assert profile["predicted_value_12m"] == int(0.5 + 4_500 * float(predict_transactions(PRIOR, 0, 0, 40)))


def test_a_former_member_who_only_paid_fees_was_no_visitor() -> None:
    scene = Scene()
    member(ended_at=ago(20))(scene, "never came")
    for days in (1_100, 735, 370):
        paid(days, amount_cents=FEE)(scene, "never came")
    profile = scene.profile("never came")
    found = [profile[column] for column in ("churn_basis", "churn_risk_score", "predicted_value_12m")]
    assert (found, profile["lifetime_value"]) == (["MEMBER", 100, 0], 3 * FEE)
    assert profile["lifecycle_stage"] == "CHURNED"


GAPS: Final = {
    (0, 1): "about every day",
    (0, 1, 2, 4): "about every day",
    (0, 1, 3): "about every 2 days",
    (0, 13): "about every 13 days",
    (0, 13, 27): "about every 14 days",
    (0, 14): "about every 2 weeks",
    (0, 17): "about every 2 weeks",
    (0, 20): "about every 3 weeks",
    (0, 59): "about every 8 weeks",
    (0, 59, 119): "about every 9 weeks",
    (0, 60): "about every 2 months",
    (0, 77): "about every 3 months",
    (0, 365): "about every 12 months",
}
"""The words for the gap between visits of these days ago."""


def test_a_gap_is_told_in_days_weeks_or_months() -> None:
    scene = Scene()
    for days in GAPS:
        for day in days:
            booked(day, status="PLAYED")(scene, str(days))
    profiles = scene.refresh().profiles
    told = {days: json.loads(profiles[str(days)]["churn_reasons"])["words"] for days in GAPS}
    assert told == {days: f"Last visit today, usually comes {words}" for days, words in GAPS.items()}


PLAYED: Final = booked(400, status="PLAYED")


@pytest.mark.parametrize(
    ("stories", "next_visit_on", "no_show"),
    [
        ([PLAYED, booked(-1)], "2026-04-01", 1 / 11),
        ([PLAYED, booked(-1), booked(-5), booked(0.1)], "2026-03-31", 1 / 11),
        ([PLAYED, booked(-365)], "2027-03-31", 1 / 11),
        ([PLAYED, booked(-1), booked(300, status="CANCELLED"), booked(200, status="NO_SHOW")], "2026-04-01", 3 / 13),
        ([PLAYED, booked(-1), booked(20), booked(30)], "2026-04-01", 1 / 13),
        ([PLAYED, booked(-1), booked(-2, status="CANCELLED"), booked(0.1, status="CANCELLED")], "2026-04-01", 2 / 12),
        ([PLAYED, booked(-366)], None, None),
        ([PLAYED, booked(-1, status="CANCELLED")], None, None),
        ([PLAYED, booked(-1, booked_at=AS_OF + timedelta(minutes=6))], None, None),
        ([PLAYED, booked(-1, booked_at=AS_OF + timedelta(minutes=5))], "2026-04-01", 1 / 11),
    ],
)
def test_a_planned_visit_caps_the_risk_and_its_day_is_named(
    stories: list[Story], next_visit_on: str | None, no_show: float | None
) -> None:
    scene = Scene()
    for add_rows in stories:
        add_rows(scene, "regular")
    profile = scene.profile("regular")
    reasons = json.loads(profile["churn_reasons"])
    assert reasons.get("next_visit_on") == next_visit_on
    assert ("next booked for" in reasons["words"]) == (next_visit_on is not None)
    alone = float(predict_horizon_churn(PRIOR, *scene.fact("visit_days - 1", *SPAN, profile="regular")))
    assert profile["churn_risk_score"] == to_churn_score(alone if no_show is None else min(alone, no_show))
    assert (profile["lifecycle_stage"] == "CHURNED") == (next_visit_on is None and "20 days" not in reasons["words"])


SPAN: Final = ("first_visit_age - last_visit_age", "first_visit_age")


def test_a_risk_below_the_cap_stays_and_the_day_is_named_all_the_same() -> None:
    scene = Scene()
    for days in range(0, 200, 7):
        booked(days, status="PLAYED")(scene, "weekly")
    for days in (80, 90, 100):
        booked(days, status="CANCELLED")(scene, "weekly")
    booked(-3)(scene, "weekly")
    profile = scene.profile("weekly")
    assert profile["churn_risk_score"] == to_churn_score(predict_horizon_churn(PRIOR, 28, 196, 196)) < 3
    words = "Last visit today, usually comes about every 7 days, next booked for 3 Apr 2026"
    assert json.loads(profile["churn_reasons"])["words"] == words


@pytest.mark.parametrize(
    ("stories", "basis", "risk", "value"),
    [
        ([member(), booked(-1)], "TRANSACTIONAL", 10, None),
        ([member()], "MEMBER", 100, 0),
        ([member(yearly_fee_cents=None)], "MEMBER", 100, 0),
        ([prepaid(40, 41, status="NO_SHOW"), booked(-1)], "TRANSACTIONAL", 18, None),
        ([prepaid(40, 41, status="NO_SHOW")], "NO_SIGNAL", None, None),
        ([booked(-1)], "NO_SIGNAL", None, None),
        ([prepaid(-1, 2)], "TRANSACTIONAL", 10, None),
        ([member(membership_status="PENDING", ended_at=None), paid(3, due_at=ago(2))], "NO_SIGNAL", None, None),
        ([member(membership_status="PENDING", ended_at=None), booked(-1)], "NO_SIGNAL", None, None),
        ([member(joined_at=ago(-5)), paid(3, due_at=ago(2)), booked(-1)], "TRANSACTIONAL", 10, None),
        ([member(membership_status="ACTIVE", ended_at=None, joined_at=ago(10)), booked(-1)], "MEMBER", 15, 105_023),
        ([member(membership_status="RESIGNED", ended_at=ago(-20)), booked(-1)], "MEMBER", 100, 0),
        ([member(membership_status="RESIGNED", ended_at=None), PLAYED], "TRANSACTIONAL", 89, 0),
    ],
)
def test_without_a_visit_or_with_a_contract_the_basis_is_what_there_is(
    stories: list[Story], basis: str, risk: int | None, value: int | None
) -> None:
    scene = Scene()
    for add_rows in stories:
        add_rows(scene, "one")
    profile = scene.profile("one")
    found = [profile[column] for column in ("churn_basis", "churn_risk_score", "predicted_value_12m")]
    assert found == [basis, risk, value]


def test_a_first_visit_that_is_only_planned_is_told_as_that() -> None:
    scene = Scene()
    member()(scene, "one")
    booked(-2)(scene, "one")
    reasons: Values = {"last_visit_days": None, "usual_gap_days": None, "next_visit_on": "2026-04-02"}
    words = "No visit yet, next booked for 2 Apr 2026"
    assert json.loads(scene.profile("one")["churn_reasons"]) == reasons | {"words": words}


def test_who_resigned_for_later_is_sure_to_leave_and_it_says_so() -> None:
    scene = Scene()
    member(membership_status="RESIGNED", ended_at=ago(-20))(scene, "one")
    assert [reason["words"] for reason in json.loads(scene.profile("one")["churn_reasons"])] == ["Resigned"]
