"""Contradictory evidence: the level-by-level algorithm, for components that hold two records that cannot be one person.

Belongs here: who is joined, refused or left to a person at each level. Does not belong here: what is known about the
records (`contests.py`), finding those components (`clusters.py`), or wording the questions (`reviews.py`).

Records are whole numbers in node order and pairs are sorted, so whatever is met first is the lowest: no answer depends
on the order of rows. It is right on any graph, one component or many, and quick because clusters without contradiction
are small.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from crm_pipeline.domain.identity.cannot_link import CannotLinkGraph, are_names_compatible
from crm_pipeline.vocabulary import ReviewKind

ALWAYS_LEVEL: Final = 0
LEVELS: Final = range(5)
"""1.01 (ALWAYS), 1.00, 0.99, 0.95 and 0.85."""

Edges = dict[tuple[int, int], tuple[int, ...]]


class Witness(NamedTuple):
    """Two records that cannot be one person, and why (see `Contest.cannot_link`)."""

    first: int
    second: int
    cannot_link: str


class Rejection(NamedTuple):
    """A pair that was not joined although its rule holds: AMBIGUOUS or CONFLICT."""

    kind: ReviewKind
    pair: int
    witness: Witness


class ConflictResolution(NamedTuple):
    """The cluster of each record, as its first record; the refused pairs; and one refusal per pair of clusters."""

    cluster: list[int]
    refused: list[int]
    refusals: list[Rejection]


def resolve_conflicts(contest: CannotLinkGraph) -> ConflictResolution:
    """Join what can be joined, level by level, and refuse what contradicts itself."""
    return _ConflictResolver(contest).verdict()


class _ConflictResolver:
    """The state of the clusters while the levels go by; a cluster is known by its first record.

    Its records never contradict each other, so it has at most one auth_user_id. Only joined clusters list
    their records, and tuples hold numbers: hundreds of thousands of lists would keep the garbage collector busier than
    the algorithm.
    """

    def __init__(self, contest: CannotLinkGraph) -> None:
        self.contest = contest
        self.cluster = list(range(len(contest.service)))
        self.joined: dict[int, tuple[int, ...]] = {}
        self.auth = contest.auth.copy()
        self.services = [1 << service for service in contest.service]
        self.refused: list[int] = []
        self.refusals: list[Rejection] = []

    def verdict(self) -> ConflictResolution:
        by_level: list[list[int]] = [[] for _ in LEVELS]
        for pair, level in enumerate(self.contest.level):
            by_level[level].append(pair)
        for level in LEVELS:
            edges = self.edges(by_level[level])
            if level != ALWAYS_LEVEL:
                edges = self.without_rivals(edges)
            for group in _group_connected_edges(edges):
                self.join(group, edges)
        return ConflictResolution(self.cluster, self.refused, self.refusals)

    def records(self, cluster: int) -> Sequence[int]:
        return self.joined.get(cluster) or (cluster,)

    def edges(self, pairs: Iterable[int]) -> Edges:
        """Step 1: the pairs of a level between current clusters that do not conflict, by pair of clusters."""
        first, second, cluster = self.contest.first, self.contest.second, self.cluster
        edges: Edges = {}
        conflicting: set[tuple[int, int]] = set()
        for pair in pairs:
            one, other = cluster[first[pair]], cluster[second[pair]]
            edge = (one, other) if one < other else (other, one)
            if edge in edges:
                edges[edge] += (pair,)
            elif one != other and edge not in conflicting:
                if self.may_conflict(one, other) and self.conflict(*edge):
                    conflicting.add(edge)
                else:
                    edges[edge] = (pair,)
        return edges

    def without_rivals(self, edges: Edges) -> Edges:
        """Step 2: where a cluster has edges to two that conflict, keep the one whose first name agrees, or neither."""
        dropped: set[tuple[int, int]] = set()
        ambiguous: dict[tuple[int, int], Witness] = {}
        for hub, one, other in _list_forks(edges):
            witness = self.conflict(one, other)
            if witness is None:
                continue
            to_one, to_other = (min(hub, one), max(hub, one)), (min(hub, other), max(hub, other))
            one_agrees, other_agrees = self.agree(hub, one), self.agree(hub, other)
            if one_agrees != other_agrees:
                dropped.add(to_other if one_agrees else to_one)
            else:
                ambiguous.setdefault(to_one, witness)
                ambiguous.setdefault(to_other, witness)
        for edge, witness in ambiguous.items():
            self.report(ReviewKind.AMBIGUOUS, edges[edge], witness)
        dropped |= ambiguous.keys()
        for edge in dropped:
            self.refused += edges[edge]
        return {edge: pairs for edge, pairs in edges.items() if edge not in dropped}

    def join(self, group: list[tuple[int, int]], edges: Edges) -> None:
        """Step 3: join the clusters of a group, or none of them where it holds a cannot-link pair."""
        witness = self.witness(group) if len(group) > 1 else None
        for edge in group:
            if witness:
                self.report(ReviewKind.CONFLICT, edges[edge], witness)
                self.refused += edges[edge]
            elif any(self.contest.links[pair] for pair in edges[edge]):
                self.merge(self.cluster[edge[0]], self.cluster[edge[1]])

    def merge(self, one: int, other: int) -> None:
        if one == other:
            return
        first, last = (one, other) if one < other else (other, one)
        self.auth[first] = max(self.auth[one], self.auth[other])
        self.services[first] |= self.services[last]
        moved = self.joined.pop(last, (last,))
        for record in moved:
            self.cluster[record] = first
        self.joined[first] = tuple(sorted((*self.records(first), *moved)))

    def report(self, kind: ReviewKind, pairs: Iterable[int], witness: Witness) -> None:
        """One question per pair of clusters, about their first pair of records that is evidence at all."""
        pair = next((pair for pair in pairs if self.contest.links[pair]), None)
        if pair is not None:
            self.refusals.append(Rejection(kind, pair, witness))

    def agree(self, one: int, other: int) -> bool:
        name = self.contest.first_name
        ones = [name[record] for record in self.records(one) if name[record]]
        others = [name[record] for record in self.records(other) if name[record]]
        return any(are_names_compatible(first, second) for first in ones for second in others)

    def witness(self, group: list[tuple[int, int]]) -> Witness | None:
        """The first cannot-link pair among the records of a group of clusters."""
        clusters = {cluster for edge in group for cluster in edge}
        records = sorted(record for cluster in clusters for record in self.records(cluster))
        return self.first_conflict((before, record) for at, record in enumerate(records) for before in records[:at])

    def may_conflict(self, one: int, other: int) -> bool:
        """Whether two clusters share a service or differ by auth_user_id, or there is a NEVER at all."""
        different_auth = self.auth[one] >= 0 <= self.auth[other] != self.auth[one]
        return different_auth or self.services[one] & self.services[other] != 0 or bool(self.contest.never)

    def conflict(self, one: int, other: int) -> Witness | None:
        """The first cannot-link pair between two clusters."""
        if not self.may_conflict(one, other):
            return None
        return self.first_conflict((first, second) for first in self.records(one) for second in self.records(other))

    def first_conflict(self, pairs: Iterable[tuple[int, int]]) -> Witness | None:
        for first, second in pairs:
            cannot_link = self.contest.cannot_link(first, second)
            if cannot_link:
                return Witness(first, second, cannot_link)
        return None


def _list_forks(edges: Edges) -> Iterator[tuple[int, int, int]]:
    """Every cluster that has edges to two others."""
    neighbours: defaultdict[int, list[int]] = defaultdict(list)
    for one, other in edges:
        neighbours[one].append(other)
        neighbours[other].append(one)
    for hub, others in neighbours.items():
        if len(others) > 1:
            yield from ((hub, one, other) for one, other in combinations(others, 2))


def _group_connected_edges(edges: Edges) -> list[list[tuple[int, int]]]:
    """The edges of each connected group of clusters."""
    parent: dict[int, int] = {}

    def root(cluster: int) -> int:
        while (above := parent.setdefault(cluster, cluster)) != cluster:
            parent[cluster] = cluster = parent[above]
        return cluster

    for one, other in edges:
        parent[root(other)] = root(one)
    groups: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for edge in edges:
        groups[root(edge[0])].append(edge)
    return list(groups.values())
