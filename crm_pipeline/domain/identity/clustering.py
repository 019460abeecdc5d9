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
from crm_pipeline.domain.identity.cannot_link import Contest
from crm_pipeline.domain.identity.conflict_resolution import separate
from crm_pipeline.domain.identity.match_keys import Usable
from crm_pipeline.domain.identity.match_rules import LEVEL, Pairs
from crm_pipeline.domain.identity.nodes import SERVICES, Flags, Ints, Longs, Nodes
from crm_pipeline.domain.identity.overrides import Decisions, pair_nodes
from crm_pipeline.vocabulary import ReviewKind


class Doubt(NamedTuple):
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

    of: Ints
    first: Ints
    evidence: Pairs
    doubts: list[Doubt]


def find_clusters(nodes: Nodes, usable: dict[str, Usable], pairs: Pairs, decisions: Decisions) -> Clusters:
    """The clusters of all tenants."""
    component = _components(nodes.size, pairs)
    contested = contested_components(nodes, usable, decisions, component)[component]
    of = component if pairs.links.all() else _components(nodes.size, pairs.where(pairs.links))
    refused, doubts = np.zeros(len(pairs.first), bool), list[Doubt]()
    if contested.any():
        of = of.copy()
        doubts = _separate(nodes, usable, pairs, decisions, (contested, of, refused))
    first, of = _numbered(of)
    accepted = pairs.links & ~refused & (of[pairs.first] == of[pairs.second])
    return Clusters(of, first, pairs.where(accepted), doubts)


def _components(count: int, pairs: Pairs) -> Ints:
    """A node of its component for each node."""
    edges = coo_array((np.ones(len(pairs.first), np.int8), (pairs.first, pairs.second)), shape=(count, count))
    number, labels = connected_components(edges.tocsr(), directed=False)
    representative = np.empty(number, np.int32)
    representative[labels] = np.arange(count, dtype=np.int32)
    return representative[labels]


def _numbered(of: Ints) -> tuple[Ints, Ints]:
    """The first node of each cluster, in order, and the cluster of each node as a position in that."""
    count = len(of)
    first = np.empty(count, np.int32)
    first[of[::-1]] = np.arange(count - 1, -1, -1, dtype=np.int32)
    is_first = first[of] == np.arange(count)
    number = np.cumsum(is_first, dtype=np.int32) - 1
    return np.flatnonzero(is_first).astype(np.int32), number[first[of]]


def contested_components(nodes: Nodes, usable: dict[str, Usable], decisions: Decisions, component: Ints) -> Flags:
    """Per component, by the node that stands for it, whether it may hold a cannot-link pair: if it does, it is true."""
    contested = _mixed(nodes.codes["auth_user_id"], component)
    one, other = pair_nodes(decisions.never)
    contested[component[one][component[one] == component[other]]] = True
    cell = component.astype(np.int64) * len(SERVICES) + nodes.service
    crowded = np.flatnonzero((np.bincount(cell, minlength=1) > 1)[cell])
    cells, cell = np.unique(cell[crowded], return_inverse=True)
    registration = registrations(nodes, usable, crowded)
    auth = usable[match_keys.AUTH_USER_ID].code[crowded]
    several_people = _varied(auth, cell, len(cells)) & _varied(registration, cell, len(cells))
    contested[cells[several_people] // len(SERVICES)] = True
    return contested


def _mixed(code: Ints, group: Ints) -> Flags:
    """Per group whether two of its members have different codes, members without a code aside."""
    with_code = np.flatnonzero(code >= 0)
    example = np.zeros(len(code), np.int32)
    example[group[with_code]] = code[with_code]
    differing = with_code[example[group[with_code]] != code[with_code]]
    mixed = np.zeros(len(code), bool)
    mixed[group[differing]] = True
    return mixed


def _varied(code: npt.NDArray[np.integer], group: Longs, groups: int) -> Flags:
    """Per group whether its members do not all have one and the same code."""
    example = np.full(groups, -1, np.int64)
    example[group] = code
    varied = np.zeros(groups, bool)
    varied[group[(code != example[group]) | (code < 0)]] = True
    return varied


def registrations(nodes: Nodes, usable: dict[str, Usable], some: npt.NDArray[np.integer]) -> Longs:
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


def _separate(
    nodes: Nodes, usable: dict[str, Usable], pairs: Pairs, decisions: Decisions, state: tuple[Flags, Ints, Flags]
) -> list[Doubt]:
    """Settle the contested nodes: write their clusters and refused pairs into `state`, return what to ask."""
    contested, of, refused = state
    members = np.flatnonzero(contested)
    at_stake = np.flatnonzero(contested[pairs.first])
    verdict = separate(_contest(nodes, usable, pairs.where(at_stake), decisions, members))
    of[members] = members[verdict.cluster]
    refused[at_stake[verdict.refused]] = True
    return [
        Doubt(
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


def _contest(
    nodes: Nodes, usable: dict[str, Usable], pairs: Pairs, decisions: Decisions, members: npt.NDArray[np.intp]
) -> Contest:
    first_name = nodes.codes["first_name"][members]
    names = ["", *nodes.first_names.to_pylist()]
    return Contest(
        service=nodes.service[members].tolist(),
        auth=nodes.codes["auth_user_id"][members].tolist(),
        auth_evidence=usable[match_keys.AUTH_USER_ID].code[members].tolist(),
        registration=registrations(nodes, usable, members).tolist(),
        first_name=[names[code + 1] for code in first_name.tolist()],
        first=np.searchsorted(members, pairs.first).tolist(),
        second=np.searchsorted(members, pairs.second).tolist(),
        level=LEVEL[pairs.rule].tolist(),
        links=pairs.links.tolist(),
        always=_positions(members, decisions.always),
        never=_positions(members, decisions.never),
    )


def _positions(members: npt.NDArray[np.intp], decided: Longs) -> set[tuple[int, int]]:
    """The decided pairs of which both records are members, as positions in `members`."""
    one, other = pair_nodes(decided)
    both = np.isin(one, members) & np.isin(other, members)
    return set(
        zip(np.searchsorted(members, one[both]).tolist(), np.searchsorted(members, other[both]).tolist(), strict=True)
    )
