"""Every rule of the table of lifecycle stages in scores.md, on both sides of its boundaries."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from sqlalchemy import Table

from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, Scene, Values, ago

Story = Callable[[Scene, str], Any]


def row(table: Table, **values: object) -> Story:
    """Returns a story of one row about the profile."""
    return lambda scene, who: scene.add(table, who, **values)


def played(days: float) -> Story:
    return row(teetime.booking, status="PLAYED", tee_time_at=ago(days))


def planned(days: float, **values: object) -> Story:
    return row(teetime.booking, **({"status": "BOOKED", "tee_time_at": ago(days), "booked_at": ago(500)} | values))


def paid(days: float, **values: object) -> Story:
    return row(scl.payment, **({"status": "SETTLED", "amount_cents": 100, "paid_at": ago(days)} | values))


def paid_by_a_friend(booking: str) -> Story:
    """Returns a story of a payment by another member for the profile's booking."""
    settled = {"status": "SETTLED", "amount_cents": 4_000, "paid_at": ago(1), "booking_id": booking}
    return lambda scene, who: scene.add(scl.payment, f"friend of {who}", **settled)


def ended_and_edited_since(days: float) -> Story:
    """Returns a story of a contract that was first seen ended that many days ago, and whose row was changed today."""

    def add_rows(scene: Scene, who: str) -> None:
        for status, updated in (("LAPSED", 300), ("ACTIVE", 200), ("LAPSED", days), ("LAPSED", 3)):
            scene.member_was(who, membership_status=status, updated_at=ago(updated))
        scene.add(scl.member, who, membership_status="LAPSED", updated_at=ago(0))

    return add_rows


def member(status: str, **values: object) -> Story:
    return row(scl.member, membership_status=status, **values)


def clicked(days: float) -> Story:
    return row(messaging.message_event, kind="CLICKED", occurred_at=ago(days))


def answered(kind: str, days: float) -> Story:
    return row(crm.campaign_interaction, kind=kind, occurred_at=ago(days))


def referred(days: float, transacted: float | None, of: str = "friend of {}", seconds: float = 0) -> Story:
    """Returns a story of a referral, and of the friend who played, `seconds` later."""

    def add_rows(scene: Scene, who: str) -> None:
        friend = of.format(who)
        scene.add(crm.referral, who, referred_profile_id=friend, occurred_at=ago(days))
        scene.add(teetime.player, friend, id=f"{friend}, player")
        if transacted is not None:
            at = ago(transacted, -seconds)
            scene.add(teetime.booking, friend, player_id=f"{friend}, player", status="PLAYED", tee_time_at=at)

    return add_rows


def referred_one_who_is_taken_as_visited(scene: Scene, who: str) -> None:
    scene.add(crm.referral, who, referred_profile_id=f"friend of {who}", occurred_at=ago(20))
    planned(19, price_cents=100, paid_at=ago(25))(scene, f"friend of {who}")


def referred_by_old_id(scene: Scene, who: str) -> None:
    scene.redirect(f"{who}, once", f"friend of {who}")
    referred(9, 9)(scene, who)
    scene.rows["crm_referral"][-1]["referred_profile_id"] = f"{who}, once"


def referred_oneself(scene: Scene, who: str) -> None:
    scene.redirect(f"{who}, once", who)
    scene.add(crm.referral, who, referred_profile_id=f"{who}, once", occurred_at=ago(20))


