"""The match rules by example, and input that is rejected."""

from dataclasses import fields, replace
from typing import Any

import pyarrow as pa
import pytest

from crm_pipeline.domain.identity.resolve import Resolution, resolve_identities
from crm_pipeline_tests.fixtures.worlds.identity_worlds import (
    CON,
    T,
    inputs,
    open_reviews,
    partition,
    run,
    together,
    world,
)
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person


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


def test_a_couple_that_shares_a_phone_is_separated_by_its_emails() -> None:
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


def test_a_shared_auth_user_id_links_nobody_but_still_separates_people() -> None:
    hub = [Person("SCL", str(i), "hub", f"{i}@x.example") for i in range(4)]
    player = Person("TEETIME", "p", "own", "0@x.example")
    assert len(partition(run(world(*hub, player)))) == 5


PARENT = Person("SCL", "1", "parent", "lees@x.example", "+1", "ann", "lee")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *(("ann", True), ("Ânn", True), ("a.", True), ("ann-marie", True), (None, True), ("mr", True)),
        *(("bob", False), ("nancy", False), ("ann jr", False)),
    ],
)
def test_two_records_of_a_service_with_one_login_are_one_person_if_their_first_names_agree(
    name: str | None, is_one: bool
) -> None:
    again = PARENT._replace(record_id="2", email=None, phone_number=None, first_name=name and name.lower())
    found = run(world(PARENT, again))
    assert partition(found) == ({together(PARENT, again)} if is_one else {together(PARENT), together(again)})
    assert found.customer_identities["rule"].to_pylist() == ["ANCHOR", "AUTH_USER_ID" if is_one else "ANCHOR"]


def test_a_childs_record_under_a_parents_login_stays_the_childs_whatever_both_match() -> None:
    child = PARENT._replace(record_id="2", first_name="bob")
    players = [each._replace(service="TEETIME", auth_user_id=None) for each in (PARENT, child)]
    found = run(world(PARENT, child, *players))
    assert partition(found) == {together(PARENT, players[0]), together(child, players[1])}
    joined = run(world(PARENT, child, always=[(PARENT, child)]))
    assert partition(joined) == {together(PARENT, child)}


def test_names_of_one_login_that_agree_only_through_a_third_are_two_people() -> None:
    initial = PARENT._replace(record_id="2", first_name="m")
    maria, mary = PARENT._replace(record_id="1", first_name="maria"), PARENT._replace(record_id="3", first_name="mary")
    assert partition(run(world(maria, initial))) == {together(maria, initial)}
    found = run(world(maria, initial, mary))
    assert {len(cluster & together(maria, mary)) for cluster in partition(found)} <= {0, 1}
    assert [r["kind"] for r in open_reviews(found)] == ["AMBIGUOUS", "AMBIGUOUS"]


THREE = tuple(
    Person(service, "1", "login", first_name=name)
    for service, name in (("SCL", "ann"), ("TEETIME", "bob"), ("MESSAGING", "zoe"))
)


def test_a_login_of_three_people_is_no_evidence() -> None:
    again = THREE[0]._replace(record_id="2", email="ann@x.example")
    assert partition(run(world(*THREE, again))) == {together(each) for each in (*THREE, again)}
    own = Person("CRM", "1", "own", "ann@x.example", None, "ann")
    assert len(partition(run(world(*THREE, again, own)))) == 5, "it still tells two logins apart"


@pytest.mark.parametrize(
    ("changes", "people"),
    [
        ({"first_name": "bobby"}, 1),
        ({"first_name": None}, 1),
        ({"first_name": "b"}, 1),
        ({"email": "bob@x.example"}, 1),
        ({"phone_number": "+1"}, 1),
        ({"email": "lees@x.example"}, 3),
        ({"auth_user_id": "other"}, 2),
    ],
)
def test_a_login_is_evidence_while_two_of_every_three_have_something_in_common(
    changes: dict[str, Any], people: int
) -> None:
    ann, bob, zoe = THREE
    bob = bob._replace(email="bob@x.example", phone_number="+1")
    third = zoe._replace(**changes)
    crowd = [Person("CRM", str(n), email="lees@x.example") for n in range(4)]
    found = run(world(ann, bob._replace(email=changes.get("email", bob.email)), third, *crowd))
    assert len({cluster for cluster in partition(found) if cluster & together(ann, bob, third)}) == people


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
        resolve_identities(CON, bad[wrong])
