"""Contradictory evidence: the level-by-level algorithm, for components that hold two records that cannot be one person.

Belongs here: cannot-link, and who is joined, refused or left to a person at each level. Does not belong here: finding those
components (`clusters.py`), or wording the questions (`reviews.py`).

Records are whole numbers in node order and pairs are sorted, so whatever is met first is the lowest: no answer depends on
the order of rows. It is right on any graph, one component or many, and quick because a cluster without contradiction is
small.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, NamedTuple

from crm_pipeline.vocabulary import ReviewKind

DECIDED_LEVEL: Final = 0
LEVELS: Final = range(5)
"""1.01 (ALWAYS), 1.00, 0.99, 0.95 and 0.85."""

Edges = dict[tuple[int, int], list[int]]


@dataclass(frozen=True)
class Contest:
    """The records and pairs to judge; a record is a position in the lists, a pair a position in `pairs`.

    Attributes:
        service: a number per record.
        auth: a number per auth_user_id, -1 for none; shared ones too.
        auth_evidence: the same where the auth_user_id is evidence, else -1.
        registration: a number per email, phone and full name together, -1 unless all are there and evidence.
        first_name: comparable form, empty for none.
        pairs: (first, second, level, links) with first < second, sorted: see `pairs.Pairs`.
        always: pairs an operator joined, (lower, higher).
        never: pairs an operator parted, (lower, higher).
    """

    service: list[int]
    auth: list[int]
    auth_evidence: list[int]
    registration: list[int]
    first_name: list[str]
    pairs: list[tuple[int, int, int, bool]]
    always: set[tuple[int, int]] = field(default_factory=set)
    never: set[tuple[int, int]] = field(default_factory=set)


class Witness(NamedTuple):
    """Two records that cannot be one person, and why: AUTH_USER_ID, NEVER or SAME_SERVICE."""

    first: int
    second: int
    cannot_link: str


class Refusal(NamedTuple):
    """A pair that was not joined although its rule holds: AMBIGUOUS or CONFLICT."""

    kind: ReviewKind
    pair: int
    witness: Witness


class Verdict(NamedTuple):
    """The cluster of each record, as its first record; the pairs that were refused; one refusal per pair of clusters."""

    cluster: list[int]
    refused: list[int]
    refusals: list[Refusal]


@dataclass(slots=True)
class _Cluster:
    """Records taken for one person; they never contradict each other, so there is at most one auth_user_id."""

    records: list[int]
    auth: int
    services: int
    first_names: set[str]


def separate(contest: Contest) -> Verdict:
    """Join what can be joined, level by level, and refuse what contradicts itself."""
    return _Judge(contest).verdict()


def names_agree(one: str, other: str) -> bool:
    """Whether two first names, both present, are equal or one is the other's initial (with or without a full stop)."""
    return one == other or (one[0] == other[0] and (_is_initial(one) or _is_initial(other)))


def _is_initial(name: str) -> bool:
    return len(name) == 1 or (len(name) == 2 and name[1] == ".")  # noqa: PLR2004


