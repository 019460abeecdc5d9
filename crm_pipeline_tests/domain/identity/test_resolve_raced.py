"""Identity resolution raced against other implementations: the obvious one, networkx, and itself a tenant at a time."""

from itertools import combinations
from unittest.mock import patch

import networkx as nx
from hypothesis import given

from crm_pipeline.domain.identity import resolve as resolution
from crm_pipeline.domain.identity.resolve import Resolution, resolve_identities
from crm_pipeline_tests.fixtures.worlds.identity_worlds import (
    CON,
    Partition,
    about,
    assert_same,
    inputs,
    obeyed,
    open_reviews,
    partition,
    run,
    select_tenants,
    together,
)
from crm_pipeline_tests.fixtures.worlds.naive_identities import World, cannot_link, confidence, links, solve
from crm_pipeline_tests.fixtures.worlds.random_worlds import HALF, MANY, Tenants, tenants, thorough


@thorough
@given(tenants(MANY))
def test_the_answer_is_that_of_the_obvious_implementation(everybody: Tenants) -> None:
    found = run(everybody)
    for tenant, some in everybody.items():
        with about(tenant, some):
            _assert_obvious(select_tenants(found, tenant), some)


def _assert_obvious(found: Resolution, some: World) -> None:
    expected = solve(obeyed(some))
    assert partition(found) == {together(*cluster) for cluster in expected.clusters}
    asked = {
        (r["kind"], frozenset({(r["service_a"], r["record_id_a"]), (r["service_b"], r["record_id_b"])}))
        for r in open_reviews(found)
        if r["kind"] in ("AMBIGUOUS", "CONFLICT")
    }
    refused = [(kind, {together(*pair) for pair in pairs}) for kind, pairs in expected.rejected]
    assert len(asked) == len(refused)
    assert all(any(kind == k and pair in pairs for k, pairs in refused) for kind, pair in asked)


@thorough
@given(tenants(MANY))
def test_without_contradiction_clusters_are_the_connected_components_of_networkx(everybody: Tenants) -> None:
    found = run(everybody)
    for tenant, some in everybody.items():
        with about(tenant, some):
            assert _find_components_without_conflict(obeyed(some)) <= partition(select_tenants(found, tenant))


def _find_components_without_conflict(some: World) -> Partition:
    """Returns the clusters of every component without a cannot-link pair."""
    graph = nx.Graph()
    graph.add_nodes_from(some.people)
    pairs = [(a, b, confidence(some, a, b)) for a, b in combinations(some.people, 2)]
    graph.add_edges_from((a, b) for a, b, level in pairs if level >= min(some.min_confidence, 0.99))
    found: set[frozenset[tuple[str, str]]] = set()
    for component in nx.connected_components(graph):
        if not any(cannot_link(some, a, b) for a, b in combinations(component, 2)):
            linking = graph.subgraph(component).copy()
            linking.remove_edges_from([e for e in linking.edges if not links(some, *e)])
            found |= {together(*cluster) for cluster in nx.connected_components(linking)}
    return frozenset(found)


@thorough
@given(tenants(HALF), tenants(HALF))
def test_tenants_resolved_in_batches_are_what_they_are_together(before: Tenants, after: Tenants) -> None:
    known = run(before)
    at_once = resolve_identities(CON, inputs(after, known))
    with patch.object(resolution, "_RECORDS_PER_BATCH", 25):
        apart = resolve_identities(CON, inputs(after, known))
    assert_same(apart, at_once, after)
    assert apart == at_once, "sorted by tenant"
