"""Clusters, the records of one person, for all tenants at once.

Connected components without a conflict are clusters; the others go through the level-by-level algorithm.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crm_pipeline.domain.identity import match_keys
from crm_pipeline.domain.identity.cannot_link import CannotLinkGraph
from crm_pipeline.domain.identity.conflict_resolution import resolve_conflicts
from crm_pipeline.domain.identity.match_keys import MatchKeys
from crm_pipeline.domain.identity.match_rules import RULE_LEVEL, MatchingPairs
from crm_pipeline.domain.identity.nodes import SERVICES, BoolArray, Int32Array, Int64Array, Nodes
from crm_pipeline.domain.identity.overrides import Decisions, split_pair_key
from crm_pipeline.vocabulary import ReviewKind


class ReviewCandidate(NamedTuple):
    """Two nodes for a review, their rule, and the two nodes that cannot be one person (-1 where there are none)."""

    kind: ReviewKind
    first: int
    second: int
    rule: int
    witness_first: int = -1
    witness_second: int = -1
    cannot_link: str | None = None


class Clusters(NamedTuple):
    """The cluster of every node.

    Attributes:
        of: the cluster of each node; clusters are numbered in the order of their first nodes, (n,).
        first: the first node of each cluster, (c,).
        accepted_pairs: the pairs that link, inside clusters.
        review_candidates: the pairs that were not joined although a rule holds, and why.
    """

    of: Int32Array
    first: Int32Array
    accepted_pairs: MatchingPairs
    review_candidates: list[ReviewCandidate]


def find_clusters(
    nodes: Nodes, keys_by_kind: dict[str, MatchKeys], pairs: MatchingPairs, decisions: Decisions
) -> Clusters:
    """Returns the clusters of all tenants."""
    component = _find_components(nodes.size, pairs)
    is_conflicting = find_conflicting_components(nodes, keys_by_kind, decisions, component)[component]
    of = component if pairs.links.all() else _find_components(nodes.size, pairs.where(pairs.links))
    rejected, candidates = np.zeros(len(pairs.first), bool), list[ReviewCandidate]()
    if is_conflicting.any():
        of = of.copy()
        candidates = _resolve_conflicting_nodes(nodes, keys_by_kind, pairs, decisions, (is_conflicting, of, rejected))
    first, of = _number_clusters(of)
    accepted = pairs.links & ~rejected & (of[pairs.first] == of[pairs.second])
    return Clusters(of, first, pairs.where(accepted), candidates)


def find_conflicting_components(
    nodes: Nodes, keys_by_kind: dict[str, MatchKeys], decisions: Decisions, component: Int32Array
) -> BoolArray:
    """Returns per component, by the node that stands for it, whether it may have a cannot-link pair.

    True for every component that has one; it may be true for others.
    """
    is_conflicting = _have_different_codes(nodes.codes["auth_user_id"], component)
    one, other = split_pair_key(decisions.never)
    is_conflicting[component[one][component[one] == component[other]]] = True
    cell = component.astype(np.int64) * len(SERVICES) + nodes.service
    crowded = np.flatnonzero((np.bincount(cell, minlength=1) > 1)[cell])
    cells, cell = np.unique(cell[crowded], return_inverse=True)
    registration = _encode_registrations(nodes, keys_by_kind, crowded)
    account = _encode_accounts(nodes, keys_by_kind, crowded)
    several_people = _have_no_common_code(account, cell, len(cells)) & _have_no_common_code(
        registration, cell, len(cells)
    )
    is_conflicting[cells[several_people] // len(SERVICES)] = True
    return is_conflicting


def _find_components(count: int, pairs: MatchingPairs) -> Int32Array:
    """Returns for each node the node that stands for its component."""
    edges = coo_array((np.ones(len(pairs.first), np.int8), (pairs.first, pairs.second)), shape=(count, count))
    number, labels = connected_components(edges.tocsr(), directed=False)
    representative = np.empty(number, np.int32)
    representative[labels] = np.arange(count, dtype=np.int32)
    return representative[labels]


def _number_clusters(of: Int32Array) -> tuple[Int32Array, Int32Array]:
    """Returns the first node of each cluster, sorted, and the cluster of each node as a position in it."""
    count = len(of)
    first = np.empty(count, np.int32)
    first[of[::-1]] = np.arange(count - 1, -1, -1, dtype=np.int32)
    is_first = first[of] == np.arange(count)
    number = np.cumsum(is_first, dtype=np.int32) - 1
    return np.flatnonzero(is_first).astype(np.int32), number[first[of]]


def _have_different_codes(code: Int32Array, group: Int32Array) -> BoolArray:
    """Returns per group whether two members have different codes; members without a code do not count."""
    with_code = np.flatnonzero(code >= 0)
    example = np.zeros(len(code), np.int32)
    example[group[with_code]] = code[with_code]
    differing = with_code[example[group[with_code]] != code[with_code]]
    is_different = np.zeros(len(code), bool)
    is_different[group[differing]] = True
    return is_different


def _have_no_common_code(code: npt.NDArray[np.integer], group: Int64Array, groups: int) -> BoolArray:
    """Returns per group whether its members do not all have the same code."""
    example = np.full(groups, -1, np.int64)
    example[group] = code
    has_no_common = np.zeros(groups, bool)
    has_no_common[group[(code != example[group]) | (code < 0)]] = True
    return has_no_common


def _encode_accounts(nodes: Nodes, keys_by_kind: dict[str, MatchKeys], some: npt.NDArray[np.integer]) -> Int64Array:
    """Returns for some nodes a number per auth_user_id and first name, -1 where the auth_user_id is no match key.

    With the name as it is written: agreement of names is not transitive, so three names of a login need the algorithm.
    """
    auth = keys_by_kind[match_keys.AUTH_USER_ID].code[some]
    number: Int64Array = (auth.astype(np.int64) << 32) | (nodes.codes["first_name"][some] + 1)
    return np.where(auth < 0, -1, number)


def _encode_registrations(
    nodes: Nodes, keys_by_kind: dict[str, MatchKeys], some: npt.NDArray[np.integer]
) -> Int64Array:
    """Returns for some nodes a number per email, phone and full name, -1 unless all are present and match keys."""
    columns = [keys_by_kind[kind].code[some] for kind in (match_keys.EMAIL, match_keys.PHONE)]
    columns += [nodes.codes[column][some] for column in ("first_name", "last_name")]
    complete = np.flatnonzero(np.all([column >= 0 for column in columns], axis=0))
    number = np.zeros(len(complete), np.int64)
    for column in columns:
        _, number = np.unique((number << 32) | column[complete], return_inverse=True)
    result = np.full(len(some), -1, np.int64)
    result[complete] = number
    return result


def _resolve_conflicting_nodes(
    nodes: Nodes,
    keys_by_kind: dict[str, MatchKeys],
    pairs: MatchingPairs,
    decisions: Decisions,
    state: tuple[BoolArray, Int32Array, BoolArray],
) -> list[ReviewCandidate]:
    """Returns the review candidates; writes the clusters and rejected pairs of the conflicting nodes into `state`."""
    is_conflicting, of, rejected = state
    members = np.flatnonzero(is_conflicting)
    pair_positions = np.flatnonzero(is_conflicting[pairs.first])
    resolution = resolve_conflicts(
        _build_cannot_link_graph(nodes, keys_by_kind, pairs.where(pair_positions), decisions, members)
    )
    of[members] = members[resolution.cluster]
    rejected[pair_positions[resolution.rejected]] = True
    return [
        ReviewCandidate(
            rejection.kind,
            int(pairs.first[pair_positions[rejection.pair]]),
            int(pairs.second[pair_positions[rejection.pair]]),
            int(pairs.rule[pair_positions[rejection.pair]]),
            int(members[rejection.witness.first]),
            int(members[rejection.witness.second]),
            rejection.witness.cannot_link,
        )
        for rejection in resolution.rejections
    ]


def _build_cannot_link_graph(
    nodes: Nodes,
    keys_by_kind: dict[str, MatchKeys],
    pairs: MatchingPairs,
    decisions: Decisions,
    members: npt.NDArray[np.intp],
) -> CannotLinkGraph:
    return CannotLinkGraph(
        service=nodes.service[members].tolist(),
        auth=nodes.codes["auth_user_id"][members].tolist(),
        auth_match_key=keys_by_kind[match_keys.AUTH_USER_ID].code[members].tolist(),
        registration=_encode_registrations(nodes, keys_by_kind, members).tolist(),
        first_name=nodes.codes["first_name"][members].tolist(),
        first=np.searchsorted(members, pairs.first).tolist(),
        second=np.searchsorted(members, pairs.second).tolist(),
        level=RULE_LEVEL[pairs.rule].tolist(),
        links=pairs.links.tolist(),
        names=nodes.first_names,
        always=_find_pair_positions(members, decisions.always),
        never=_find_pair_positions(members, decisions.never),
    )


def _find_pair_positions(members: npt.NDArray[np.intp], decided: Int64Array) -> set[tuple[int, int]]:
    """Returns the decided pairs with both nodes in `members`, as positions in `members`."""
    one, other = split_pair_key(decided)
    both = np.isin(one, members) & np.isin(other, members)
    return set(
        zip(np.searchsorted(members, one[both]).tolist(), np.searchsorted(members, other[both]).tolist(), strict=True)
    )
