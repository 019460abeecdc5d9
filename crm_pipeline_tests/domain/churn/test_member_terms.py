"""What raises a member's risk: every term on and off at its boundary, overdue bands, and the renewal's number."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from crm_pipeline.domain.churn.renewal import MEMBER_TERMS
from crm_pipeline.tables.sources import messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import Scene, Values, ago

Story = Callable[[Scene, str], Any]
QUIET: Final[Values] = {"joined_at": ago(800), "renews_on": ago(-30).date()}


def member(status: str = "ACTIVE", **values: object) -> Story:
    return lambda scene, who: scene.add(scl.member, who, membership_status=status, **(QUIET | values))


def played(*days: float) -> Story:
    def add_rows(scene: Scene, who: str) -> None:
        for day in days:
            scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(day))

    return add_rows


def booked(*days: float, **values: object) -> Story:
    """Adds bookings that nobody marked, with a tee time that many days ago."""
    return lambda scene, who: [
        scene.add(teetime.booking, who, tee_time_at=ago(day), booked_at=ago(max(day, 0)), **values) for day in days
    ]


def registered(days: float) -> Story:
    """Adds a player who did nothing yet."""
    return lambda scene, who: scene.add(teetime.player, who, created_at=ago(days))


def entered(*days: float, played_at: datetime | None = None) -> Story:
    return lambda scene, who: [
        scene.add(teetime.competition_entry, who, entered_at=ago(day), played_at=played_at) for day in days
    ]


def clicked(*days: float) -> Story:
    kind = {"kind": "CLICKED"}
    return lambda scene, who: [scene.add(messaging.message_event, who, occurred_at=ago(d), **kind) for d in days]


def owes(*days: float | None, **values: object) -> Story:
    """Adds payments due that many days ago; None: due at no known time."""

    def add_rows(scene: Scene, who: str) -> None:
        for day in days:
            due_at = None if day is None else ago(day)
            scene.add(scl.payment, who, due_at=due_at, **({"amount_cents": 100, "status": "PENDING"} | values))

    return add_rows


def overdue(days: float | None) -> Story:
    """Overdue by the renewal alone, with no fee asked for."""
    return member("OVERDUE", renews_on=None if days is None else ago(days).date())


LATE: Final = member("OVERDUE")
WEEKS: Final = (2, 9, 16, 23)
STORIES: Final[dict[str, dict[str, list[Story]]]] = {
    "": {
        "nothing to say": [member()],
        "owes, but is not overdue": [member(), owes(45)],
        "never played, entered or clicked": [member()],
        "played 59 days ago": [member(), played(59)],
        "plays half as much": [member(), played(1, 2, *(365 + day for day in (0, 30, 60, 89)))],
        "three rounds are too few": [member(), played(*(365 + day for day in WEEKS[:3]), 1)],
        "364 and 455 days are not last year's": [member(), played(364, 455, 366, 367, 368, 1)],
        "entered 180 days ago": [member(), played(1), entered(180, 181)],
        "entered long before only": [member(), played(1), entered(546)],
        "booked 59 days ago, and nobody marked it": [member(), played(70), booked(59)],
        "entered 59 days ago": [member(), played(70), entered(59)],
        "entered long ago, played 59 days ago": [member(), played(70), entered(100, played_at=ago(59))],
        "entered two days ago only": [member(), registered(400), entered(2)],
        "registered 180 days ago": [member(), registered(180)],
        "joined 180 days ago": [member(joined_at=ago(180)), registered(400)],
        "no TeeTime record": [member(joined_at=ago(3000))],
        "booked once, and nobody marked it": [member(), registered(400), booked(2)],
        "clicked 89 days ago": [member(), clicked(89, 100)],
        "clicked long before only": [member(), clicked(455)],
    },
    "overdue_1_30": {
        "no due date at all": [overdue(None)],
        "the renewal is yet to come": [overdue(-30)],
        "a day": [overdue(1)],
        "30 days": [overdue(30)],
        "a fee of 30 days": [LATE, owes(30)],
        "a fee yet to come": [LATE, owes(-5)],
        "a fee without a date": [LATE, owes(None)],
        "an older fee is settled": [LATE, owes(90, status="SETTLED", paid_at=ago(80)), owes(10)],
        "an older refund is on its way": [LATE, owes(90, kind="REFUND"), owes(10)],
    },
    "overdue_31_60": {
        "31 days": [overdue(31)],
        "60 days": [overdue(60)],
        "the earliest fee counts": [LATE, owes(10, 45)],
        "the fee before the renewal": [overdue(90), owes(45)],
        "a failed attempt is unpaid": [LATE, owes(45, status="FAILED")],
    },
    "overdue_over_60": {"61 days": [overdue(61)], "a fee of 61 days": [LATE, owes(61)]},
    "no_play_60": {
        "60 days": [member(), played(60)],
        "the last round counts": [member(), played(200, 61)],
        "179 days": [member(), played(179)],
        "booked 60 days ago, and nobody marked it": [member(), booked(60)],
        "a tee time ahead is no round": [member(), played(60), booked(-1)],
        "a tee time of today is no round yet": [member(), played(60), booked(0.1)],
        "cancelled and missed are no rounds": [member(), played(60), booked(9, status="CANCELLED")],
        "a no-show is no round": [member(), played(60), booked(9, status="NO_SHOW")],
        "a competition 60 days ago": [member(), entered(60)],
        "a competition entered yesterday is not played yet": [member(), played(60), entered(1)],
    },
    "no_play_180": {"180 days": [member(), played(180)], "364 days": [member(), played(364)]},
    "no_play_365": {"365 days": [member(), played(365)], "for years": [member(), played(900)]},
    "never_played": {
        "181 days": [member(joined_at=ago(181)), registered(181)],
        "for years": [member(), registered(800)],
        "only cancelled, missed and planned": [
            *(member(), registered(800), booked(9, status="CANCELLED")),
            *(booked(9, status="NO_SHOW"), booked(-9)),
        ],
        "a competition entered yesterday is not played yet": [member(), registered(400), entered(1)],
    },
    "play_rate_dropped": {
        "under half": [member(), played(1, *(365 + day for day in (0, 30, 60, 89)))],
        "90 days are over": [member(), played(1, 90, *(365 + day for day in WEEKS))],
        "two of five": [member(), played(1, 2, *(365 + day for day in (*WEEKS, 30)))],
    },
    "no_competition_180": {
        "181 days": [member(), played(1), entered(181)],
        "545 days": [member(), played(1), entered(545)],
    },
    "no_click_90": {"90 days": [member(), clicked(90)], "454 days": [member(), clicked(454)]},
    "suspended": {
        "suspended": [member("SUSPENDED")],
        "frozen is not idle": [
            *(member("SUSPENDED"), entered(300)),
            played(1, *(365 + day for day in (*WEEKS, 30))),
        ],
        "frozen, and never played": [member("SUSPENDED"), registered(800)],
        "frozen for years": [member("SUSPENDED"), played(900)],
    },
    "no_click_90 suspended": {"frozen, and no longer clicks": [member("SUSPENDED"), clicked(100)]},
    "no_play_180 no_competition_180": {"entered long ago, and no more": [member(), entered(200)]},
    "no_play_365 play_rate_dropped": {"stopped playing": [member(), played(*(365 + day for day in WEEKS))]},
}
CASES: Final = [(terms, story) for terms, stories in STORIES.items() for story in stories]

RENEWALS: Final[dict[str, tuple[str, str | None, int]]] = {
    "the first year": ("2025-06-01", "2026-06-01", 1),
    "joined for a few months": ("2026-03-01", "2026-06-01", 1),
    "half a year more is none": ("2024-06-01", "2025-11-29", 1),
    "more than half a year is one": ("2024-06-01", "2025-12-02", 2),
    "the fifth": ("2021-07-01", "2026-07-01", 5),
    "leap days do not matter": ("1996-02-29", "2026-02-28", 30),
    "a renewal gone by": ("2021-07-01", "2024-07-01", 3),
    "the next anniversary": ("2021-07-01", None, 5),
    "an anniversary gone by": ("2021-02-01", None, 6),
    "the anniversary is today": ("2021-03-31", None, 6),
    "joined today": ("2026-03-31", None, 1),
}
"""Joined on, renews on, number of the next renewal, on 31 March 2026."""


@pytest.fixture(scope="module")
def reasons() -> dict[str, list[Values]]:
    """Returns for every story the terms given as reasons, except the renewal itself."""
    scene = Scene()
    for terms, story in CASES:
        for add_rows in STORIES[terms][story]:
            add_rows(scene, f"{terms}: {story}")
    reasons_of = {who: json.loads(profile["churn_reasons"]) for who, profile in scene.refresh().profiles.items()}
    assert all(terms[0]["term"] == "renewal" for terms in reasons_of.values())
    return {who: terms[1:] for who, terms in reasons_of.items()}


@pytest.mark.parametrize(("terms", "story"), CASES)
def test_a_term_holds(reasons: dict[str, list[Values]], terms: str, story: str) -> None:
    assert [reason["term"] for reason in reasons[f"{terms}: {story}"]] == terms.split()


def test_every_term_is_shown_to_hold_with_its_log_odds_and_words(reasons: dict[str, list[Values]]) -> None:
    shown = {(r["term"], r["log_odds"], r["words"]) for terms in reasons.values() for r in terms}
    assert shown == {(term.code, term.log_odds, term.words) for term in MEMBER_TERMS}


def test_terms_need_a_running_contract() -> None:
    scene = Scene()
    member("LAPSED", ended_at=ago(400))(scene, "ended")
    member("PENDING")(scene, "pending")
    for who in ("ended", "pending"):
        played(61)(scene, who)
    profiles = scene.refresh().profiles
    assert {profile["churn_basis"] for profile in profiles.values()} == {"TRANSACTIONAL"}


def test_the_number_of_the_next_renewal() -> None:
    scene = Scene()
    for who, (joined, renews, _) in RENEWALS.items():
        joined_at = datetime.fromisoformat(joined).replace(hour=12, tzinfo=UTC)
        renews_on = date.fromisoformat(renews) if renews else None
        scene.add(scl.member, who, membership_status="ACTIVE", joined_at=joined_at, renews_on=renews_on)
    scene.refresh()
    numbers = {who: scene.fact("renewal_number", profile=who)[0] for who in RENEWALS}
    assert numbers == {who: number for who, (*_, number) in RENEWALS.items()}
