"""Small worlds for the tests of identity: making the tables, resolving them, and reading what came out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st

from crm_pipeline.domain.identities import Inputs, Resolution, resolve
from crm_pipeline.tables.identities import customer_identities, identity_reviews, profile_ids
from crm_pipeline.tables.projections import arrow_schema
from crm_pipeline_tests.domain.naive_identities import Person, World
from crm_pipeline_tests.soak import SOAK

CON: Final = duckdb.connect()
AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
T: Final = "club"
Partition = frozenset[frozenset[tuple[str, str]]]


def thorough(examples: int) -> settings:
    """How many random worlds a property is tried on: a quarter of `examples`, or thousands with CRM_PIPELINE_SOAK=1."""
    return settings(max_examples=5_000 if SOAK else (examples + 3) // 4, deadline=None, database=None)


def _table(columns: str, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    names = columns.split()
    columns_of_rows = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table({name: pa.array(values, pa.string()) for name, values in zip(names, columns_of_rows, strict=True)})


def inputs(worlds: Mapping[str, World], before: Resolution | None = None) -> Inputs:
    """The worlds as tenants, after what was known before."""
    pairs = [
        (t, *sorted((p.service, p.record_id) for p in pair), decision)
        for t, w in worlds.items()
        for decision, decided in (("ALWAYS", w.always), ("NEVER", w.never))
        for pair in decided
    ]
    return Inputs(
        _table(
            "tenant_id service record_id auth_user_id email phone_number first_name last_name",
            [(t, *person) for t, w in worlds.items() for person in w.people],
        ),
        pa.table(
            {
                "tenant_id": pa.array(list(worlds), pa.string()),
                "min_confidence": pa.array([w.min_confidence for w in worlds.values()], pa.float64()),
            }
        ),
        _table("tenant_id kind value", [(t, *value) for t, w in worlds.items() for value in sorted(w.suppressed)]),
        _table(
            "tenant_id service_a record_id_a service_b record_id_b decision",
            sorted((t, *one, *other, decision) for t, one, other, decision in pairs),
        ),
        previous_identities=before.customer_identities if before else arrow_schema(customer_identities).empty_table(),
        previous_ids=before.profile_ids if before else arrow_schema(profile_ids).empty_table(),
        previous_reviews=before.identity_reviews if before else arrow_schema(identity_reviews).empty_table(),
        as_of=AS_OF,
        run_id="run-0",
    )


def run(worlds: World | Mapping[str, World], before: Resolution | None = None, hour: int = 0) -> Resolution:
    """Resolve one world, or several tenants' worlds, after what was known before."""
    given = inputs({T: worlds} if isinstance(worlds, World) else worlds, before)
    return resolve(CON, replace(given, as_of=AS_OF + timedelta(hours=hour), run_id=f"run-{hour}"))


def history(*moments: World | Iterable[Person]) -> list[Resolution]:
    """Each world resolved an hour after the one before, knowing what was known."""
    found: list[Resolution] = []
    for hour, moment in enumerate(moments):
        now = moment if isinstance(moment, World) else world(*moment)
        found.append(run(now, found[-1] if found else None, hour))
    return found


def world(*people: Person, min_confidence: float = 0.85, **said: Iterable[Any]) -> World:
    """A world from its records; `suppressed`, `always` and `never` are given as lists of pairs."""
    never, always = (frozenset(frozenset(pair) for pair in said.get(kind, ())) for kind in ("never", "always"))
    suppressed = frozenset(tuple(value) for value in said.get("suppressed", ()))
    return World(people, min_confidence, suppressed, always, never)


def partition(resolution: Resolution, tenant: str = T) -> Partition:
    """Who is with whom, by service and record id."""
    return frozenset(profiles(resolution, tenant).values())


def profiles(resolution: Resolution, tenant: str = T) -> dict[str, frozenset[tuple[str, str]]]:
    """The records of each profile."""
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in resolution.customer_identities.to_pylist():
        if row["tenant_id"] == tenant:
            found[row["profile_id"]].add((row["service"], row["service_record_id"]))
    return {profile: frozenset(records) for profile, records in found.items()}