class _Judge:
    """The state of the clusters while the levels go by."""

    def __init__(self, contest: Contest) -> None:
        self.contest = contest
        people = zip(contest.auth, contest.service, contest.first_name, strict=True)
        self.home = [
            _Cluster([record], auth, 1 << service, {name} if name else set())
            for record, (auth, service, name) in enumerate(people)
        ]
        self.refused: list[int] = []
        self.refusals: list[Refusal] = []

    def verdict(self) -> Verdict:
        by_level: defaultdict[int, list[int]] = defaultdict(list)
        for pair, (_, _, level, _) in enumerate(self.contest.pairs):
            by_level[level].append(pair)
        for level in LEVELS:
            edges = self.edges(by_level[level])
            if level != DECIDED_LEVEL:
                edges = self.without_rivals(edges)
            for group in _groups(edges):
                self.join(group, edges)
        return Verdict([cluster.records[0] for cluster in self.home], self.refused, self.refusals)

    def edges(self, pairs: Iterable[int]) -> Edges:
        """Step 1: the pairs of a level between current clusters that do not conflict, by pair of clusters."""
        edges: Edges = {}
        conflicting: set[tuple[int, int]] = set()
        for pair in pairs:
            first, second, _, _ = self.contest.pairs[pair]
            one, other = self.home[first], self.home[second]
            key = (one.records[0], other.records[0])
            if key[0] > key[1]:
                key = key[1], key[0]
            if one is other or key in conflicting:
                continue
            if key in edges:
                edges[key].append(pair)
            elif self.conflict(one, other):
                conflicting.add(key)
            else:
                edges[key] = [pair]
        return edges

    def without_rivals(self, edges: Edges) -> Edges:
        """Step 2: drop the edges from one cluster to two that conflict with each other, sparing a first name that agrees."""
        dropped: set[tuple[int, int]] = set()
        ambiguous: dict[tuple[int, int], Witness] = {}
        for hub, one, other in _forks(edges):
            witness = self.conflict(self.home[one], self.home[other])
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
            elif any(self.contest.pairs[pair][3] for pair in edges[edge]):
                self.merge(self.home[edge[0]], self.home[edge[1]])

    def merge(self, one: _Cluster, other: _Cluster) -> None:
        if one is other:
            return
        one.records = sorted(one.records + other.records)
        one.auth = max(one.auth, other.auth)
        one.services |= other.services
        one.first_names |= other.first_names
        for record in other.records:
            self.home[record] = one

    def report(self, kind: ReviewKind, pairs: list[int], witness: Witness) -> None:
        """One question per pair of clusters, about their first pair of records that is evidence at all."""
        pair = next((pair for pair in pairs if self.contest.pairs[pair][3]), None)
        if pair is not None:
            self.refusals.append(Refusal(kind, pair, witness))

    def agree(self, one: int, other: int) -> bool:
        ones, others = self.home[one].first_names, self.home[other].first_names
        return any(names_agree(name, another) for name in ones for another in others)

    def witness(self, group: list[tuple[int, int]]) -> Witness | None:
        """The first cannot-link pair among the records of a group of clusters."""
        clusters = {cluster for edge in group for cluster in edge}
        records = sorted(record for cluster in clusters for record in self.home[cluster].records)
        return self.first_conflict(
            (records[at], record) for record_at, record in enumerate(records) for at in range(record_at)
        )

    def conflict(self, one: _Cluster, other: _Cluster) -> Witness | None:
        """The first cannot-link pair between two clusters."""
        may_conflict = one.services & other.services or self.contest.never or one.auth >= 0 <= other.auth != one.auth
        if not may_conflict:
            return None
        return self.first_conflict((first, second) for first in one.records for second in other.records)

    def first_conflict(self, pairs: Iterable[tuple[int, int]]) -> Witness | None:
        for first, second in pairs:
            reason = self.cannot_link(first, second)
            if reason:
                return Witness(first, second, reason)
        return None

    def cannot_link(self, first: int, second: int) -> str | None:
        contest, key = self.contest, (first, second) if first < second else (second, first)
        if contest.auth[first] >= 0 <= contest.auth[second] != contest.auth[first]:
            return "AUTH_USER_ID"
        if key in contest.never:
            return "NEVER"
        if (
            contest.service[first] != contest.service[second]
            or key in contest.always
            or self.same_person(first, second)
        ):
            return None
        return "SAME_SERVICE"

    def same_person(self, first: int, second: int) -> bool:
        """Whether two records of one service qualify by the same-service rule."""
        contest = self.contest
        return (
            contest.auth_evidence[first] >= 0 and contest.auth_evidence[first] == contest.auth_evidence[second]
        ) or (contest.registration[first] >= 0 and contest.registration[first] == contest.registration[second])


def _forks(edges: Edges) -> Iterator[tuple[int, int, int]]:
    """Every cluster that has edges to two others."""
    neighbours: defaultdict[int, list[int]] = defaultdict(list)
    for one, other in edges:
        neighbours[one].append(other)
        neighbours[other].append(one)
    for hub, others in sorted(neighbours.items()):
        yield from ((hub, one, other) for one, other in combinations(sorted(others), 2))


def _groups(edges: Edges) -> list[list[tuple[int, int]]]:
    """The edges of each connected group of clusters."""
    parent: dict[int, int] = {}

    def root(cluster: int) -> int:
        while (above := parent.setdefault(cluster, cluster)) != cluster:
            parent[cluster] = cluster = parent[above]
        return cluster

    for one, other in edges:
        parent[root(other)] = root(one)
    groups: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for edge in sorted(edges):
        groups[root(edge[0])].append(edge)
    return list(groups.values())
