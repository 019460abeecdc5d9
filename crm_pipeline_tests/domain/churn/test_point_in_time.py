"""Point-in-time facts: those of an earlier day are what a run of that day found, with what became of them since."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from crm_pipeline.domain.churn.mbg_nbd import PRIOR
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID, TenantModel
from crm_pipeline.domain.churn.point_in_time import find_current_facts, find_past_facts
from crm_pipeline.domain.churn.renewal_fit import MEMBER_TERM_CODES
from crm_pipeline.domain.churn.train import train_churn_models
from crm_pipeline.domain.churn.training_data import SeasonFit, read_members, read_visitors
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline.vocabulary import MembershipStatus
from crm_pipeline_tests.fixtures.worlds.random_profiles import Row, club, clubs
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, CLUB, Scene, Values, ago, thorough


def look_back(scene: Scene, days: int) -> None:
    """Refreshes the scene, and puts its facts back."""
    scene.refresh()
    ready(scene)
    find_current_facts(scene.con, AS_OF)
    find_past_facts(scene.con, AS_OF, days)


def ready(scene: Scene) -> None:
    scene.con.execute("create or replace temp table current_timeline as from customer_timeline")
    scene.con.execute("create or replace temp table current_payments as from scl_payment")
    scene.con.unregister("customer_timeline")


def past(scene: Scene, days: int, *columns: str) -> dict[str, tuple[Any, ...]]:
    rows = scene.con.sql(f"select id, {', '.join(columns)} from facts_{days}").fetchall()
    return {who: tuple(values) for who, *values in rows}


def club_in_order(drawn: tuple[list[Row], str]) -> Scene:
    """Returns a club in which nothing is played, paid or changed before it was booked, and all is paid when booked."""
    scene = club(drawn)
    for booking in scene.rows["teetime_booking"]:
        booked = booking["booked_at"] = min(booking["booked_at"], booking["tee_time_at"])
        booking |= {"paid_at": booking["paid_at"] and booked, "updated_at": max(booked, booking["updated_at"])}
    for entry in scene.rows["teetime_competition_entry"]:
        entry["entered_at"] = min(entry["entered_at"], entry["played_at"])
    for payment in scene.rows["scl_payment"]:
        payment["booking_id"] = None
    return scene


def put_back(scene: Scene, then: datetime) -> None:
    """Takes away what was not there yet; a booking was not marked before its tee time."""
    for name, when in {"teetime_booking": "booked_at", "teetime_competition_entry": "entered_at"}.items():
        scene.rows[name] = [row for row in scene.rows[name] if row[when] <= then]
    scene.rows["scl_payment"] = [row for row in scene.rows["scl_payment"] if row["paid_at"] <= then]
    for booking in scene.rows["teetime_booking"]:
        is_cancelled = booking["status"] == "CANCELLED"
        if booking["updated_at"] > then if is_cancelled else booking["tee_time_at"] > then:
            booking["status"] = "BOOKED"
    for row in (*scene.rows["teetime_booking"], *scene.rows["scl_member"]):
        row["updated_at"] = min(row["updated_at"], then)


@thorough(6)
@given(clubs)
def test_visits_and_plans_were_what_a_run_of_that_day_found(drawn: tuple[list[Row], str]) -> None:
    then = AS_OF - timedelta(days=90)
    scene, of_that_day = club_in_order(drawn), club_in_order(drawn)
    look_back(scene, 90)
    put_back(of_that_day, then)
    of_that_day.refresh(then)
    columns = (
        "id, visit_days, last_visit_at, visit_value, next_visit_age, visited_bookings, missed_bookings, last_play_age"
    )
    found, expected = (
        each.con.sql(f"select {columns} from {facts} order by all").fetchall()
        for each, facts in ((scene, "facts_90"), (of_that_day, "facts"))
    )
    assert found == expected


def test_who_left_and_who_came_again() -> None:
    scene = Scene()
    for who, days in {"left": (200, 91), "stayed": (200, 89), "on the day": (200, 90), "new": (10,)}.items():
        for age in days if isinstance(days, tuple) else (days,):
            scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(age))
    look_back(scene, 90)
    assert past(scene, 90, "visit_days", "last_visit_age", "has_left") == {
        "left": (2, 1, True),
        "stayed": (1, 110, False),
        "on the day": (2, 0, True),
        "new": (0, None, False),
    }


def test_who_paid_a_fee_has_left_and_who_became_a_member_has_not() -> None:
    scene = Scene()
    for who in ("fee", "joined", "joined and left", "pending", "joins later", "left before", "came back"):
        scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(200))
    for who, status, joined in (
        *(("joined", "ACTIVE", 50), ("joined and left", "LAPSED", 50)),
        *(("pending", "PENDING", 50), ("joins later", "ACTIVE", -1), ("fee", "PENDING", 300)),
        ("left before", "LAPSED", 500),
    ):
        scene.add(scl.member, who, membership_status=status, joined_at=ago(joined), updated_at=ago(100))
    scene.add(scl.payment, "fee", status="SETTLED", amount_cents=100, due_at=ago(9), paid_at=ago(9))
    scene.add(teetime.booking, "came back", tee_time_at=ago(30), booked_at=ago(31), price_cents=1, paid_at=ago(31))
    look_back(scene, 90)
    left = {who: has_left for who, (has_left,) in past(scene, 90, "has_left").items()}
    stayed = {"joined": False, "joined and left": False, "came back": False}
    assert left == stayed | dict.fromkeys(("fee", "pending", "joins later", "left before"), True)


def test_a_visit_was_planned_whatever_became_of_it_unless_it_was_seen_cancelled() -> None:
    scene = Scene()
    bookings: dict[str, Values] = {
        "came": {"status": "PLAYED"},
        "did not show up": {"status": "NO_SHOW"},
        "called off since": {"status": "CANCELLED", "updated_at": ago(89)},
        "called off before": {"status": "CANCELLED", "updated_at": ago(91)},
        "nobody marked it": {"status": "BOOKED"},
        "booked since": {"status": "PLAYED", "booked_at": ago(89)},
        "still to come": {"status": "BOOKED", "tee_time_at": ago(-9)},
    }
    for who, values in bookings.items():
        scene.add(teetime.booking, who, **({"booked_at": ago(100), "tee_time_at": ago(80)} | values))
        scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(200), booked_at=ago(200))
    look_back(scene, 90)
    planned = {who: age for who, (age,) in past(scene, 90, "next_visit_age").items()}
    ahead = dict.fromkeys(("came", "did not show up", "called off since", "nobody marked it"), -10)
    assert planned == ahead | {"called off before": None, "booked since": None, "still to come": -99}
    no_show = dict(zip(planned, read_visitors(scene.con, "facts_90", {}, 90)[CLUB].no_show, strict=False))
    assert sorted(no_show.values()) == [pytest.approx(1 / 11)] * 4 + [1.0] * 3


@pytest.mark.parametrize(
    ("member", "status", "has_lapsed"),
    [
        ({"membership_status": "ACTIVE", "joined_at": ago(366)}, "ACTIVE", False),
        ({"membership_status": "ACTIVE", "joined_at": ago(364)}, None, False),
        ({"membership_status": "LAPSED", "joined_at": ago(900), "ended_at": ago(300)}, "ACTIVE", True),
        ({"membership_status": "LAPSED", "joined_at": ago(900), "ended_at": ago(400)}, "LAPSED", True),
        ({"membership_status": "RESIGNED", "joined_at": ago(900), "updated_at": ago(30)}, "ACTIVE", True),
        ({"membership_status": "RESIGNED", "joined_at": ago(900), "ended_at": ago(-30)}, "ACTIVE", False),
        ({"membership_status": "SUSPENDED", "joined_at": ago(900)}, "ACTIVE", False),
        ({"membership_status": "PENDING", "joined_at": ago(900)}, None, True),
    ],
)
def test_past_memberships_follow_from_their_dates(member: dict[str, Any], status: str | None, has_lapsed: bool) -> None:
    scene = Scene()
    scene.add(scl.member, "member", **member)
    look_back(scene, 365)
    assert past(scene, 365, "membership_status", "has_lapsed") == {"member": (status, has_lapsed)}


def test_a_fee_paid_late_was_overdue_and_notice_was_given_when_it_was() -> None:
    scene = Scene()
    joined = {"membership_status": "ACTIVE", "joined_at": ago(900)}
    scene.add(scl.member, "late", **joined, notice_given_at=ago(10))
    scene.add(scl.payment, "late", status="SETTLED", due_at=ago(365 + 40), paid_at=ago(300), amount_cents=1)
    scene.add(scl.member, "in time", **joined, notice_given_at=ago(380))
    scene.add(scl.payment, "in time", status="SETTLED", due_at=ago(365 + 40), paid_at=ago(370), amount_cents=1)
    look_back(scene, 365)
    found = past(scene, 365, "membership_status", "overdue_31_60", "coalesce(gave_notice, false)")
    assert found == {"late": (MembershipStatus.OVERDUE, True, False), "in time": (MembershipStatus.ACTIVE, False, True)}


WINTER = (0.1, 0.1, 0.1, *[1.45] * 9)


@pytest.mark.parametrize(
    ("season", "terms"),
    [
        (None, {"60": "no_play_60", "200": "no_play_180", "400": "no_play_365", "never": "never_played"}),
        (WINTER, {"60": "", "200": "no_play_60", "400": "no_play_365", "never": ""}),
    ],
)
def test_the_terms_of_play_are_learned_from_what_they_were_a_year_ago(
    season: tuple[float, ...] | None, terms: dict[str, str]
) -> None:
    """By the club's clock, as they are applied; what was played since then says nothing."""
    scene = Scene()
    for who in (*terms, "plays"):
        scene.add(scl.member, who, membership_status="ACTIVE", joined_at=ago(365 + (190 if who == "never" else 900)))
        scene.add(teetime.player, who, created_at=ago(3_000))
        for days in (365 + (int(who) if who.isdigit() else 5), 300):
            if who != "never" or days < 365:
                scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(days), booked_at=ago(days))
    look_back(scene, 365)
    members, _ = read_members(scene.con, {CLUB: SeasonFit(season, 1_000)})
    order = [who for (who,) in scene.con.sql("select id from facts_365 order by md5(id)").fetchall()]
    found = {
        who: " ".join(code for code, holds in zip(MEMBER_TERM_CODES, flags, strict=True) if holds)
        for who, flags in zip(order, members[CLUB].term_flags, strict=True)
    }
    assert found == terms | {"plays": ""}


