"""Who is whom: the rules by example, and the invariants on random worlds, raced against the obvious implementation."""

from collections import Counter, defaultdict
from dataclasses import fields, replace
from itertools import combinations
from random import Random
from unittest.mock import patch

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crm_pipeline.domain import clusters, identities
from crm_pipeline.domain.identities import Inputs, Resolution, resolve
from crm_pipeline_tests.domain.identity_worlds import (
    CON,
    T,
    inputs,
    obeyed,
    open_reviews,
    partition,
    profiles,
    run,
    thorough,
    world,
    worlds,
)
from crm_pipeline_tests.domain.naive_identities import Person, World, cannot_link, confidence, links, solve

SOME_TENANTS = st.lists(worlds(), min_size=1, max_size=4).map(
    lambda found: {f"club-{i}": w for i, w in enumerate(found)}
)


def together(*people: Person) -> frozenset[tuple[str, str]]:
    return frozenset(person[:2] for person in people)


# --- the rules by example ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "email", "phone", "rule", "confidence"),
    [
        ("a", "ann@x.example", "+1", "AUTH_USER_ID", 1.0),
        (None, "ann@x.example", "+1", "EMAIL_AND_PHONE", 0.99),
        (None, "ann@x.example", "+2", "EMAIL", 0.95),
        (None, None, "+1", "PHONE", 0.85),
    ],
)
def test_records_of_two_services_match_by_the_best_rule_that_holds(
    auth: str | None, email: str | None, phone: str, rule: str, confidence: float
) -> None:
    member = Person("SCL", "1", "a", "ann@x.example", "+1", "ann", "lee")
    player = Person("TEETIME", "p", auth, email, phone, "ann", "lee")
    found = run(world(member, player))
    assert partition(found) == {together(member, player)}
    anchor, link = found.customer_identities.to_pylist()
    assert (anchor["rule"], anchor["confidence"], anchor["linked_to_service"]) == ("ANCHOR", 1.0, None)
    assert (link["rule"], link["confidence"]) == (rule, confidence)
    assert (link["linked_to_service"], link["linked_to_record_id"]) == ("SCL", "1")


def test_a_familys_email_does_not_join_its_members_within_a_service() -> None:
    mother = Person("SCL", "1", None, "lees@x.example", "+1", "ann", "lee")
    son = Person("SCL", "2", None, "lees@x.example", "+2", "bob", "lee")
    assert partition(run(world(mother, son))) == {together(mother), together(son)}


def test_a_couple_that_shares_a_phone_is_told_apart_by_its_emails() -> None:
    ann, anns = Person("SCL", "1", None, "ann@x.example", "+1"), Person("TEETIME", "p", None, "ann@x.example", "+1")
    bob, bobs = Person("SCL", "2", None, "bob@x.example", "+1"), Person("TEETIME", "q", None, "bob@x.example", "+1")
    assert partition(run(world(ann, anns, bob, bobs))) == {together(ann, anns), together(bob, bobs)}


def test_a_second_registration_needs_email_phone_and_full_name() -> None:
    first = Person("TEETIME", "1", None, "ann@x.example", "+1", "ann", "lee")
    again = first._replace(record_id="2")
    assert partition(run(world(first, again))) == {together(first, again)}
    for same_but in ({"last_name": None}, {"first_name": "a"}, {"phone_number": "+2"}, {"email": None}):
        other = again._replace(**same_but)
        assert partition(run(world(first, other))) == {together(first), together(other)}


def test_a_second_registration_links_at_any_min_confidence_and_is_two_people_with_two_auth_user_ids() -> None:
    first = Person("TEETIME", "1", "a", "ann@x.example", "+1", "ann", "lee")
    again = first._replace(record_id="2", auth_user_id=None)
    assert partition(run(world(first, again, min_confidence=1.0))) == {together(first, again)}
    other = again._replace(auth_user_id="b")
    assert partition(run(world(first, other))) == {together(first), together(other)}


def test_pairs_below_min_confidence_are_no_evidence() -> None:
    member, player = Person("SCL", "1", email="e@x.example"), Person("TEETIME", "p", email="e@x.example")
    assert len(partition(run(world(member, player, min_confidence=0.95)))) == 1
    assert len(partition(run(world(member, player, min_confidence=0.96)))) == 2


def test_a_value_on_more_than_three_records_of_a_service_is_no_evidence_anywhere() -> None:
    members = [Person("SCL", str(i), email="reception@x.example") for i in range(3)]
    player = Person("TEETIME", "p", email="reception@x.example")
    assert [r["kind"] for r in open_reviews(run(world(members[0], player)))] == []
    found = run(world(*members, Person("SCL", "3", email="reception@x.example"), player))
    assert len(partition(found)) == 5
    assert [r["kind"] for r in open_reviews(found)] == ["SHARED"]
    assert found.shared_values["email_is_shared"].to_pylist() == [True] * 5


