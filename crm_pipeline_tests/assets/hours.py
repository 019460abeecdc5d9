"""Hours of identity resolution on a real lake, from small worlds and without the rest of a run."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import Step
from crm_pipeline.steps.identities.atomic_commit import keep_identities, take_back_half_kept
from crm_pipeline.steps.identities.resolution import FOUND, resolve_tenants
from crm_pipeline_tests.domain.identity_worlds import AS_OF, inputs
from crm_pipeline_tests.domain.naive_identities import World

PEOPLE = """
    select tenant_id, service, record_id, auth_user_id, email, phone_number, first_name as comparable_first_name,
        last_name as comparable_last_name, false as is_active, '2026-01-01T00:00:00Z'::timestamptz as updated_at,
        record_id as record_order from records"""
State = dict[str, list[tuple[Any, ...]]]


@contextmanager
def hour_of(lake: Lake, worlds: Mapping[str, World], hour: int) -> Iterator[Step]:
    """The step of a run at that hour, its records read."""
    given = inputs(worlds)
    with closing(lake.connect()) as con:
        relations = {"records": given.records, "given_tenants": given.tenants}
        relations |= {"suppressed": given.suppressed, "crm_identity_override": given.overrides}
        for name, rows in relations.items():
            con.register(name, rows)
        con.execute("create temp table tenants as from given_tenants")
        con.execute(f"create temp table people as {PEOPLE}")
        yield Step(con, lake, AS_OF + timedelta(hours=hour), f"run-{hour}", None)


def keep_hour(lake: Lake, worlds: Mapping[str, World], hour: int) -> list[str]:
    """What a run does about identities; returns whose tables it restored first."""
    with hour_of(lake, worlds, hour) as this:
        restored = take_back_half_kept(this, list(worlds))
        resolve_tenants(this, list(worlds))
        keep_identities(this, list(worlds))
        return restored


def stored(lake: Lake) -> State:
    """What the lake holds of identities now, but for the runs that wrote it."""
    state: State = {}
    with closing(lake.connect()) as con:
        for table in FOUND:
            columns = ", ".join(column.key for column in table.columns if column.key != "run_id")
            state[table.name] = con.sql(f"select {columns} from {lake.current(con, table)} order by all").fetchall()
    return state
