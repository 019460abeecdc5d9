"""The link tree: the strongest links towards the anchor, whatever the order of rows."""

from itertools import combinations
from typing import Any

import networkx as nx
import pytest
from hypothesis import given

from crm_pipeline.domain.identity.resolve import Resolution
from crm_pipeline_tests.fixtures.worlds.identity_worlds import about, obeyed, open_reviews, run, select_tenants, world
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person, World, confidence, links
from crm_pipeline_tests.fixtures.worlds.random_worlds import MANY, Tenants, tenants, thorough


def linked(some: World) -> dict[str, tuple[str, str | None]]:
    """Per record its rule and the record it is linked to."""

    def name(service: str | None, record_id: str | None) -> str | None:
        return service and f"{service} {record_id}"

    return {
        f"{row['service']} {row['service_record_id']}": (
            row["rule"],
            name(row["linked_to_service"], row["linked_to_record_id"]),
        )
        for row in run(some).customer_identities.to_pylist()
    }


def test_a_record_is_linked_to_its_strongest_partner_in_the_tree() -> None:
    member = Person("SCL", "1", email="ann@x.example")
    player = Person("TEETIME", "p", "a", "ann@x.example")
    contact = Person("MESSAGING", "c", "a", "ann@x.example")
    assert linked(world(contact, player, member)) == {
        "SCL 1": ("ANCHOR", None),
        "TEETIME p": ("EMAIL", "SCL 1"),
        "MESSAGING c": ("AUTH_USER_ID", "TEETIME p"),
    }


def test_of_equal_partners_the_lowest_wins() -> None:
    everybody = [Person(s, "1", email="ann@x.example") for s in ("CRM", "MESSAGING", "TEETIME", "SCL")]
    assert {partner for _, partner in linked(world(*everybody)).values()} == {None, "SCL 1"}


def test_a_decision_is_stronger_than_any_rule() -> None:
    member, player = Person("SCL", "1", "a", "ann@x.example"), Person("TEETIME", "p", "a", "ann@x.example")
    assert linked(world(member, player, always=[(member, player)]))["TEETIME p"] == ("ALWAYS", "SCL 1")


def test_a_refused_pair_is_no_link_even_when_both_end_in_one_profile() -> None:
    one = Person("SCL", "1", email="lees@x.example", phone_number="+1")
    two = Person("SCL", "2", email="lees@x.example")
    player = Person("TEETIME", "p", email="lees@x.example")
    contact = Person("MESSAGING", "c", "c", phone_number="+1")
    lead = Person("CRM", "l", "c", phone_number="+2")
    tee = player._replace(phone_number="+2")
    found = linked(world(one, two, tee, contact, lead))
    assert found["TEETIME p"] == ("PHONE", "CRM l")
    assert found["MESSAGING c"] == ("PHONE", "SCL 1")
    assert {row["kind"] for row in open_reviews(run(world(one, two, tee, contact, lead)))} == {"AMBIGUOUS"}


@thorough
@given(tenants(MANY))
def test_every_profile_is_a_spanning_tree_of_highest_confidence(everybody: Tenants) -> None:
    found = run(everybody)
    for tenant, some in everybody.items():
        with about(tenant, some):
            _assert_best_tree(select_tenants(found, tenant), obeyed(some))


def _assert_best_tree(found: Resolution, some: World) -> None:
    by_key = {person[:2]: person for person in some.people}
    rows: list[dict[str, Any]] = found.customer_identities.to_pylist()
    refused = any(row["kind"] in ("AMBIGUOUS", "CONFLICT") for row in open_reviews(found)) or some.never
    tree = nx.Graph()
    for row in rows:
        person = by_key[row["service"], row["service_record_id"]]
        tree.add_node(person)
        if row["linked_to_service"]:
            partner = by_key[row["linked_to_service"], row["linked_to_record_id"]]
            tree.add_edge(person, partner, weight=confidence(some, person, partner))
    assert nx.is_forest(tree)
    assert nx.number_connected_components(tree) == len({row["profile_id"] for row in rows})
    for cluster in nx.connected_components(tree) if not refused else ():
        whole = nx.Graph()
        pairs = [(a, b, confidence(some, a, b)) for a, b in combinations(cluster, 2) if links(some, a, b)]
        whole.add_weighted_edges_from(pairs)
        best = nx.maximum_spanning_tree(whole).size(weight="weight")
        assert tree.subgraph(cluster).size(weight="weight") == pytest.approx(best)
