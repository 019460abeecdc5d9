"""Changes of stage: reported once, by the run that saw them; the funnel."""

import json

from crm_pipeline.domain.scoring.lifecycle import count_stages
from crm_pipeline.tables.sources import scl, teetime
from crm_pipeline_tests.fixtures.worlds.scene import ANN, AS_OF, Refreshed, Scene, Values, ago


def changes(run: Refreshed) -> list[Values]:
    return [event for event in run.timeline if event["event_type"] == "STAGE_CHANGED"]


def customer() -> Scene:
    """Ann, whose one round is 365 days old."""
    scene = Scene()
    scene.add(teetime.booking, status="PLAYED", tee_time_at=ago(365))
    return scene


def test_a_first_stage_is_no_change() -> None:
    run = customer().refresh()
    assert run.profiles[ANN]["lifecycle_stage"] == "CUSTOMER"
    assert (changes(run), run.transitions) == ([], {})


def test_a_change_is_an_event_of_the_run_that_saw_it() -> None:
    scene = customer()
    scene.refresh()
    run = scene.refresh(ago(-1))
    [event] = changes(run)
    assert run.transitions == {("CUSTOMER", "CHURNED"): 1}
    assert (event["profile_id"], event["occurred_at"], event["source"]) == (ANN, ago(-1), "CRM")
    assert event["event_id"] == f"CRM:CustomerProfile:{ANN}:STAGE_CHANGED:{int(ago(-1).timestamp())}000000"
    assert event["summary"] == "Stage changed from CUSTOMER to CHURNED"
    assert json.loads(event["details"]) == {"from_stage": "CUSTOMER", "to_stage": "CHURNED"}
    assert (event["counts_as"], event["amount_cents"], event["currency"]) == (None, None, None)


def test_the_funnel_counts_who_is_there_or_deeper_and_the_churned_apart() -> None:
    scene = Scene()
    scene.add(teetime.player, "subscriber")
    scene.add(teetime.handicap_update, "lead")
    scene.add(scl.member, "member", membership_status="ACTIVE")
    for who, days in (("customer", 10), ("churned", 366)):
        scene.add(teetime.booking, who, status="PLAYED", tee_time_at=ago(days))
    scene.refresh()
    assert count_stages(scene.con, "profiles") == [
        ("SUBSCRIBER", 1, 4),
        ("LEAD", 1, 3),
        ("PROSPECT", 0, 2),
        ("CUSTOMER", 1, 2),
        ("MEMBER", 1, 1),
        ("ADVOCATE", 0, 0),
        ("CHURNED", 1, 1),
    ]


def test_the_same_hour_or_a_later_one_adds_no_change_again() -> None:
    scene = customer()
    scene.refresh()
    first = scene.refresh(ago(-1))
    again, later = scene.refresh(), scene.refresh(ago(-2))
    assert again.transitions == later.transitions == {}
    assert changes(again) == changes(later) == changes(first)
    assert again.timeline == first.timeline
    assert again.profiles == first.profiles


def test_every_change_stays_on_the_timeline() -> None:
    scene = customer()
    scene.refresh()
    scene.refresh(ago(-1))
    scene.add(teetime.booking, status="PLAYED", tee_time_at=ago(-1))
    run = scene.refresh(ago(-2))
    words = [event["summary"] for event in changes(run)]
    assert words == ["Stage changed from CUSTOMER to CHURNED", "Stage changed from CHURNED to CUSTOMER"]
    assert [event["occurred_at"] for event in changes(run)] == [ago(-1), ago(-2)]


def test_changes_of_stage_change_no_number() -> None:
    scene = customer()
    scene.refresh()
    changed, settled = scene.refresh(ago(-1)), scene.refresh()
    assert changes(changed)
    assert settled.profiles == changed.profiles


def test_a_profile_that_merged_takes_its_history_along() -> None:
    scene = customer()
    scene.refresh()
    before = scene.refresh(ago(-1))
    scene.rows["profile_ids"][0] |= {"is_live": False, "redirects_to": "older"}
    for link in scene.rows["links"]:
        link["profile_id"] = "older"
    scene.rows["profile_ids"].append({"tenant_id": "club", "profile_id": "older", "is_live": True})
    run = scene.refresh()
    [event] = changes(run)
    assert event == changes(before)[0] | {"profile_id": "older"}
    assert event["occurred_at"] > AS_OF
