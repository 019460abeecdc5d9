"""`crm-pipeline what-if`: its result equals what a run with that setting then does, and it changes nothing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipeline.explain.what_if import ProfileChange, TenantUnavailableError
from crm_pipeline.sample import Club
from crm_pipeline_tests.fixtures.homes.questions import Changed, State, command, effect
from crm_pipeline_tests.fixtures.homes.support import ask
from crm_pipeline_tests.fixtures.worlds.world_rows import CLUBS, FYNBOS, HEATHER, SAGUARO, contact, lead, member, player

THANDI = (
    member(18, FYNBOS, "Thandi Molefane", "2020-09-01"),
    player("thandi-molefane", FYNBOS, "Thandi Molefane"),
    contact("thandi-molefane", FYNBOS, "Thandi Molefane"),
    lead("thandi-molefane", FYNBOS, "T Molefane"),
)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.mark.parametrize("club", CLUBS, ids=lambda club: club.slug)
@pytest.mark.parametrize("min_confidence", [0.85, 0.5])
def test_what_changes_nothing_reports_nothing(sample_home: Path, club: Club, min_confidence: float) -> None:
    result = effect(sample_home, club.slug, min_confidence)
    assert (result.merges, result.splits, result.people_affected, result.cents_moved) == ([], [], 0, 0)
    assert (result.opt_ins_on, result.opt_ins_off, result.profiles) == (0, 0, result.other_profiles)


def test_a_profile_linked_by_phone_alone_splits_above_its_confidence(sample_home: Path) -> None:
    ids = [row.profile_id for row in THANDI]
    assert ProfileChange(ids[0], sorted(ids)) in effect(sample_home, FYNBOS.slug, 0.9).splits


def find_profile_moves(before: State, after: State) -> set[tuple[str, str]]:
    """Returns each profile before, with every profile that its records are on afterwards."""
    return {(profile, after.profiles[record]) for record, profile in before.profiles.items()}


def test_the_predicted_profiles_are_those_of_the_run(changed: Changed) -> None:
    forward, before, after = changed.forward, changed.before, changed.after
    pairs = find_profile_moves(before, after)
    parts = {one: sorted(b for a, b in pairs if a == one) for one, _ in pairs}
    split = {one: others for one, others in parts.items() if len(others) > 1}
    assert len(split) > 3
    assert {change.profile_id: change.profile_ids for change in forward.splits} == split
    assert forward.merges == []
    assert (forward.profiles, forward.other_profiles) == (len(before.flags), len(after.flags))
    assert forward.people_affected == len(split)
    assert (forward.min_confidence, forward.other_min_confidence) == (0.85, 0.99)


def test_the_predicted_opt_ins_and_money_are_those_of_the_run(changed: Changed) -> None:
    forward, before, after = changed.forward, changed.before, changed.after
    changes = [
        would_be
        for one, other in find_profile_moves(before, after)
        for agreed, would_be in zip(before.flags[one], after.flags[other], strict=True)
        if agreed != would_be
    ]
    assert (forward.opt_ins_on, forward.opt_ins_off) == (changes.count(True), changes.count(False))
    assert forward.opt_ins_off > 0
    moved: dict[tuple[str, str], int] = {}
    for event, (profile, cents) in before.money.items():
        other = after.money[event][0]
        if other != profile:
            moved[profile, other] = moved.get((profile, other), 0) + cents
    assert forward.cents_moved == sum(map(abs, moved.values())) > 0


def test_the_reverse_change_merges_what_was_split(changed: Changed) -> None:
    assert changed.back.splits == []
    assert changed.back.merges == changed.forward.splits
    assert changed.back.cents_moved == changed.forward.cents_moved
    assert (changed.back.opt_ins_on, changed.back.opt_ins_off) == (changed.forward.opt_ins_off, 0)


def test_nothing_is_written_and_nobody_is_named(sample_home: Path) -> None:
    def state() -> list[tuple[str, int]]:
        lake = sample_home / "lake"
        return sorted((str(path), path.stat().st_mtime_ns) for path in lake.rglob("*") if path.is_file())

    before, publications = state(), ask(sample_home, "select * from crm.publications order by 1, 2")
    done = command(sample_home, "what-if", "--tenant", HEATHER.slug, "--min-confidence", "0.9", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert state() == before
    assert ask(sample_home, "select * from crm.publications order by 1, 2") == publications
    assert {word for word in words(json.loads(done.stdout)) if not UUID.fullmatch(word)} == {HEATHER.slug, "GBP"}


def words(value: object) -> Iterator[str]:
    """Yields every text value in a document."""
    match value:
        case dict():
            yield from (word for each in value.values() for word in words(each))
        case list():
            yield from (word for each in value for word in words(each))
        case str():
            yield value


def test_the_list_is_limited_and_says_how_many_are_left(sample_home: Path) -> None:
    asked = ("what-if", "--tenant", HEATHER.slug, "--min-confidence", "0.9", "--limit", "2")
    splits = json.loads(command(sample_home, *asked, "--json").stdout)["splits"]
    assert len(splits["first"]) == 2 < splits["count"]
    printed = command(sample_home, *asked).stdout
    assert printed.startswith("heather-moor: a least confidence of 0.9 instead of 0.85. Nothing has been changed.\n")
    assert printed.endswith(f"  and {splits['count'] - 2} more\n")


def test_nothing_is_said_in_one_line(sample_home: Path) -> None:
    done = command(sample_home, "what-if", "--tenant", HEATHER.slug, "--min-confidence", "0.8")
    assert done.stdout == "At 0.8 instead of 0.85, nothing would change for heather-moor.\n"


def test_a_club_that_cannot_be_asked_about_is_named(sample_home: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TenantUnavailableError, match="no such tenant: atlantis; known are fynbos-links, heather-moor, saguaro"
    ):
        effect(sample_home, "atlantis", 0.9)
    with pytest.raises(TenantUnavailableError, match="nothing is known of heather-moor yet: crm-pipeline run"):
        effect(tmp_path, HEATHER.slug, 0.9)


def test_a_closed_club_is_not_resolved(changed: Changed) -> None:
    with pytest.raises(TenantUnavailableError, match="saguaro-ridge is closed and no longer resolved"):
        effect(changed.home, SAGUARO.slug, 0.9)
