"""Conflicting matches by example: what is joined, what stays apart, and what a person is asked."""

from crm_pipeline_tests.fixtures.worlds.identity_worlds import open_reviews, partition, run, together, world
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person, World


def asked(some: World) -> list[tuple[str, str, str]]:
    found = run(some)
    return [
        (r["kind"], f"{r['service_a']} {r['record_id_a']}", f"{r['service_b']} {r['record_id_b']}")
        for r in sorted(open_reviews(found), key=lambda r: (r["kind"], r["record_id_a"], r["record_id_b"]))
    ]


def test_of_two_who_share_an_email_the_first_name_decides() -> None:
    ann = Person("SCL", "1", email="lees@x.example", first_name="ann")
    bob = Person("SCL", "2", email="lees@x.example", first_name="bob")
    player = Person("TEETIME", "p", email="lees@x.example", first_name="a.")
    assert partition(run(world(ann, bob, player))) == {together(ann, player), together(bob)}
    assert asked(world(ann, bob, player)) == []


def test_a_nickname_decides_as_a_name_does() -> None:
    robert = Person("SCL", "1", email="lees@x.example", first_name="robert")
    zoe = Person("SCL", "2", email="lees@x.example", first_name="zoë")
    player = Person("TEETIME", "p", email="lees@x.example", first_name="bob")
    assert partition(run(world(robert, zoe, player))) == {together(robert, player), together(zoe)}
    player = player._replace(first_name="zoe")
    assert partition(run(world(robert, zoe, player))) == {together(robert), together(zoe, player)}


def test_any_record_of_a_cluster_may_speak_for_it() -> None:
    ann = Person("SCL", "1", email="lees@x.example", first_name="ann")
    player = Person("TEETIME", "p", "a", "lees@x.example", first_name="maria")
    contact = Person("MESSAGING", "c", "a", first_name="ann marie")
    bob = Person("SCL", "2", email="lees@x.example", first_name="bob")
    assert partition(run(world(ann, player, contact, bob))) == {together(ann, player, contact), together(bob)}


def test_father_and_son_with_one_initial_are_ambiguous_and_stay_apart() -> None:
    john = Person("SCL", "1", email="lees@x.example", first_name="john")
    jack = Person("SCL", "2", email="lees@x.example", first_name="jack")
    player = Person("TEETIME", "p", email="lees@x.example", first_name="j")
    assert len(partition(run(world(john, jack, player)))) == 3
    assert asked(world(john, jack, player)) == [
        ("AMBIGUOUS", "SCL 1", "TEETIME p"),
        ("AMBIGUOUS", "SCL 2", "TEETIME p"),
    ]


def test_without_first_names_two_candidates_are_ambiguous() -> None:
    one, two = Person("SCL", "1", phone_number="+1"), Person("SCL", "2", phone_number="+1")
    assert asked(world(one, two, Person("CRM", "l", phone_number="+1")))[0] == ("AMBIGUOUS", "SCL 1", "CRM l")


def test_clusters_left_apart_may_still_be_joined_by_other_evidence_at_a_later_level() -> None:
    one = Person("SCL", "1", email="lees@x.example", phone_number="+1")
    two = Person("SCL", "2", email="lees@x.example")
    player, contact = Person("TEETIME", "p", email="lees@x.example"), Person("MESSAGING", "c", phone_number="+1")
    found = run(world(one, two, player, contact))
    assert partition(found) == {together(one, contact), together(two), together(player)}


def test_a_stronger_rule_is_settled_before_a_weaker_one_contradicts_it() -> None:
    ann = Person("SCL", "1", "a", "lees@x.example")
    player = Person("TEETIME", "p", "a", "ann@x.example")
    bob = Person("SCL", "2", None, "ann@x.example")
    found = run(world(ann, player, bob))
    assert partition(found) == {together(ann, player), together(bob)}
    assert open_reviews(found) == [], "the pair was never an edge: the clusters it lies between conflict"


A = Person("SCL", "1", email="1@x.example")
B, BB = Person("TEETIME", "2", "t", "1@x.example"), Person("TEETIME", "5", "t", "2@x.example")
C, CC = Person("CRM", "3", "c", "2@x.example"), Person("CRM", "6", "c", "3@x.example")
D = Person("SCL", "4", email="3@x.example")


