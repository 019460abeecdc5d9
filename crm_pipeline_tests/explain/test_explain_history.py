"""`crm-pipeline explain` after profile ids changed: former ids redirect, retired ids raise an error."""

import pytest

from crm_pipeline.explain import ProfileNotFoundError
from crm_pipeline_tests.fixtures.homes.questions import ISLA, RUTH, WALTER, Changed, answer, page
from crm_pipeline_tests.fixtures.worlds.world_rows import HEATHER, SAGUARO, player


def test_a_former_id_leads_to_the_person_and_says_so(changed: Changed) -> None:
    document = answer(changed.home, HEATHER.slug, "profile", RUTH.profile_id)
    assert document["asked"] == {
        "tenant_id": HEATHER.slug,
        "by": "profile",
        "value": ISLA.profile_id,
        "redirected_from": RUTH.profile_id,
    }
    (isla,) = document["people"]
    assert isla["profile_id"] == ISLA.profile_id
    assert [row["profile_id"] for row in isla["id_history"]["ids"]] == [ISLA.profile_id, RUTH.profile_id]
    said = page(document)
    assert said.startswith(f"{RUTH.profile_id} is a former id: that profile is now part of this one.")
    assert f"2 Apr 2026: {RUTH.profile_id} became part of {ISLA.profile_id}" in said
    assert "staff decided that they are one person, with TeeTime player player-isla-sedgeley (staff-2: The same" in said


def test_the_history_has_every_event_of_every_id_that_is_the_person_now(changed: Changed) -> None:
    (isla,) = answer(changed.home, HEATHER.slug, "record", "MESSAGING:contact-ruth-ashdown")["people"]
    life = [(event["event_type"], event["profile_id"]) for event in isla["id_history"]["events"]]
    assert sorted(life) == sorted(
        [("CREATED", ISLA.profile_id), ("CREATED", RUTH.profile_id), ("MERGED", RUTH.profile_id)]
    )


def test_a_retired_id_says_when_and_why_in_one_line(changed: Changed) -> None:
    with pytest.raises(ProfileNotFoundError) as error:
        answer(changed.home, HEATHER.slug, "profile", WALTER.profile_id)
    assert str(error.value) == (
        f"profile {WALTER.profile_id} of heather-moor was retired on 2 Apr 2026:"
        " its anchor MESSAGING contact-walter-holbrook and all that was left of its last cluster are gone"
    )


def test_somebody_of_a_closed_club_can_still_be_asked_for(changed: Changed) -> None:
    document = answer(changed.home, SAGUARO.slug, "email", "FRANK.larkfield@example.com")
    assert document["people"][0]["profile_id"] == player("frank-larkfield", SAGUARO, "Frank Larkfield").profile_id
    assert page(document).splitlines()[1] == "Saguaro Ridge, as of 31 Mar 2026 05:00, times in America/Phoenix"