def test_a_club_without_any_past_has_the_prior_and_no_backtest() -> None:
    scene = Scene()
    scene.add(teetime.player, "nobody")
    scene.refresh()
    ready(scene)
    result = train_churn_models(scene.con, [CLUB], AS_OF)
    assert result.backtests == {}
    for tenant in (POOLED_TENANT_ID, CLUB):
        model = result.models[tenant].model
        assert model.visits[:4] == pytest.approx(PRIOR[:4])
        assert model[1:3] == TenantModel()[1:3]
        assert not result.models[tenant].is_fallback


def test_a_pool_that_does_not_beat_the_base_rate_falls_back_to_the_prior() -> None:
    """The silent came back, and the regular stayed away."""
    scene = Scene()
    for number in range(12):
        for who, ages in ((f"regular {number}", range(366, 700, 12)), (f"silent {number}", (900, 100))):
            for age in ages:
                scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(age))
    scene.refresh()
    ready(scene)
    result = train_churn_models(scene.con, [CLUB], AS_OF)
    assert {tenant: (each.is_fallback, each.model.visits) for tenant, each in result.models.items()} == {
        POOLED_TENANT_ID: (True, PRIOR),
        CLUB: (True, PRIOR),
    }


def test_a_fit_that_does_not_beat_the_base_rate_falls_back_to_the_pool() -> None:
    """At `odd` the silent came back and the regular stayed away; forty and forty at `club` do as the model expects."""
    scene = Scene()
    scene.tenant("odd")
    for number in range(12):
        regular, silent = f"regular {number}", f"silent {number}"
        for age in range(366, 700, 12):
            scene.add(teetime.booking, regular, tenant_id="odd", status="PLAYED", tee_time_at=ago(age))
        for age in (900, 100):
            scene.add(teetime.booking, silent, tenant_id="odd", status="PLAYED", tee_time_at=ago(age))
    for number in range(40):
        for age in range(1 + number, 600, 20 + number):
            scene.add(teetime.booking, f"stays {number}", status="PLAYED", tee_time_at=ago(age))
        scene.add(teetime.booking, f"gone {number}", status="PLAYED", tee_time_at=ago(700 + number))
    scene.refresh()
    ready(scene)
    result = train_churn_models(scene.con, [CLUB, "odd"], AS_OF)
    assert not result.backtests["odd", 365].is_better_than_base_rate
    assert result.backtests[CLUB, 365].is_better_than_base_rate
    assert {tenant: each.is_fallback for tenant, each in result.models.items()} == {
        POOLED_TENANT_ID: False,
        CLUB: False,
        "odd": True,
    }
    assert result.models["odd"].model.visits == result.models[POOLED_TENANT_ID].model.visits
