"""Random worlds for the tests of identity, many tenants at a time, and on how many of them a property is tried.

A resolution takes as long for one small tenant as for forty, so every example of hypothesis is many tenants that are
resolved together. Does not belong here: resolving them (`identity_worlds.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st

from crm_pipeline_tests.domain.naive_identities import Person, World
from crm_pipeline_tests.soak import SOAK

MANY, HALF, FEW = 40, 20, 12
"""Tenants in an example, which has about forty graphs: each tenant one, or two, or a history of two to four."""
GRAPHS: Final = 5_000 if SOAK else 80

Tenants = Mapping[str, World]

thorough: Final = settings(max_examples=1 + GRAPHS // MANY, deadline=None, database=None)
"""A property is tried on `GRAPHS` random graphs.

Hypothesis begins with the simplest example, the same record in all tenants, which is not counted. Some of the others
repeat each other: hypothesis likes to copy parts of an example.
"""


def _values(*values: str | None) -> st.SearchStrategy[str | None]:
    return st.sampled_from(values)


IDS: Final = ("1", "2", "3", "10", "11", "007", "7", "x", "y-2", "y-10", "12345678901234567890123")
AUTHS: Final = _values(None, None, "a", "b", "c")
CONTACTS_AND_NAMES: Final = (
    _values(None, "e1@x.example", "e1@x.example", "e2@x.example", "e3@x.example"),
    _values(None, "+1", "+1", "+2", "+3"),
    _values(None, "ann", "ann", "a", "bob", "b.", "anna"),
    _values(None, "lee", "lee", "kim"),
)
VALUES: Final = st.tuples(AUTHS, *CONTACTS_AND_NAMES)
PLACES: Final = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=2)
"""Of pairs of records, counted round and round; a record with itself is no pair."""
LEAST: Final = st.sampled_from((0.5, 0.85, 0.85, 0.9, 0.95, 0.97, 0.99, 0.995, 1.0))
BLOCKED: Final = st.frozensets(
    st.sampled_from((("EMAIL", "e1@x.example"), ("PHONE", "+2"), ("EMAIL", "nobody@x.example"))), max_size=1
)
KIND: Final = st.integers(0, 3)
STAYS: Final = st.sampled_from((True, True, False))


def people(
    most: int = 9, services: tuple[str, ...] = ("SCL", "TEETIME", "MESSAGING", "CRM"), *, calm: bool = False
) -> st.SearchStrategy[tuple[Person, ...]]:
    """Random records that share a lot: few values, names and initials, ids that are numbers and texts.

    Calm ones do not contradict each other: one of each service, and no auth_user_ids.
    """
    auth = _values(None) if calm else AUTHS
    person = st.builds(Person, st.sampled_from(services), st.sampled_from(IDS), auth, *CONTACTS_AND_NAMES)
    return st.lists(person, min_size=1, max_size=most, unique_by=lambda p: p[: 1 if calm else 2]).map(tuple)


def _said(draw: st.DrawFn, someone: tuple[Person, ...]) -> World:
    """These records, with what operators said about them and how sure the tenant wants to be."""
    always, never = (
        frozenset(
            frozenset((someone[one % len(someone)], someone[other % len(someone)]))
            for one, other in draw(PLACES)
            if someone and (one - other) % len(someone)
        )
        for _ in range(2)
    )
    return World(someone, draw(LEAST), draw(BLOCKED), always, never)


@st.composite
def _world(draw: st.DrawFn, kinds: Sequence[st.SearchStrategy[tuple[Person, ...]]]) -> World:
    return _said(draw, draw(kinds[draw(KIND)]))


def worlds(most: int = 9) -> st.SearchStrategy[World]:
    """A random tenant; some have values so crowded that they are shared, in some only operators contradict."""
    usual, crowd, calm = people(most), people(most + 4, ("SCL", "TEETIME")), people(4, calm=True)
    return _world((usual, usual, crowd, calm))


def tenants(count: int) -> st.SearchStrategy[Tenants]:
    """So many random tenants."""
    return st.lists(worlds(), min_size=count, max_size=count).map(_named)


LASTING: Final = people(7)


@st.composite
def histories(draw: st.DrawFn, *, may_vanish: bool) -> Sequence[Tenants]:
    """`FEW` tenants at a few moments: the records of each stay the same, or come and go, all else changes."""
    keys = [[person[:2] for person in draw(LASTING)] for _ in range(FEW)]
    moments = draw(st.integers(2, 4))
    return [_named([_moment(draw, of_one, may_vanish) for of_one in keys]) for _ in range(moments)]


def _moment(draw: st.DrawFn, keys: list[tuple[str, str]], may_vanish: bool) -> World:
    kept = [key for key in keys if not may_vanish or draw(STAYS)]
    return _said(draw, tuple(Person(*key, *draw(VALUES)) for key in kept))


def _named(found: Sequence[World]) -> Tenants:
    return {f"club-{number}": some for number, some in enumerate(found)}
