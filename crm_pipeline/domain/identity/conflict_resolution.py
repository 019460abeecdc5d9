"""The level-by-level algorithm for components with two records that cannot be one person: what it joins and rejects.

Records are whole numbers in node order and pairs are sorted, so the first one found is the lowest, and the result does
not depend on the order of rows. It is right on any graph, and fast because clusters without conflicts are small.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from crm_pipeline.domain.identity.cannot_link import CannotLinkGraph
from crm_pipeline.vocabulary import ReviewKind

ALWAYS_LEVEL: Final = 0
LEVELS: Final = range(5)
"""Positions of the levels 1.01 (ALWAYS), 1.00, 0.99, 0.95 and 0.85."""

Edges = dict[tuple[int, int], tuple[int, ...]]


class Witness(NamedTuple):
    """Two records that cannot be one person, and why (see `CannotLinkGraph.find_cannot_link`)."""

    first: int
    second: int
    cannot_link: str


class Rejection(NamedTuple):
    """A pair that was not joined although its rule holds: AMBIGUOUS or CONFLICT."""

    kind: ReviewKind
    pair: int
    witness: Witness


class ConflictResolution(NamedTuple):
    """The cluster of each record, as its first record; the rejected pairs; and one rejection per pair of clusters."""

    cluster: list[int]
    rejected: list[int]
    rejections: list[Rejection]


def resolve_conflicts(graph: CannotLinkGraph) -> ConflictResolution:
    """Returns the clusters joined level by level, and the pairs that conflicts keep apart."""
    return _ConflictResolver(graph).resolve()


class _ConflictResolver:
    """The state of the clusters from level to level; a cluster is identified by its first record.

    No two records of a cluster conflict, so it has at most one auth_user_id. Only joined clusters list their records,
    as tuples of numbers: hundreds of thousands of lists would cost the garbage collector more time than the algorithm.
    """

    def __init__(self, graph: CannotLinkGraph) -> None:
        self.graph = graph
        self.cluster = list(range(len(graph.service)))
        self.joined: dict[int, tuple[int, ...]] = {}
        self.auth = graph.auth.copy()
        self.services = [1 << service for service in graph.service]
        self.rejected: list[int] = []
        self.rejections: list[Rejection] = []

    def resolve(self) -> ConflictResolution:
        by_level: list[list[int]] = [[] for _ in LEVELS]
        for pair, level in enumerate(self.graph.level):
            by_level[level].append(pair)
        for level in LEVELS:
            edges = self.find_edges(by_level[level])
            if level != ALWAYS_LEVEL:
                edges = self.drop_competing_edges(edges)
            for group in _group_connected_edges(edges):
                self.join_group(group, edges)
        return ConflictResolution(self.cluster, self.rejected, self.rejections)

    def list_records(self, cluster: int) -> Sequence[int]:
        return self.joined.get(cluster) or (cluster,)

    def find_edges(self, pairs: Iterable[int]) -> Edges:
        """Returns step 1: the pairs of a level between current clusters that do not conflict, by pair of clusters."""
        first, second, cluster = self.graph.first, self.graph.second, self.cluster
        edges: Edges = {}
        conflicting: set[tuple[int, int]] = set()
        for pair in pairs:
            one, other = cluster[first[pair]], cluster[second[pair]]
            edge = (one, other) if one < other else (other, one)
            if edge in edges:
                edges[edge] += (pair,)
            elif one != other and edge not in conflicting:
                if self.is_conflict_possible(one, other) and self.find_conflict(*edge):
                    conflicting.add(edge)
                else:
                    edges[edge] = (pair,)
        return edges

    def drop_competing_edges(self, edges: Edges) -> Edges:
        """Returns step 2: the edges without those that compete.

        Where a cluster has edges to two that conflict, the edge with an agreeing first name remains, or neither.
        """
        dropped: set[tuple[int, int]] = set()
        ambiguous: dict[tuple[int, int], Witness] = {}
        for hub, one, other in _list_forks(edges):
            witness = self.find_conflict(one, other)
            if witness is None:
                continue
            to_one, to_other = (min(hub, one), max(hub, one)), (min(hub, other), max(hub, other))
            one_agrees, other_agrees = self.have_agreeing_names(hub, one), self.have_agreeing_names(hub, other)
            if one_agrees != other_agrees:
                dropped.add(to_other if one_agrees else to_one)
            else:
                ambiguous.setdefault(to_one, witness)
                ambiguous.setdefault(to_other, witness)
        for edge, witness in ambiguous.items():
            self.add_rejection(ReviewKind.AMBIGUOUS, edges[edge], witness)
        dropped |= ambiguous.keys()
        for edge in dropped:
            self.rejected += edges[edge]
        return {edge: pairs for edge, pairs in edges.items() if edge not in dropped}

    def join_group(self, group: list[tuple[int, int]], edges: Edges) -> None:
        """Step 3: joins the clusters of a group, or none of them where it has a cannot-link pair."""
        witness = self.find_witness(group) if len(group) > 1 else None
        for edge in group:
            if witness:
                self.add_rejection(ReviewKind.CONFLICT, edges[edge], witness)
                self.rejected += edges[edge]
            elif any(self.graph.links[pair] for pair in edges[edge]):
                self.merge_clusters(self.cluster[edge[0]], self.cluster[edge[1]])

    def merge_clusters(self, one: int, other: int) -> None:
        if one == other:
            return
        first, last = (one, other) if one < other else (other, one)
        self.auth[first] = max(self.auth[one], self.auth[other])
        self.services[first] |= self.services[last]
        moved = self.joined.pop(last, (last,))
        for record in moved:
            self.cluster[record] = first
        self.joined[first] = tuple(sorted((*self.list_records(first), *moved)))

    def add_rejection(self, kind: ReviewKind, pairs: Iterable[int], witness: Witness) -> None:
        """Adds one rejection per pair of clusters: their first pair of records that may link."""
        pair = next((pair for pair in pairs if self.graph.links[pair]), None)
        if pair is not None:
            self.rejections.append(Rejection(kind, pair, witness))

    def have_agreeing_names(self, one: int, other: int) -> bool:
        name = self.graph.first_name
        ones, others = ({name[record] for record in self.list_records(cluster)} for cluster in (one, other))
        return any(self.graph.names.do_agree(first, second) for first in ones for second in others)

    def find_witness(self, group: list[tuple[int, int]]) -> Witness | None:
        """Returns the first cannot-link pair among the records of a group of clusters."""
        clusters = {cluster for edge in group for cluster in edge}
        records = sorted(record for cluster in clusters for record in self.list_records(cluster))
        return self.find_first_conflict(
            (before, record) for at, record in enumerate(records) for before in records[:at]
        )

    def is_conflict_possible(self, one: int, other: int) -> bool:
        """Whether two clusters share a service or differ by auth_user_id, or there is any NEVER."""
        different_auth = self.auth[one] >= 0 <= self.auth[other] != self.auth[one]
        return different_auth or self.services[one] & self.services[other] != 0 or bool(self.graph.never)

    def find_conflict(self, one: int, other: int) -> Witness | None:
        """Returns the first cannot-link pair between two clusters."""
        if not self.is_conflict_possible(one, other):
            return None
        return self.find_first_conflict(
            (first, second) for first in self.list_records(one) for second in self.list_records(other)
        )

    def find_first_conflict(self, pairs: Iterable[tuple[int, int]]) -> Witness | None:
        for first, second in pairs:
            cannot_link = self.graph.find_cannot_link(first, second)
            if cannot_link:
                return Witness(first, second, cannot_link)
        return None


def _list_forks(edges: Edges) -> Iterator[tuple[int, int, int]]:
    """Yields every cluster with two others that it has edges to."""
    neighbours: defaultdict[int, list[int]] = defaultdict(list)
    for one, other in edges:
        neighbours[one].append(other)
        neighbours[other].append(one)
    for hub, others in neighbours.items():
        if len(others) > 1:
            yield from ((hub, one, other) for one, other in combinations(others, 2))


def _group_connected_edges(edges: Edges) -> list[list[tuple[int, int]]]:
    """Returns the edges of each connected group of clusters."""
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
