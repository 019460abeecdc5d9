"""Inactive casual golfers at a club with a retention of 24 months: the worked cases, and what ends inactivity."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Table

from crm_pipeline.domain.privacy.inactivity import build_returned_golfers_query, find_inactive_profiles
from crm_pipeline.tables.outputs import profiles
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import ANN, AS_OF, CLUB, Scene, Values, ago

BEN = "ben"
LONG_ENOUGH = datetime(2024, 3, 30, 12, tzinfo=UTC)
"""The day before the same day two years ago, which is the first that counts."""


@pytest.fixture
def scene() -> Scene:
    """Returns a scene where Ann registered long ago and never did anything."""
    scene = Scene()
    scene.add(teetime.player)
    return scene


def inactive(scene: Scene, months: int = 24) -> list[str]:
    """Returns the ids of the inactive golfers, once the club was refreshed."""
    scene.refresh()
    con = scene.con
    con.register("customer_profiles", scene.read_columns("profiles", profiles.customer_profiles))
    con.register("customer_timeline", scene.events)
    con.execute("create or replace temp view link_history as from customer_identities")
    con.execute(f"create or replace temp table retention_periods as select '{CLUB}' as tenant_id, {months} as "
                f"casual_golfers_months, as_of() as seen_until")  # fmt: skip
    con.execute("""
        create temp table if not exists identity_reviews (tenant_id varchar, service_a varchar, record_id_a varchar,
            service_b varchar, record_id_b varchar, closed_at timestamptz)""")
    return [profile for _, profile in find_inactive_profiles(con)]


def test_who_never_did_anything_counts_from_when_they_were_first_seen(scene: Scene) -> None:
    scene.add(teetime.player, BEN, created_at=ago(300))
    assert inactive(scene) == [ANN]


@pytest.mark.parametrize(
    ("played", "months", "gone"),
    [
        (datetime(2024, 3, 30, 23, 59, tzinfo=UTC), 24, True),
        (datetime(2024, 3, 31, 0, 0, tzinfo=UTC), 24, False),
        (datetime(2024, 3, 31, 0, 0, tzinfo=UTC), 23, True),
        (datetime(2026, 2, 28, 12, tzinfo=UTC), 1, False),  # 31 March less a month is 28 February
        (datetime(2026, 2, 27, 12, tzinfo=UTC), 1, True),
    ],
)
def test_months_are_the_calendars_and_the_same_day_still_counts(
    scene: Scene, played: datetime, months: int, gone: bool
) -> None:
    scene.add(teetime.booking, tee_time_at=played, booked_at=played, status="PLAYED")
    assert inactive(scene, months) == ([ANN] if gone else [])


def test_days_are_the_clubs_own() -> None:
    scene = Scene(timezone="Africa/Johannesburg")
    scene.add(teetime.booking, booked_at=datetime(2024, 3, 30, 22, 30, tzinfo=UTC), status="NO_SHOW")
    assert inactive(scene) == []


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (teetime.booking, {"booked_at": ago(10), "tee_time_at": ago(5), "status": "PLAYED"}),
        (teetime.booking, {"tee_time_at": ago(-10), "status": "BOOKED"}),
        (teetime.booking, {"status": "NO_SHOW", "price_cents": 5_000}),
        (teetime.handicap_update, {"recorded_at": ago(700)}),
        (teetime.competition_entry, {"entered_at": ago(700)}),
        (teetime.competition_entry, {"played_at": ago(700)}),
        (messaging.message_event, {"kind": "CLICKED", "occurred_at": ago(700)}),
        (crm.campaign_interaction, {"kind": "RESPONDED", "occurred_at": ago(700)}),
        (crm.campaign_interaction, {"kind": "ENQUIRED", "occurred_at": ago(725)}),
        (crm.lead, {"created_at": ago(725)}),
        (crm.referral, {"referred_profile_id": BEN, "occurred_at": ago(725)}),
        (crm.referral, {"referrer_profile_id": BEN, "occurred_at": ago(725)}),
    ],
)
def test_who_did_something_or_has_a_matter_open_stays(scene: Scene, table: Table, values: Values) -> None:
    scene.add(scl.member, BEN)
    scene.add(table, **values)
    assert inactive(scene, 23) == []


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (teetime.booking, {"booked_at": ago(10), "tee_time_at": ago(5), "status": "CANCELLED"}),
        (teetime.booking, {"status": "NO_SHOW"}),
        (teetime.booking, {"status": "PLAYED", "price_cents": 5_000, "paid_at": LONG_ENOUGH}),
        (messaging.message_event, {"kind": "SENT", "occurred_at": ago(10)}),
        (messaging.message_event, {"kind": "OPENED", "occurred_at": ago(10)}),
        (crm.campaign_interaction, {"kind": "UNSUBSCRIBED", "occurred_at": ago(10)}),
        (crm.note, {"created_at": ago(10)}),
        (crm.lead, {"created_at": ago(740)}),
        (crm.referral, {"referred_profile_id": BEN, "occurred_at": ago(740)}),
    ],
)
def test_what_the_club_does_and_what_is_over_is_no_activity(scene: Scene, table: Table, values: Values) -> None:
    scene.add(scl.member, BEN)
    scene.add(table, **values)
    assert inactive(scene) == [ANN]


@pytest.mark.parametrize("status", ["ACTIVE", "LAPSED", "RESIGNED"])
def test_a_member_and_a_former_one_is_no_casual_golfer(scene: Scene, status: str) -> None:
    scene.add(scl.member, membership_status=status)
    assert inactive(scene) == []


def test_who_was_a_member_under_an_id_that_leads_to_them_now_is_none_either(scene: Scene) -> None:
    scene.redirect("old", ANN)
    scene.rows["profile_ids"][-1] |= {"minted_service": "SCL", "minted_record_id": "7"}
    assert inactive(scene) == []


def test_who_is_written_to_and_never_played_is_no_golfer() -> None:
    scene = Scene()
    scene.add(messaging.contact)
    assert inactive(scene) == []


def test_of_a_family_with_one_address_only_who_does_not_come_goes(scene: Scene) -> None:
    scene.rows["teetime_player"][0]["email"] = "family@example.com"
    scene.add(teetime.player, BEN, email="family@example.com")
    scene.add(teetime.booking, BEN, booked_at=ago(10), tee_time_at=ago(9), status="PLAYED")
    assert inactive(scene) == [ANN]


@pytest.mark.parametrize(("closed", "gone"), [("null", []), ("as_of()", [ANN])])
def test_whoever_has_an_open_review_stays(scene: Scene, closed: str, gone: list[str]) -> None:
    inactive(scene)
    scene.con.execute(f"insert into identity_reviews values ('{CLUB}', 'SCL', '7', 'TEETIME', '{ANN}', {closed})")
    assert [profile for _, profile in find_inactive_profiles(scene.con)] == gone


def test_a_club_that_said_nothing_keeps_everybody(scene: Scene) -> None:
    inactive(scene)
    scene.con.execute("delete from retention_periods")
    assert find_inactive_profiles(scene.con) == []


@pytest.mark.parametrize(
    ("values", "again"),
    [
        ({"booked_at": AS_OF, "status": "BOOKED"}, True),
        ({"booked_at": ago(-20), "status": "PLAYED"}, True),
        ({"booked_at": ago(6), "status": "BOOKED"}, True),  # what was on its way to us
        ({"booked_at": ago(8), "status": "PLAYED"}, False),
        ({"booked_at": ago(-20), "status": "CANCELLED"}, False),
    ],
)
def test_who_books_again_comes_again_unless_they_asked_to_be_forgotten(
    scene: Scene, values: Values, again: bool
) -> None:
    scene.add(teetime.booking, tee_time_at=ago(-30), **values)
    inactive(scene)
    for certificate, found in {"c-0": [(CLUB, "c-0")] if again else [], "c": []}.items():
        scene.con.execute(f"""
            create or replace temp table forgotten as select '{CLUB}' as tenant_id, 'TEETIME' as service,
                'Player' as table_name, '{ANN}' as record_id, '{certificate}' as certificate_id,
                as_of() as forgotten_at""")
        comes = scene.con.sql(build_returned_golfers_query(teetime.booking, "present_teetime_booking") or "").fetchall()
        assert comes == found