def test_a_suppressed_value_is_no_evidence() -> None:
    member, player = Person("SCL", "1", None, "e@x.example", "+1"), Person("TEETIME", "p", None, "e@x.example", "+1")
    found = run(world(member, player, suppressed=[("EMAIL", "e@x.example")]))
    assert found.customer_identities["rule"].to_pylist() == ["ANCHOR", "PHONE"]
    assert found.shared_values["email_is_shared"].to_pylist() == [True, True]
    assert found.shared_values["phone_is_shared"].to_pylist() == [False, False]


def test_a_shared_auth_user_id_links_nobody_but_still_tells_people_apart() -> None:
    hub = [Person("SCL", str(i), "hub", f"{i}@x.example") for i in range(4)]
    player = Person("TEETIME", "p", "own", "0@x.example")
    assert len(partition(run(world(*hub, player)))) == 5


def test_an_operators_never_parts_and_an_always_joins() -> None:
    member, player = Person("SCL", "1", email="e@x.example"), Person("TEETIME", "p", email="e@x.example")
    assert len(partition(run(world(member, player, never=[(member, player)])))) == 2
    one, two = Person("SCL", "1", "a"), Person("SCL", "2")
    found = run(world(one, two, always=[(one, two)]))
    assert partition(found) == {together(one, two)}
    assert found.customer_identities["rule"].to_pylist() == ["ANCHOR", "ALWAYS"]
    assert found.customer_identities["confidence"].to_pylist() == [1.0, 1.0]


def test_an_always_cannot_join_two_auth_user_ids_nor_defy_a_never() -> None:
    one, two, three = Person("SCL", "1", "a"), Person("TEETIME", "p", "b"), Person("CRM", "l")
    found = run(world(one, two, three, always=[(one, two), (one, three)], never=[(one, three)]))
    assert len(partition(found)) == 3
    assert [r["kind"] for r in open_reviews(found)] == ["REJECTED_ALWAYS", "REJECTED_ALWAYS"]


def test_records_are_numbered_by_value_then_text_and_services_in_their_order() -> None:
    people = [Person("SCL", i) for i in ("10", "x", "9", "007", "7", "12345678901234567890")]
    found = run(world(Person("CRM", "0"), *people))
    order = [(row["service"], row["service_record_id"]) for row in found.customer_identities.to_pylist()]
    assert order == [("SCL", i) for i in ("007", "7", "9", "10", "12345678901234567890", "x")] + [("CRM", "0")]


def test_nothing_at_all_resolves_to_nothing() -> None:
    assert [len(getattr(run(world()), table.name)) for table in fields(Resolution)] == [0] * 5


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("key", "pass one row per record"),
        ("service", "unknown service"),
        ("decision", "PERHAPS"),
        ("kind", "FAX"),
        ("as_of", "no zone"),
    ],
)
def test_input_that_breaks_the_contract_is_refused(wrong: str, says: str) -> None:
    good = inputs({T: world(Person("SCL", "1"), Person("CRM", "1"), always=[(Person("SCL", "1"), Person("CRM", "1"))])})
    listed = pa.table({"tenant_id": [T], "kind": ["FAX"], "value": ["1"]})
    at = good.overrides.schema.get_field_index("decision")
    bad = {
        "key": replace(good, records=pa.concat_tables([good.records, good.records])),
        "service": replace(good, records=good.records.set_column(1, "service", pa.array(["SCL", "GOLF"]))),
        "decision": replace(good, overrides=good.overrides.set_column(at, "decision", pa.array(["PERHAPS"]))),
        "kind": replace(good, suppressed=listed),
        "as_of": replace(good, as_of=good.as_of.replace(tzinfo=None)),
    }
    with pytest.raises(ValueError, match=says):
        resolve(CON, bad[wrong])


# --- the invariants ---------------------------------------------------------------------------------------------------


@thorough(150)
@given(SOME_TENANTS)
def test_the_answer_is_that_of_the_obvious_implementation(tenants: dict[str, World]) -> None:
    found = run(tenants)
    for tenant, each in tenants.items():
        expected = solve(obeyed(each))
        assert partition(found, tenant) == {together(*cluster) for cluster in expected.clusters}
        asked = {
            (r["kind"], frozenset({(r["service_a"], r["record_id_a"]), (r["service_b"], r["record_id_b"])}))
            for r in open_reviews(found)
            if r["tenant_id"] == tenant and r["kind"] in ("AMBIGUOUS", "CONFLICT")
        }
        refused = [(kind, {together(*pair) for pair in pairs}) for kind, pairs in expected.refused]
        assert len(asked) == len(refused)
        assert all(any(kind == k and pair in pairs for k, pairs in refused) for kind, pair in asked)


@thorough(100)
@given(SOME_TENANTS, SOME_TENANTS, st.randoms(use_true_random=False))
def test_the_order_of_input_rows_never_changes_the_result(
    before: dict[str, World], tenants: dict[str, World], chance: Random
) -> None:
    straight = inputs(tenants, run(before))

    def shuffled(table: pa.Table) -> pa.Table:
        return table.take(pa.array(chance.sample(range(len(table)), len(table)), pa.int64()))

    tables = {f.name: shuffled(getattr(straight, f.name)) for f in fields(Inputs) if f.name not in ("as_of", "run_id")}
    assert resolve(CON, replace(straight, **tables)) == resolve(CON, straight)


