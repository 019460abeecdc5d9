"""Small worlds for the tests of identity: making the tables, resolving them, and reading what came out.

Belongs here: what tests by example and on random worlds share. Does not belong here: how a random world comes about
(`random_worlds.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.identity.resolve import Inputs, Resolution, resolve
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_ids
from crm_pipeline.tables.projections import arrow_schema
from crm_pipeline_tests.domain.naive_identities import Person, World

CON: Final = duckdb.connect()
AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
T: Final = "club"
Partition = frozenset[frozenset[tuple[str, str]]]


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


def history(*moments: World | Mapping[str, World] | Iterable[Person]) -> list[Resolution]:
    """Each moment resolved an hour after the one before, knowing what was known."""
    found: list[Resolution] = []
    for hour, moment in enumerate(moments):
        now = moment if isinstance(moment, World | Mapping) else world(*moment)
        found.append(run(now, found[-1] if found else None, hour))
    return found


def world(*people: Person, min_confidence: float = 0.85, **said: Iterable[Any]) -> World:
    """A world from its records; `suppressed`, `always` and `never` are given as lists of pairs."""
    never, always = (frozenset(frozenset(pair) for pair in said.get(kind, ())) for kind in ("never", "always"))
    suppressed = frozenset(tuple(value) for value in said.get("suppressed", ()))
    return World(people, min_confidence, suppressed, always, never)


def together(*people: Person) -> frozenset[tuple[str, str]]:
    """Some people as `profiles` and `partition` name them."""
    return frozenset(person[:2] for person in people)


def part(found: Resolution, *tenants: str) -> Resolution:
    """What was found about some tenants."""
    wanted, tables = pa.array(tenants, pa.string()), (getattr(found, table.name) for table in fields(Resolution))
    return Resolution(*(rows.filter(pc.is_in(rows["tenant_id"], value_set=wanted)) for rows in tables))


@contextmanager
def about(tenant: str, *its: object) -> Iterator[None]:
    """Where something about one tenant of many fails, says which one, and its worlds."""
    try:
        yield
    except AssertionError as wrong:
        wrong.add_note("\n".join((f"Of {tenant}:", *map(str, its))))
        raise


def assert_same(one: Resolution, other: Resolution, tenants: Mapping[str, World]) -> None:
    """The same was found about these tenants, in each of the tables."""
    for tenant, some in tenants.items():
        with about(tenant, some):
            assert part(one, tenant) == part(other, tenant)


def partition(resolution: Resolution) -> Partition:
    """Who is with whom in a tenant, by service and record id."""
    return frozenset(profiles(resolution).values())


def profiles(resolution: Resolution) -> dict[str, frozenset[tuple[str, str]]]:
    """The records of each profile."""
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in resolution.customer_identities.to_pylist():
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


def obeyed(w: World) -> World:
    """The world without the ALWAYS pairs that nothing may grant."""

    def may_be_granted(pair: frozenset[Person]) -> bool:
        ids = {p.auth_user_id for p in pair} - {None}
        return len(ids) < 2 and pair not in w.never

    return w._replace(always=frozenset(filter(may_be_granted, w.always)))


def renamed_world(some: World, names: Mapping[Person, int]) -> World:
    """The same world, with these numbers for record ids."""
    new = {person: person._replace(record_id=str(name)) for person, name in names.items()}
    always, never = (frozenset(frozenset(new[p] for p in pair) for pair in said) for said in (some.always, some.never))
    return some._replace(people=tuple(new.values()), always=always, never=never)


def anonymous(found: Resolution, names: dict[tuple[str, str], tuple[str, str]]) -> tuple[object, ...]:
    """The profiles under these names, each with the confidences of its links, and how often each kind is asked.

    Of equal links and pairs the first by name is taken, so which they are is a matter of names, and with it whether the
    first names on its two sides differ.
    """
    confidences: defaultdict[str, list[float]] = defaultdict(list)
    for row in found.customer_identities.to_pylist():
        confidences[row["profile_id"]].append(row["confidence"])
    kept = {
        (frozenset(names[record] for record in records), *sorted(confidences[profile]))
        for profile, records in profiles(found).items()
    }
    return kept, Counter(row["kind"] for row in open_reviews(found) if row["kind"] != "NAMES_DIFFER")
