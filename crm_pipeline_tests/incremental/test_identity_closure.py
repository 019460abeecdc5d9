"""The identity closure: resolving it alone gives what resolving all records gives; a value of a crowd links nobody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipeline.domain.identity.resolve import Resolution, resolve_identities
from crm_pipeline.incremental.identity_closure import (
    IS_IN_CLOSURE,
    MARK_SHARED_VALUES,
    find_identity_closure,
)
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, profile_ids
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.worlds.identity_worlds import T, about, inputs, run, world
from crm_pipeline_tests.fixtures.worlds.naive_identities import Person, World
from crm_pipeline_tests.fixtures.worlds.random_worlds import HALF, VALUES, people, worlds

CHANGED_RECORDS: Final = """
    select tenant_id, service, record_id as service_record_id, auth_user_id, email, phone_number,
        count(*) over (partition by tenant_id, service, record_id) = 2 as _is_update
    from (from people_before union all from all_people) semi join dirty_records using (tenant_id, service, record_id)"""
Hour = tuple[World, World]
"""A tenant before and after."""
Rows = list[dict[str, Any]]
STORED: Final = (customer_identities, profile_ids, identity_reviews)
MOSTLY_SHARED: Final = (
    st.none(),
    st.sampled_from(("e1@x.example", "e1@x.example", "e2@x.example", None)),
    st.sampled_from(("+1", "+2", "+3", "+4", None, None)),
    st.sampled_from(("ann", "bob", None)),
    st.sampled_from(("lee", "kim")),
)
CROWD: Final = tuple(Person("SCL", str(n), None, "office@x.example", None, f"n{n}", "lee") for n in range(5))
EVE: Final = Person("TEETIME", "eve", None, "eve@x.example", None, "eve", "kim")
CROWDED: Final = st.lists(
    st.builds(Person, st.sampled_from(("SCL", "TEETIME")), st.integers(0, 30).map(str), *MOSTLY_SHARED),
    min_size=6,
    max_size=14,
    unique_by=lambda person: person[:2],
).map(lambda people: world(*people))
YOUNGEST: Final = Person("CRM", "youngest", None, "zoe@x.example", None, "zoe", "kim")


def resolve_closure(before: Mapping[str, World], after: Mapping[str, World], known: Resolution) -> tuple[Any, ...]:
    """Returns new events, all stored rows per table, and the records resolved again, after an incremental hour."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    given, dirty = inputs(after, known), list(dirty_records(before, after))
    con.execute("create table dirty_records (tenant_id varchar, service varchar, record_id varchar)")
    con.executemany("insert into dirty_records values (?, ?, ?)", [*dirty, ("nobody", "SCL", "0")])
    register(con, "all_people", given.records)
    register(con, "people_before", inputs(before).records)
    register(con, "person_records", "select *, record_id as service_record_id from all_people")
    register(con, "changed_person_records", CHANGED_RECORDS)
    register(con, "suppressed", given.suppressed)
    register(con, "crm_identity_override", given.overrides)
    for table in STORED:
        register(con, table.name, getattr(known, table.name))
    find_identity_closure(con)
    register(con, "people", "from all_people semi join required_records using (tenant_id, service, record_id)")
    con.execute(MARK_SHARED_VALUES)

    def rows(relation: str, condition: str = "true") -> pa.Table:
        return con.sql(f"from {relation} where {condition}").to_arrow_table()

    found = resolve_identities(
        con,
        replace(
            given,
            records=rows("people"),
            suppressed=rows("suppressed"),
            previous_identities=rows("customer_identities", IS_IN_CLOSURE[customer_identities]),
            previous_ids=rows("profile_ids", IS_IN_CLOSURE[profile_ids]),
            previous_reviews=rows("identity_reviews", IS_IN_CLOSURE[identity_reviews]),
        ),
    )
    other_rows = [rows(table.name, f"not coalesce({IS_IN_CLOSURE[table]}, false)").to_pylist() for table in STORED]
    stored = [getattr(found, table.name).to_pylist() + others for table, others in zip(STORED, other_rows, strict=True)]
    required = {tuple(row.values()) for row in rows("required_records").to_pylist()}
    return found.profile_events.to_pylist(), stored, required