def id_of(resolution: Resolution, person: Person) -> str:
    """The profile id of a record."""
    [profile] = [p for p, records in profiles(resolution).items() if person[:2] in records]
    return profile


def open_reviews(resolution: Resolution, kind: str | None = None) -> list[dict[str, Any]]:
    """Open questions, of one kind or all."""
    rows: list[dict[str, Any]] = resolution.identity_reviews.to_pylist()
    return [row for row in rows if row["closed_at"] is None and kind in (None, row["kind"])]


def events(resolution: Resolution) -> list[tuple[str, str, str | None]]:
    """(event type, profile, other profile), sorted."""
    rows = resolution.profile_events.to_pylist()
    return sorted(((r["event_type"], r["profile_id"], r["other_profile_id"]) for r in rows), key=str)


def _values(*values: str | None) -> st.SearchStrategy[str | None]:
    return st.sampled_from(values)


def people(
    most: int = 9, services: tuple[str, ...] = ("SCL", "TEETIME", "MESSAGING", "CRM"), *, calm: bool = False
) -> st.SearchStrategy[Any]:
    """Random records that share a lot: few values, names and initials, ids that are numbers and texts.

    Calm ones do not contradict each other: one of each service, and no auth_user_ids.
    """
    ids = st.sampled_from(("1", "2", "3", "10", "11", "007", "7", "x", "y-2", "y-10", "12345678901234567890123"))
    person = st.builds(
        Person,
        st.sampled_from(services),
        ids,
        _values(None) if calm else _values(None, None, "a", "b", "c"),
        _values(None, "e1@x.example", "e1@x.example", "e2@x.example", "e3@x.example"),
        _values(None, "+1", "+1", "+2", "+3"),
        _values(None, "ann", "ann", "a", "bob", "b.", "anna"),
        _values(None, "lee", "lee", "kim"),
    )
    return st.lists(person, min_size=1, max_size=most, unique_by=lambda p: p[: 1 if calm else 2]).map(tuple)


@st.composite
def worlds(draw: st.DrawFn, most: int = 9) -> World:
    """A random tenant; some have values so crowded that they are shared, in some only operators contradict."""
    kinds = {"usual": people(most), "crowd": people(most + 4, ("SCL", "TEETIME")), "calm": people(4, calm=True)}
    someone = draw(kinds[draw(st.sampled_from(("usual", "usual", "crowd", "calm")))])
    pair = st.tuples(st.sampled_from(someone), st.sampled_from(someone)).map(frozenset)
    pairs = st.frozensets(pair.filter(lambda p: len(p) == 2), max_size=2) if len(someone) > 1 else st.just(frozenset())
    always, never = draw(pairs), draw(pairs)
    blocked = st.sampled_from((("EMAIL", "e1@x.example"), ("PHONE", "+2"), ("EMAIL", "nobody@x.example")))
    return World(
        someone,
        draw(st.sampled_from((0.5, 0.85, 0.85, 0.9, 0.95, 0.97, 0.99, 0.995, 1.0))),
        draw(st.frozensets(blocked, max_size=1)),
        always,
        never,
    )


@st.composite
def histories(draw: st.DrawFn, *, may_vanish: bool) -> Sequence[World]:
    """A few worlds of the same records, whose values change, and which may come and go."""
    keys = [person[:2] for person in draw(people(7))]
    moments = []
    for _ in range(draw(st.integers(2, 4))):
        values = draw(st.lists(people(1), min_size=len(keys), max_size=len(keys)))
        now = [Person(*key, *one[2:]) for key, (one,) in zip(keys, values, strict=True)]
        stays = st.lists(st.sampled_from((True, True, False)), min_size=len(now), max_size=len(now))
        kept = draw(stays) if may_vanish else [True] * len(now)
        moments.append(world(*(person for person, stay in zip(now, kept, strict=True) if stay)))
    return moments


def obeyed(w: World) -> World:
    """The world without the ALWAYS pairs that nothing may grant."""

    def may_be_granted(pair: frozenset[Person]) -> bool:
        ids = {p.auth_user_id for p in pair} - {None}
        return len(ids) < 2 and pair not in w.never

    return w._replace(always=frozenset(filter(may_be_granted, w.always)))
