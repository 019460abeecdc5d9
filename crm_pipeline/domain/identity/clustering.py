"""Clusters: the records of one person, for all tenants at once.

Belongs here: connected components, accepted whole where nothing in them contradicts itself, and the hand-over of all
others to the level-by-level algorithm. Does not belong here: that algorithm (`conflicts.py`), the rules (`pairs.py`).
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
    """Two nodes to ask a person about, their rule, and the two that cannot be one person (-1 where there are none)."""

    kind: ReviewKind
    first: int
    second: int
    rule: int
    witness_first: int = -1
    witness_second: int = -1
    cannot_link: str | None = None


class Clusters(NamedTuple):
    """Which records are one person.

    Attributes:
        of: the cluster of each node, clusters being numbered by their first node, (n,).
        first: the first node of each cluster, (c,).
        evidence: the pairs inside clusters that count for them.
        doubts: what was not joined although a rule holds, and why.
    """

    of: Int32Array
    first: Int32Array
    evidence: MatchingPairs
    doubts: list[ReviewCandidate]


def find_clusters(nodes: Nodes, usable: dict[str, MatchKeys], pairs: MatchingPairs, decisions: Decisions) -> Clusters:
    """The clusters of all tenants."""
    component = _find_components(nodes.size, pairs)
    contested = find_conflicting_components(nodes, usable, decisions, component)[component]
    of = component if pairs.links.all() else _find_components(nodes.size, pairs.where(pairs.links))
    refused, doubts = np.zeros(len(pairs.first), bool), list[ReviewCandidate]()
    if contested.any():
        of = of.copy()
        doubts = _resolve_conflicting_nodes(nodes, usable, pairs, decisions, (contested, of, refused))
    first, of = _number_clusters(of)
    accepted = pairs.links & ~refused & (of[pairs.first] == of[pairs.second])
    return Clusters(of, first, pairs.where(accepted), doubts)


def _find_components(count: int, pairs: MatchingPairs) -> Int32Array:
    """A node of its component for each node."""
    edges = coo_array((np.ones(len(pairs.first), np.int8), (pairs.first, pairs.second)), shape=(count, count))
    number, labels = connected_components(edges.tocsr(), directed=False)
    representative = np.empty(number, np.int32)
    representative[labels] = np.arange(count, dtype=np.int32)
    return representative[labels]


def _number_clusters(of: Int32Array) -> tuple[Int32Array, Int32Array]:
    """The first node of each cluster, in order, and the cluster of each node as a position in that."""
    count = len(of)
    first = np.empty(count, np.int32)
    first[of[::-1]] = np.arange(count - 1, -1, -1, dtype=np.int32)
    is_first = first[of] == np.arange(count)
    number = np.cumsum(is_first, dtype=np.int32) - 1
    return np.flatnonzero(is_first).astype(np.int32), number[first[of]]


def find_conflicting_components(
    nodes: Nodes, usable: dict[str, MatchKeys], decisions: Decisions, component: Int32Array
) -> BoolArray:
    """Per component, by the node that stands for it, whether it may hold a cannot-link pair: if it does, it is true."""
    contested = _have_different_codes(nodes.codes["auth_user_id"], component)
    one, other = split_pair_key(decisions.never)
    contested[component[one][component[one] == component[other]]] = True
    cell = component.astype(np.int64) * len(SERVICES) + nodes.service
    crowded = np.flatnonzero((np.bincount(cell, minlength=1) > 1)[cell])
    cells, cell = np.unique(cell[crowded], return_inverse=True)
    registration = encode_registrations(nodes, usable, crowded)
    auth = usable[match_keys.AUTH_USER_ID].code[crowded]
    several_people = _have_no_common_code(auth, cell, len(cells)) & _have_no_common_code(registration, cell, len(cells))
    contested[cells[several_people] // len(SERVICES)] = True
    return contested


def _have_different_codes(code: Int32Array, group: Int32Array) -> BoolArray:
    """Per group whether two of its members have different codes, members without a code aside."""
    with_code = np.flatnonzero(code >= 0)
    example = np.zeros(len(code), np.int32)
    example[group[with_code]] = code[with_code]
    differing = with_code[example[group[with_code]] != code[with_code]]
    mixed = np.zeros(len(code), bool)
    mixed[group[differing]] = True
    return mixed


def _have_no_common_code(code: npt.NDArray[np.integer], group: Int64Array, groups: int) -> BoolArray:
    """Per group whether its members do not all have one and the same code."""
    example = np.full(groups, -1, np.int64)
    example[group] = code
    varied = np.zeros(groups, bool)
    varied[group[(code != example[group]) | (code < 0)]] = True
    return varied


def encode_registrations(nodes: Nodes, usable: dict[str, MatchKeys], some: npt.NDArray[np.integer]) -> Int64Array:
    """For some nodes a number for email, phone and full name together, -1 unless all are there and evidence."""
    columns = [usable[kind].code[some] for kind in (match_keys.EMAIL, match_keys.PHONE)]
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
    usable: dict[str, MatchKeys],
    pairs: MatchingPairs,
    decisions: Decisions,
    state: tuple[BoolArray, Int32Array, BoolArray],
) -> list[ReviewCandidate]:
    """Settle the contested nodes: write their clusters and refused pairs into `state`, return what to ask."""
    contested, of, refused = state
    members = np.flatnonzero(contested)
    at_stake = np.flatnonzero(contested[pairs.first])
    verdict = resolve_conflicts(_build_cannot_link_graph(nodes, usable, pairs.where(at_stake), decisions, members))
    of[members] = members[verdict.cluster]
    refused[at_stake[verdict.refused]] = True
    return [
        ReviewCandidate(
            refusal.kind,
            int(pairs.first[at_stake[refusal.pair]]),
            int(pairs.second[at_stake[refusal.pair]]),
            int(pairs.rule[at_stake[refusal.pair]]),
            int(members[refusal.witness.first]),
            int(members[refusal.witness.second]),
            refusal.witness.cannot_link,
        )
        for refusal in verdict.refusals
    ]


def _build_cannot_link_graph(
    nodes: Nodes,
    usable: dict[str, MatchKeys],
    pairs: MatchingPairs,
    decisions: Decisions,
    members: npt.NDArray[np.intp],
) -> CannotLinkGraph:
    first_name = nodes.codes["first_name"][members]
    names = ["", *nodes.first_names.to_pylist()]
    return CannotLinkGraph(
        service=nodes.service[members].tolist(),
        auth=nodes.codes["auth_user_id"][members].tolist(),
        auth_evidence=usable[match_keys.AUTH_USER_ID].code[members].tolist(),
        registration=encode_registrations(nodes, usable, members).tolist(),
        first_name=[names[code + 1] for code in first_name.tolist()],
        first=np.searchsorted(members, pairs.first).tolist(),
        second=np.searchsorted(members, pairs.second).tolist(),
        level=RULE_LEVEL[pairs.rule].tolist(),
        links=pairs.links.tolist(),
        always=_find_pair_positions(members, decisions.always),
        never=_find_pair_positions(members, decisions.never),
    )


def _find_pair_positions(members: npt.NDArray[np.intp], decided: Int64Array) -> set[tuple[int, int]]:
    """The decided pairs of which both records are members, as positions in `members`."""
    one, other = split_pair_key(decided)
    both = np.isin(one, members) & np.isin(other, members)
    return set(
        zip(np.searchsorted(members, one[both]).tolist(), np.searchsorted(members, other[both]).tolist(), strict=True)
    )
