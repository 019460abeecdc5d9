"""Identity resolution the slow and obvious way, for one tenant: the level-by-level algorithm on everything.

Written from the specification alone, to be raced against `crm_pipeline.domain`. Every question is answered by looking
at all pairs of records.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import combinations, product
from typing import NamedTuple

KINDS = {"AUTH_USER_ID": "auth_user_id", "EMAIL": "email", "PHONE": "phone_number"}
ALWAYS, AUTH, EXACT, EMAIL, PHONE = 1.01, 1.00, 0.99, 0.95, 0.85


class Person(NamedTuple):
    """One record."""

    service: str
    record_id: str
    auth_user_id: str | None = None
    email: str | None = None
    phone_number: str | None = None
    first_name: str | None = None
    last_name: str | None = None


Cluster = frozenset[Person]
Pair = frozenset[Person]


class World(NamedTuple):
    """One tenant: its records, and what operators said."""

    people: tuple[Person, ...]
    min_confidence: float = 0.85
    suppressed: frozenset[tuple[str, str]] = frozenset()
    always: frozenset[Pair] = frozenset()
    never: frozenset[Pair] = frozenset()


class Answer(NamedTuple):
    """The clusters; and per kind of question, each pair of clusters that was refused, with the pairs of records."""

    clusters: set[Cluster]
    refused: set[tuple[str, frozenset[Pair]]]


@cache
def shared_values(world: World) -> set[tuple[str, str]]:
    """(kind, value) of everything that is no evidence."""
    carried = Counter((k, getattr(p, c), p.service) for p in world.people for k, c in KINDS.items() if getattr(p, c))
    return {(kind, value) for (kind, value, _), count in carried.items() if count > 3} | world.suppressed


def confidence(world: World, a: Person, b: Person) -> float:
    """The level of the best rule that holds, 0 where none does."""
    if frozenset((a, b)) in world.always:
        return ALWAYS
    auth, email, phone = (
        getattr(a, c) is not None
        and getattr(a, c) == getattr(b, c)
        and (kind, getattr(a, c)) not in shared_values(world)
        for kind, c in KINDS.items()
    )
    if a.service == b.service:
        full_name = a.first_name and a.last_name and a[-2:] == b[-2:]
        rules = [(auth, AUTH), (email and phone and full_name, EXACT)]
    else:
        rules = [(auth, AUTH), (email and phone, EXACT), (email, EMAIL), (phone, PHONE)]
    return max([level for holds, level in rules if holds], default=0.0)


def links(world: World, a: Person, b: Person) -> bool:
    """Whether the best rule of a pair reaches `min_confidence`, or is the same-service rule."""
    return confidence(world, a, b) >= (world.min_confidence if a.service != b.service else EXACT)


def cannot_link(world: World, a: Person, b: Person) -> bool:
    """Whether the two cannot be one person."""
    if frozenset((a, b)) in world.never or (a.auth_user_id and b.auth_user_id and a.auth_user_id != b.auth_user_id):
        return True
    return a.service == b.service and not confidence(world, a, b)


def names_agree(one: Cluster, other: Cluster) -> bool:
    """Whether any two first names are equal, or one the other's initial."""
    names = product((p.first_name for p in one), (p.first_name for p in other))
    return any(m and n and (m == n or n in (m[0], m[0] + ".") or m in (n[0], n[0] + ".")) for m, n in names)


def solve(world: World) -> Answer:
    """Levels 1.01 to 0.85 on all records at once."""

    def conflict(one: Cluster, other: Cluster) -> bool:
        return any(cannot_link(world, a, b) for a, b in product(one, other))

    best = {frozenset(pair): confidence(world, *pair) for pair in combinations(world.people, 2)}
    clusters = {frozenset([person]) for person in world.people}
    refused: set[tuple[str, frozenset[Pair]]] = set()
    for level in (ALWAYS, AUTH, EXACT, EMAIL, PHONE):
        linking = {pair for pair, best_level in best.items() if best_level == level and links(world, *pair)}
        speaks = {pair for pair, best_level in best.items() if best_level == level == EXACT} | linking
        edges = {
            frozenset((one, other)): {frozenset(p) for p in product(one, other) if frozenset(p) in speaks}
            for one, other in combinations(clusters, 2)
            if not conflict(one, other)
        }
        edges = {edge: pairs for edge, pairs in edges.items() if pairs}
        dropped = set()
        for hub, one, other in ((h, o, t) for h in clusters for o, t in combinations(clusters - {h}, 2)):
            fork = {one: frozenset((hub, one)), other: frozenset((hub, other))}
            if level != ALWAYS and set(fork.values()) <= edges.keys() and conflict(one, other):
                agreeing = [cluster for cluster in fork if names_agree(hub, cluster)]
                losers = [c for c in fork if c not in agreeing] if len(agreeing) == 1 else list(fork)
                dropped |= {fork[cluster] for cluster in losers}
                if len(losers) == 2:
                    refused |= {
                        ("AMBIGUOUS", frozenset(edges[e] & linking)) for e in fork.values() if edges[e] & linking
                    }
        kept = {edge: pairs for edge, pairs in edges.items() if edge not in dropped}
        for group in joined(clusters, kept):
            inside = {edge: pairs for edge, pairs in kept.items() if edge <= group}
            if any(conflict(one, other) for one, other in combinations(group, 2)):
                refused |= {("CONFLICT", frozenset(pairs & linking)) for pairs in inside.values() if pairs & linking}
            else:
                parts = joined(group, (edge for edge, pairs in inside.items() if pairs & linking))
                clusters = clusters - group | {frozenset().union(*part) for part in parts}
    return Answer(clusters, refused)


def joined(clusters: Iterable[Cluster], edges: Iterable[frozenset[Cluster]]) -> list[set[Cluster]]:
    """Groups of clusters connected by edges."""
    groups = [{cluster} for cluster in clusters]
    for edge in edges:
        touched = [group for group in groups if group & edge]
        groups = [group for group in groups if not group & edge] + [set().union(*touched)]
    return groups