@thorough(100)
@given(worlds())
def test_no_profile_holds_two_records_that_cannot_be_one_person(some: World) -> None:
    some, found = obeyed(some), partition(run(some))
    holder = {record: cluster for cluster in found for record in cluster}
    assert holder.keys() == {person[:2] for person in some.people}
    for one, other in combinations(some.people, 2):
        assert not (cannot_link(some, one, other) and holder[one[:2]] == holder[other[:2]])


@thorough(100)
@given(worlds(), st.sampled_from((0.85, 0.9, 0.95, 0.97, 0.99, 0.995, 1.0)))
def test_a_higher_min_confidence_refines_the_partition(some: World, least: float) -> None:
    assume(least > some.min_confidence)
    coarse, fine = partition(run(some)), partition(run(some._replace(min_confidence=least)))
    assert all(any(part <= whole for whole in coarse) for part in fine)


@thorough(100)
@given(worlds(), st.randoms(use_true_random=False))
def test_renaming_records_changes_nothing_but_names(some: World, chance: Random) -> None:
    names = chance.sample(range(100), len(some.people))
    new = {person: person._replace(record_id=str(name)) for person, name in zip(some.people, names, strict=True)}
    always, never = (frozenset(frozenset(new[p] for p in pair) for pair in said) for said in (some.always, some.never))
    renamed = some._replace(people=tuple(new.values()), always=always, never=never)
    back = {after[:2]: before[:2] for before, after in new.items()}
    assert anonymous(run(renamed), back) == anonymous(run(some), {key: key for key in back.values()})


def anonymous(found: Resolution, names: dict[tuple[str, str], tuple[str, str]]) -> tuple[object, ...]:
    """The profiles under these names, each with the confidences of its links, and how often each kind is asked.

    Of equal links and pairs the first by name is taken, so which they are is a matter of names, and with it whether the
    first names on its two sides differ.
    """
    confidences: defaultdict[str, list[float]] = defaultdict(list)
    for row in found.customer_identities.to_pylist():
        confidences[row["profile_id"]].append(row["confidence"])
    kept = {
        (frozenset(names[record] for record in records), *sorted(confidences[profile]))
        for profile, records in profiles(found).items()
    }
    return kept, Counter(row["kind"] for row in open_reviews(found) if row["kind"] != "NAMES_DIFFER")


@thorough(100)
@given(SOME_TENANTS)
def test_the_fast_path_equals_the_level_by_level_algorithm_run_on_everything(tenants: dict[str, World]) -> None:
    with patch.object(clusters, "contested_components", lambda nodes, *_: np.ones(nodes.size, bool)):
        slowly = run(tenants)
    assert run(tenants) == slowly


@thorough(100)
@given(worlds())
def test_without_contradiction_clusters_are_the_connected_components(some: World) -> None:
    some, graph = obeyed(some), nx.Graph()
    graph.add_nodes_from(some.people)
    pairs = [(a, b, confidence(some, a, b)) for a, b in combinations(some.people, 2)]
    graph.add_edges_from((a, b) for a, b, level in pairs if level >= min(some.min_confidence, 0.99))
    for component in nx.connected_components(graph):
        if not any(cannot_link(some, a, b) for a, b in combinations(component, 2)):
            linking = graph.subgraph(component).copy()
            linking.remove_edges_from([e for e in linking.edges if not links(some, *e)])
            assert {together(*c) for c in nx.connected_components(linking)} <= partition(run(some))


@thorough(60)
@given(SOME_TENANTS)
def test_a_tenants_rows_never_influence_another(tenants: dict[str, World]) -> None:
    everybody = run(tenants)
    for tenant, each in tenants.items():
        alone = run({tenant: each})
        for table in fields(Resolution):
            rows = getattr(everybody, table.name)
            assert rows.filter(pc.equal(rows["tenant_id"], tenant)).equals(getattr(alone, table.name))


@thorough(60)
@given(SOME_TENANTS, SOME_TENANTS)
def test_resolving_only_the_tenants_that_changed_equals_resolving_all(
    before: dict[str, World], changes: dict[str, World]
) -> None:
    known = run(before)
    after = {tenant: changes.get(tenant, each) for tenant, each in before.items()}
    changed = {tenant: each for tenant, each in after.items() if tenant in changes}
    everything, part = run(after, known, hour=1), run(changed, known, hour=1)
    for table in fields(Resolution):
        rows = getattr(everything, table.name)
        of_changed = rows.filter(pc.is_in(rows["tenant_id"], value_set=pa.array(list(changed), pa.string())))
        assert of_changed.equals(getattr(part, table.name))


@thorough(60)
@given(SOME_TENANTS, SOME_TENANTS)
def test_tenants_resolved_in_groups_are_what_they_are_together(
    before: dict[str, World], tenants: dict[str, World]
) -> None:
    known = run(before)
    together = resolve(CON, inputs(tenants, known))
    with patch.object(identities, "_RECORDS_IN_A_GROUP", 1):
        apart = resolve(CON, inputs(tenants, known))
    assert all(getattr(apart, field.name).equals(getattr(together, field.name)) for field in fields(Resolution))
