"""Profile ids over time: creation, merges, splits, moves, retirement and return, by example and on random histories.

Their invariants are in `test_identity_invariants.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid5

from hypothesis import given

from crm_pipeline.domain.identity.profile_ids import PROFILE_ID_NAMESPACE
from crm_pipeline.domain.identity.resolve import Resolution
from crm_pipeline_tests.fixtures.worlds.identity_worlds import (
    T,
    about,
    events,
    history,
    id_of,
    partition,
    run,
    select_tenants,
    world,
)
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person
from crm_pipeline_tests.fixtures.worlds.random_worlds import MANY, Tenants, histories, tenants, thorough

ANN, ANNS = Person("SCL", "1", email="ann@x.example"), Person("TEETIME", "p", email="ann@x.example")
CONTACT, LEAD = Person("MESSAGING", "c", email="mel@x.example"), Person("CRM", "l", email="mel@x.example")


def created_id(person: Person, generation: int = 0) -> str:
    return str(uuid5(PROFILE_ID_NAMESPACE, f"{T}|{person.service}|{person.record_id}|{generation}"))


def redirects(found: Resolution) -> dict[str, str]:
    rows = found.profile_ids.to_pylist()
    return {row["profile_id"]: row["redirects_to"] for row in rows if row["redirects_to"]}


def test_an_id_is_made_from_the_first_record_of_its_cluster() -> None:
    [found] = history([LEAD, ANNS, ANN])
    assert id_of(found, ANNS) == created_id(ANN)
    assert [(r["birth_order"], r["generation"], r["is_live"]) for r in found.profile_ids.to_pylist()] == [
        (0, 0, True),
        (1, 0, True),
    ]
    assert events(found) == sorted([("CREATED", created_id(ANN), None), ("CREATED", created_id(LEAD), None)])


def test_two_cold_builds_give_the_same_ids() -> None:
    assert run(world(ANN, ANNS, LEAD)) == run(world(LEAD, ANNS, ANN))


def test_a_merge_redirects_the_younger_id_and_its_undoing_restores_both_exactly() -> None:
    together = [CONTACT._replace(email="ann@x.example"), LEAD._replace(email="ann@x.example")]
    apart, merged, restored = history([ANN, ANNS, CONTACT, LEAD], [ANN, ANNS, *together], [ANN, ANNS, CONTACT, LEAD])
    older, younger = created_id(ANN), created_id(CONTACT)
    assert len(partition(merged)) == 1
    assert redirects(merged) == {younger: older}
    assert events(merged) == [("MERGED", younger, older)]
    assert restored.customer_identities == apart.customer_identities
    assert restored.profile_ids == apart.profile_ids
    assert events(restored) == [("RESURRECTED", younger, None), ("SPLIT", older, younger)]


def test_redirects_are_flat() -> None:
    a, b, c = (Person(service, "1", email=f"{service}@x.example") for service in ("CRM", "MESSAGING", "TEETIME"))
    first = [a, b._replace(email=a.email), c]
    oldest = Person("SCL", "1", email=a.email)
    apart, merged, again = history([a, b, c], first, [*first, oldest, c._replace(record_id="2", email=a.email)])
    assert set(redirects(merged).values()) == {id_of(merged, a)}
    assert set(redirects(again).values()) == {id_of(again, a)}
    assert id_of(apart, b) == id_of(merged, a), "MESSAGING comes before CRM, so its id was born before"


def test_two_splits_and_an_id_that_redirects_elsewhere() -> None:
    member, contact = Person("SCL", "1", email="a@x.example"), Person("MESSAGING", "c", email="b@x.example")
    player = Person("TEETIME", "p", email="c@x.example")
    *_, first, second = history(
        [member, player, contact],
        [member, player, contact._replace(email="a@x.example")],
        [member, player, contact._replace(email="c@x.example")],
    )
    assert events(first) == [("MERGED", created_id(contact), created_id(member))]
    assert events(second) == [("MERGED", created_id(contact), created_id(player))]


def test_an_anchor_moves_only_when_its_record_is_gone() -> None:
    both, without, back = history([ANN, ANNS], [ANNS], [ANN, ANNS])
    assert id_of(without, ANNS) == id_of(both, ANN)
    assert events(without) == []
    [row] = without.profile_ids.to_pylist()
    assert (row["anchor_service"], row["anchor_record_id"], row["minted_service"]) == ("TEETIME", "p", "SCL")
    assert id_of(back, ANN) == id_of(both, ANN)
    assert without.customer_identities["rule"].to_pylist() == ["ANCHOR"]


def test_a_record_that_joined_another_cluster_still_anchors_its_id() -> None:
    other = Person("SCL", "0", email="mel@x.example")
    _, after = history([other, ANN, ANNS], [other, ANN._replace(service="SCL", email="gone@x.example"), ANNS])
    assert id_of(after, ANN) == created_id(ANN)
    assert id_of(after, ANNS) == created_id(ANNS)
    assert ("SPLIT", created_id(ANN), created_id(ANNS)) in events(after)


def test_the_largest_part_of_the_last_cluster_takes_the_id() -> None:
    contact, lead = CONTACT._replace(email="ann@x.example"), LEAD._replace(email="ann@x.example")
    _, after = history([ANN, ANNS, contact, lead], [ANNS, CONTACT, LEAD])
    assert id_of(after, CONTACT) == id_of(after, LEAD) == created_id(ANN)
    assert id_of(after, ANNS) == created_id(ANNS)
    _, equal_parts = history([ANN, ANNS, contact], [ANNS, CONTACT])
    assert id_of(equal_parts, ANNS) == created_id(ANN)


def test_an_id_retires_with_its_last_record_and_returns_with_its_anchor() -> None:
    _, gone, still_gone, back = history([ANN, ANNS, LEAD], [LEAD], [LEAD], [LEAD, ANN])
    assert events(gone) == [("RETIRED", created_id(ANN), None)]
    assert events(still_gone) == []
    assert events(back) == [("RESURRECTED", created_id(ANN), None)]
    assert id_of(back, ANN) == created_id(ANN)


def test_a_record_whose_id_moved_on_gets_one_of_the_next_generation() -> None:
    *_, after = history([ANN, ANNS], [ANNS], [ANN._replace(email="new@x.example"), ANNS])
    assert id_of(after, ANNS) == created_id(ANN)
    assert id_of(after, ANN) == created_id(ANN, generation=1)
    assert [row["generation"] for row in after.profile_ids.to_pylist()] == [0, 1]
    assert [row["birth_order"] for row in after.profile_ids.to_pylist()] == [0, 1]


def test_an_id_that_redirects_keeps_its_anchor_and_follows_its_target() -> None:
    contact = CONTACT._replace(email="ann@x.example")
    *_, without, gone, back = history([ANN, CONTACT], [ANN, contact], [ANN], [], [ANN, CONTACT])
    assert redirects(without) == {created_id(CONTACT): created_id(ANN)}
    assert events(without) == []
    assert events(gone) == [("RETIRED", i, None) for i in sorted((created_id(ANN), created_id(CONTACT)))]
    assert (id_of(back, ANN), id_of(back, CONTACT)) == (created_id(ANN), created_id(CONTACT))


def test_the_order_in_which_former_links_are_read_does_not_change_the_order_of_events() -> None:
    members = [Person("SCL", str(i), f"a{i}") for i in range(6)]
    players = [Person("TEETIME", str(i), f"a{i}") for i in range(6)]
    known = run(world(*members, *players))
    backwards = replace(known, customer_identities=known.customer_identities[::-1])
    apart = world(*members, *(player._replace(auth_user_id=None) for player in players))
    assert run(apart, backwards, hour=1) == run(apart, known, hour=1)


# --- on random histories ----------------------------------------------------------------------------------------------


@thorough
@given(tenants(MANY))
def test_records_that_all_vanish_and_return_have_their_ids_back(everybody: Tenants) -> None:
    first, gone, back = history(everybody, dict.fromkeys(everybody, world()), everybody)
    for tenant, some in everybody.items():
        with about(tenant, some):
            assert select_tenants(back, tenant).customer_identities == select_tenants(first, tenant).customer_identities
            assert select_tenants(back, tenant).profile_ids == select_tenants(first, tenant).profile_ids
    assert not any(gone.profile_ids["is_live"].to_pylist())


@thorough
@given(histories(may_vanish=True))
def test_every_transition_is_an_event(moments: Sequence[Tenants]) -> None:
    found = history(*moments)
    for tenant in moments[0]:
        with about(tenant, *(moment[tenant] for moment in moments)):
            _assert_reported([select_tenants(resolution, tenant) for resolution in found])


def _assert_reported(life: Sequence[Resolution]) -> None:
    state: dict[str, tuple[bool, str | None]] = {}
    for resolution in life:
        rows = resolution.profile_ids.to_pylist()
        after = {row["profile_id"]: (row["is_live"], row["redirects_to"]) for row in rows}
        reported = {(profile, kind) for kind, profile, _ in events(resolution) if kind != "SPLIT"}
        assert reported == {(profile, _transition(state.get(profile), now)) for profile, now in after.items()} - {
            (profile, None) for profile in after
        }
        splits = [(profile, other) for kind, profile, other in events(resolution) if kind == "SPLIT"]
        appeared = {profile for profile, kind in reported if kind in ("CREATED", "RESURRECTED")}
        assert all(state[profile][0] and other in appeared for profile, other in splits)
        state = after


def _transition(before: tuple[bool, str | None] | None, after: tuple[bool, str | None]) -> str | None:
    is_live, target = after
    if before is None:
        return "CREATED"
    if before == after:
        return None
    if target:
        return "MERGED"
    return "RESURRECTED" if is_live else "RETIRED"
