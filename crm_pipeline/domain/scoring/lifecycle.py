"""The lifecycle: how many profiles are in each stage, and changes of stage as timeline events.

Changes are found by comparing profiles with the ones stored before. The stage itself is decided in `facts.sql`.
"""

from collections import Counter
from typing import Final, NamedTuple

from duckdb import DuckDBPyConnection

from crm_pipeline.vocabulary import LifecycleStage

LIFECYCLE_PATH: Final = (
    LifecycleStage.SUBSCRIBER,
    LifecycleStage.LEAD,
    LifecycleStage.PROSPECT,
    LifecycleStage.CUSTOMER,
    LifecycleStage.MEMBER,
    LifecycleStage.ADVOCATE,
)
"""The stages a customer goes through, each deeper than the one before; CHURNED is off the path."""
CREATE_STAGE_CHANGES = """
    create or replace temp table stage_changes as
    select p.tenant_id, 'CRM:CustomerProfile:' || p.id || ':STAGE_CHANGED:' || epoch_us(as_of()) as event_id,
        p.id as profile_id, as_of() as occurred_at, 'CRM' as source, 'STAGE_CHANGED' as event_type,
        p.id as service_record_id, null as counts_as, null as amount_cents, null as currency,
        'Stage changed from ' || before.lifecycle_stage || ' to ' || p.lifecycle_stage as summary,
        cast(to_json({from_stage: before.lifecycle_stage, to_stage: p.lifecycle_stage}) as varchar) as details,
        null as visit_kind, null as visit_at
    from profiles p
    join customer_profiles before on before.tenant_id = p.tenant_id and before.id = p.id
    where before.lifecycle_stage <> p.lifecycle_stage"""
INCOMPLETE_STAGE_CHANGES_CONDITION: Final = """
    event_type = 'STAGE_CHANGED' and not coalesce(occurred_at <= (select max(before.updated_at)
        from customer_profiles before where before.tenant_id = _present_rows.tenant_id), false)"""
"""Selects stored stage changes of a run that ended before it stored the profiles they are about.

A run stores events first and profiles after them; a profile whose stage changed was itself changed by that run.
"""


class StageTransition(NamedTuple):
    """A change from one stage to another."""

    from_stage: str
    to_stage: str


class StageCount(NamedTuple):
    """A stage of the funnel: how many profiles are in it, and how many are in it or deeper."""

    stage: str
    profiles: int
    at_least: int


def find_stage_changes(con: DuckDBPyConnection) -> Counter[StageTransition]:
    """Returns how often each transition happened, and creates temp table `stage_changes` with their timeline rows.

    A profile's first stage is no change.
    Reads: profiles, customer_profiles (as stored before), as_of().
    Creates: stage_changes.
    """
    con.execute(CREATE_STAGE_CHANGES)
    rows = con.sql("""
        select details ->> 'from_stage', details ->> 'to_stage', count(*) from stage_changes
        group by all order by all""").fetchall()
    return Counter({StageTransition(before, after): profiles for before, after, profiles in rows})


def count_stages(con: DuckDBPyConnection, profiles: str) -> list[StageCount]:
    """Returns the stages of relation `profiles`, from the shallowest to the deepest, and CHURNED last."""
    counts = dict(con.sql(f"select lifecycle_stage, count(*) from {profiles} group by all").fetchall())
    at_least = [sum(counts.get(stage, 0) for stage in LIFECYCLE_PATH[index:]) for index in range(len(LIFECYCLE_PATH))]
    funnel = [
        StageCount(str(stage), counts.get(stage, 0), total)
        for stage, total in zip(LIFECYCLE_PATH, at_least, strict=True)
    ]
    churned = counts.get(LifecycleStage.CHURNED, 0)
    return [*funnel, StageCount(str(LifecycleStage.CHURNED), churned, churned)]