STORIES: Final[dict[str, dict[str, list[Story]]]] = {
    "ADVOCATE": {
        "a member whose friend came": [member("ACTIVE"), referred(100, 50)],
        "a customer whose friend came": [played(10), referred(100, 50)],
        "just ended": [member("LAPSED", ended_at=ago(30)), referred(100, 50)],
        "friend came, and nobody marked it": [member("ACTIVE"), referred_one_who_is_taken_as_visited],
        "long quiet, but comes again": [played(900), planned(-9), referred(100, 50)],
        "730 days ago": [member("ACTIVE"), referred(730, 1)],
        "friend came that very moment": [member("ACTIVE"), referred(100, 100)],
        "friend is known by another id now": [member("ACTIVE"), referred_by_old_id],
    },
    "MEMBER": {
        "active": [member("ACTIVE")],
        "overdue": [member("OVERDUE")],
        "suspended": [member("SUSPENDED"), played(900)],
        "resigned for later": [member("RESIGNED", ended_at=ago(0, -1))],
        "notice given": [member("ACTIVE", notice_given_at=ago(1))],
        "731 days ago": [member("ACTIVE"), referred(731, 1)],
        "friend came before": [member("ACTIVE"), referred(100, 100, seconds=-1)],
        "friend never came": [member("ACTIVE"), referred(100, None)],
        "referred oneself": [member("ACTIVE"), played(10), referred(20, None, of="{}")],
        "referred an id that is oneself": [member("ACTIVE"), played(10), referred_oneself],
    },
    "CHURNED": {
        "366 days": [played(366)],
        "366 days, and clicks": [paid(366), clicked(1)],
        "366 days, and just ended": [played(366), member("LAPSED", ended_at=ago(5))],
        "ended 31 days ago": [member("LAPSED", ended_at=ago(31))],
        "ended, by its last change": [member("LAPSED", updated_at=ago(31))],
        "resigned 31 days ago": [member("RESIGNED", ended_at=ago(31), updated_at=ago(1))],
        "none since it ended": [member("LAPSED", ended_at=ago(40)), played(41)],
        "its friend came, too late": [member("LAPSED", ended_at=ago(31)), referred(100, 50)],
        "long quiet, though a friend came": [played(900), referred(100, 50)],
        "only fees since it ended": [member("LAPSED", ended_at=ago(40)), paid(10, due_at=ago(20))],
        "only a rest of the fee since it ended": [
            member("LAPSED", ended_at=ago(40), yearly_fee_cents=1200),
            paid(10, amount_cents=101),
        ],
        "called off": [played(366), planned(-9, status="CANCELLED")],
        "no-show of tomorrow": [played(366), planned(-1, status="NO_SHOW")],
        "planned for too late": [played(366), planned(-366)],
        "not paid, and nobody marked it": [played(366), planned(9)],
        "ended when first seen so": [ended_and_edited_since(31)],
    },
    "CUSTOMER": {
        "365 days": [played(365)],
        "paid": [paid(1)],
        "paid booking": [row(teetime.booking, price_cents=100, paid_at=ago(1), tee_time_at=ago(-9))],
        "ended 30 days ago": [member("LAPSED", ended_at=ago(30))],
        "resigned now": [member("RESIGNED", ended_at=AS_OF)],
        "back since it ended": [member("LAPSED", ended_at=ago(200)), played(199)],
        "pending, but played": [member("PENDING"), played(10)],
        "366 days, but comes again": [played(366), planned(-1)],
        "366 days, but comes today": [played(366), planned(0.1)],
        "366 days, but comes in a year": [played(366), planned(-365)],
        "comes again, paid by a friend": [planned(-1, id="theirs"), paid_by_a_friend("theirs")],
        "paid, and nobody marked it": [planned(9, price_cents=100, paid_at=ago(20))],
        "paid by a friend, and nobody marked it": [planned(9, id="ours"), paid_by_a_friend("ours")],
        "more than fees since it ended": [member("LAPSED", ended_at=ago(40)), paid(10)],
        "joins tomorrow, and played": [member("ACTIVE", joined_at=ago(-1)), played(9)],
        "ended 30 days ago when first seen so": [ended_and_edited_since(30)],
    },
    "PROSPECT": {
        "clicked 180 days ago": [clicked(180)],
        "responded 180 days ago": [answered("RESPONDED", 180)],
        "a lead who clicked": [row(crm.lead, created_at=ago(9)), clicked(9)],
        "pending, and clicked": [member("PENDING"), clicked(9)],
    },
    "LEAD": {
        "a lead": [row(crm.lead, created_at=ago(730))],
        "an enquiry": [answered("ENQUIRED", 730)],
        "a form": [answered("FORM_SUBMITTED", 730)],
        "pending": [member("PENDING")],
        "booked, not paid": [row(teetime.booking, tee_time_at=ago(-9))],
        "did not show up": [row(teetime.booking, status="NO_SHOW")],
        "handicap": [row(teetime.handicap_update)],
        "competition": [row(teetime.competition_entry)],
        "competition played": [row(teetime.competition_entry, played_at=ago(9))],
        "clicked 181 days ago, and asked": [clicked(181), answered("ENQUIRED", 181)],
        "joins tomorrow": [member("ACTIVE", joined_at=ago(-1))],
        "joins in a second": [member("OVERDUE", joined_at=ago(0, -1))],
        "ended, but comes again": [member("LAPSED", ended_at=ago(40)), planned(-9)],
        "not paid, and nobody marked it": [planned(9)],
    },
    "SUBSCRIBER": {
        "a contact": [row(messaging.contact, email_opt_in=True)],
        "a player": [row(teetime.player)],
        "clicked 181 days ago": [clicked(181)],
        "responded 181 days ago": [answered("RESPONDED", 181)],
        "a lead of 731 days": [row(crm.lead, created_at=ago(731))],
        "an enquiry of 731 days": [answered("ENQUIRED", 731)],
        "a form of 731 days": [answered("FORM_SUBMITTED", 731)],
        "cancelled": [row(teetime.booking, status="CANCELLED", price_cents=100, paid_at=ago(9))],
        "only opened": [row(messaging.message_event, kind="OPENED", occurred_at=ago(1))],
        "unsubscribed": [row(messaging.contact), answered("UNSUBSCRIBED", 1)],
        "only a note": [row(crm.note)],
        "referred a friend, no more": [referred(9, 5)],
    },
}


CASES: Final = [(stage, story) for stage, stories in STORIES.items() for story in stories]


@pytest.fixture(scope="module")
def profiles() -> dict[str, Values]:
    scene = Scene()
    for stage, story in CASES:
        scene.add(messaging.contact, f"{stage}: {story}")
        for add_rows in STORIES[stage][story]:
            add_rows(scene, f"{stage}: {story}")
    return scene.refresh().profiles


@pytest.mark.parametrize(("stage", "story"), CASES)
def test_the_first_rule_that_holds(profiles: dict[str, Values], stage: str, story: str) -> None:
    assert profiles[f"{stage}: {story}"]["lifecycle_stage"] == stage