def test_a_group_that_holds_a_cannot_link_pair_stays_apart_and_each_of_its_edges_is_a_conflict() -> None:
    c, cc = C._replace(auth_user_id=None), CC._replace(auth_user_id=None)
    found = run(world(A, B, BB, c, cc, D, always=[(c, cc)]))
    assert partition(found) == {together(A), together(B, BB), together(c, cc), together(D)}
    assert asked(world(A, B, BB, c, cc, D, always=[(c, cc)])) == [
        ("CONFLICT", "SCL 1", "TEETIME 2"),
        ("CONFLICT", "SCL 4", "CRM 6"),
        ("CONFLICT", "TEETIME 5", "CRM 3"),
    ]
    [witness] = {row["witness"] for row in open_reviews(found)}
    assert (
        '"cannot_link":"SAME_SERVICE","service_a":"SCL","record_id_a":"1","service_b":"SCL","record_id_b":"4"'
        in witness
    )


def test_a_never_for_the_wrong_match_frees_the_others() -> None:
    c, cc = C._replace(auth_user_id=None), CC._replace(auth_user_id=None)
    found = run(world(A, B, BB, c, cc, D, always=[(c, cc)], never=[(BB, c)]))
    assert partition(found) == {together(A, B, BB), together(c, cc, D)}
    assert open_reviews(found) == []


def test_an_edge_between_clusters_that_conflict_is_no_edge_and_contradicts_nothing() -> None:
    found = run(world(A, B, BB, C, CC, D))
    assert partition(found) == {together(A, B, BB), together(C, CC, D)}
    assert open_reviews(found) == []


def test_contradicting_decisions_of_operators_join_nobody() -> None:
    one, two, three = Person("SCL", "1", "a"), Person("TEETIME", "2"), Person("MESSAGING", "3", "b")
    found = run(world(one, two, three, always=[(one, two), (two, three)]))
    assert len(partition(found)) == 3
    assert asked(world(one, two, three, always=[(one, two), (two, three)])) == [
        ("CONFLICT", "SCL 1", "TEETIME 2"),
        ("CONFLICT", "TEETIME 2", "MESSAGING 3"),
    ]


def test_a_refused_decision_is_not_tried_again_by_a_weaker_rule() -> None:
    one, two = Person("SCL", "1", "a", "e@x.example"), Person("TEETIME", "2", None, "e@x.example")
    three = Person("MESSAGING", "3", "b")
    assert len(partition(run(world(one, two, three)))) == 2
    assert len(partition(run(world(one, two, three, always=[(one, two), (two, three)])))) == 3


def test_an_always_breaks_the_same_service_rule_for_its_own_pair_only() -> None:
    one, two, three = (Person("SCL", str(i), email=f"{i}@x.example") for i in range(3))
    assert partition(run(world(one, two, always=[(one, two)]))) == {together(one, two)}
    both = [(one, two), (two, three)]
    assert len(partition(run(world(one, two, three, always=both)))) == 3
    assert len(partition(run(world(one, two, three, always=[*both, (one, three)])))) == 1


def test_three_records_of_a_service_are_one_person_only_if_every_two_of_them_qualify() -> None:
    by_auth, both = Person("SCL", "1", "a"), Person("SCL", "2", "a", "e@x.example", "+1", "ann", "lee")
    again = both._replace(record_id="3", auth_user_id=None)
    found = run(world(by_auth, both, again))
    assert partition(found) == {together(by_auth, both), together(again)}


def test_what_a_second_registration_is_up_against_does_not_depend_on_min_confidence() -> None:
    ann = Person("SCL", "1", "a", "e@x.example", "+1", "ann", "lee")
    again = ann._replace(record_id="2", auth_user_id=None)
    player = Person("TEETIME", "p", "b", "e@x.example", "+1", "ann", "lee")
    for least in (0.85, 0.99, 1.0):
        assert len(partition(run(world(ann, again, player, min_confidence=least)))) == 3


def test_a_pair_below_min_confidence_may_contradict_a_second_registration_but_links_nobody() -> None:
    member, player = Person("SCL", "1", "a"), Person("TEETIME", "p", "a", "e@x.example", "+1", "ann")
    contact = Person("MESSAGING", "c", None, "e@x.example", "+1", "ann")
    lead = Person("CRM", "l", None, "e@x.example", "+1", "bob")
    some = world(member, player, contact, lead, never=[(member, lead)])
    assert partition(run(some)) == {together(member, player, contact), together(lead)}
    strict = some._replace(min_confidence=1.0)
    assert partition(run(strict)) == {together(member, player), together(contact), together(lead)}
