"""Point-in-time facts: those of an earlier day are what a run of that day found, with what became of them since."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.domain.churn.mbg_nbd import PRIOR
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID, TenantModel
from crm_pipeline.domain.churn.point_in_time import find_current_facts, find_past_facts
from crm_pipeline.domain.churn.train import train_churn_models
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline.vocabulary import MembershipStatus
from crm_pipeline_tests.fixtures.worlds.random_profiles import Row, club, clubs
from crm_pipeline_tests.fixtures.worlds.scene import AS_OF, CLUB, Scene, ago, thorough


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


@thorough(6)
@given(clubs)
def test_visits_were_what_a_run_of_that_day_found(drawn: tuple[list[Row], str]) -> None:
    then = AS_OF - timedelta(days=90)
    scene, of_that_day = club(drawn), club(drawn)
    of_that_day.refresh()
    look_back(scene, 90)
    # The day's own run, on the events that had happened by then.
    con = of_that_day.con
    define_as_of(con, then)
    con.execute("create temp table known as select * from customer_timeline where occurred_at <= as_of()")
    expected = con.sql("""
        select tenant_id, profile_id, count(distinct cast(timezone(timezone, occurred_at) as date)),
            max(occurred_at) from known join tenants using (tenant_id)
        where counts_as in ('PAYMENT', 'ROUND_PLAYED') group by all order by all""").fetchall()
    found = scene.con.sql("""
        select tenant_id, id, transaction_days, last_transaction_at from facts_90
        where has_transacted order by all""").fetchall()
    assert found == expected


def test_who_left_and_who_came_again() -> None:
    scene = Scene()
    for who, days in {"left": (200, 91), "stayed": (200, 89), "on the day": (200, 90), "new": (10,)}.items():
        for age in days if isinstance(days, tuple) else (days,):
            scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(age))
    look_back(scene, 90)
    assert past(scene, 90, "transaction_days", "last_transaction_age", "has_left") == {
        "left": (2, 1, True),
        "stayed": (1, 110, False),
        "on the day": (2, 0, True),
        "new": (0, None, False),
    }


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