def register(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table | str) -> None:
    """Create a temp table of these rows in the place of any before."""
    con.execute(f"create or replace temp table {name} as {rows if isinstance(rows, str) else 'from rows'}")


def dirty_records(before: Mapping[str, World], after: Mapping[str, World]) -> Iterable[tuple[str, str, str]]:
    for tenant in before:
        for person in set(before[tenant].people) ^ set(after[tenant].people):
            yield tenant, person.service, person.record_id


def of_tenant(rows: Rows, tenant: str) -> list[str]:
    return sorted(str(sorted(row.items())) for row in rows if row["tenant_id"] == tenant)


@st.composite
def hours(draw: st.DrawFn) -> Hour:
    """A tenant, often crowded, and an hour later: some records say something else, some are gone, some are new."""
    before = draw(st.one_of(worlds(7), CROWDED, CROWDED))
    change = st.sampled_from(draw(st.sampled_from(("====+-", "==========+"))))
    changes = draw(st.lists(change, min_size=len(before.people), max_size=len(before.people)))
    changed = [
        person if change == "=" else Person(*person[:2], *draw(VALUES))
        for person, change in zip(before.people, changes, strict=True)
        if change != "-"
    ]
    taken = {person[:2] for person in before.people}
    new = [person for person in draw(people(2)) if person[:2] not in taken] if draw(st.booleans()) else []
    return before, before._replace(people=(*changed, *new))


@settings(max_examples=250 if SOAK else 4, deadline=None, database=None)
@given(st.lists(hours(), min_size=HALF, max_size=HALF))
def test_a_closure_resolves_as_everybody_does(found: Sequence[Hour]) -> None:
    before, after = ({f"club-{n}": hour[moment] for n, hour in enumerate(found)} for moment in (0, 1))
    known = run(before)
    full = resolve_identities(duckdb.connect(), inputs(after, known))
    events, stored, _ = resolve_closure(before, after, known)
    for tenant in before:
        with about(tenant, before[tenant], after[tenant]):
            assert of_tenant(events, tenant) == of_tenant(full.profile_events.to_pylist(), tenant)
            for table, rows in zip(STORED, stored, strict=True):
                assert of_tenant(rows, tenant) == of_tenant(getattr(full, table.name).to_pylist(), tenant), table.name


def find_closure(before: Sequence[Person], after: Sequence[Person]) -> set[str]:
    """Returns the ids of the records resolved again, without the youngest, which is always among them."""
    was, is_now = ({T: world(*some, YOUNGEST)} for some in (before, after))
    found = {record_id for _, _, record_id in resolve_closure(was, is_now, run(was))[2]}
    return found - {YOUNGEST.record_id}


def test_a_value_that_stays_shared_does_not_add_the_crowd() -> None:
    renamed = CROWD[0]._replace(last_name="kim")
    assert find_closure([*CROWD, EVE], [renamed, *CROWD[1:], EVE]) == {"0"}


def test_a_record_that_gains_or_loses_the_value_adds_the_crowd() -> None:
    everybody = {"0", "1", "2", "3", "4"}
    assert find_closure([*CROWD, EVE], [*CROWD, EVE._replace(email=CROWD[0].email)]) == everybody | {"eve"}
    assert find_closure([*CROWD, EVE], [*CROWD[1:], EVE]) == everybody


def test_three_of_one_service_are_no_crowd() -> None:
    renamed = CROWD[0]._replace(last_name="kim")
    few = CROWD[:3], [renamed, *CROWD[1:3], CROWD[3]._replace(service="TEETIME")]
    assert find_closure([*few[0], few[1][-1]], few[1]) == {"0", "1", "2", "3"}
