"""The profile scores model: customer_profiles and stage changes, for all profiles of a tenant or the affected ones."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from crm_pipeline.domain.churn.parameters import load_models
from crm_pipeline.domain.scoring.lifecycle import (
    INCOMPLETE_STAGE_CHANGES_CONDITION,
    StageTransition,
    find_stage_changes,
)
from crm_pipeline.domain.scoring.scores import NEGATIVE_TOTALS_SQL, build_profiles
from crm_pipeline.domain.timeline.events import CREATE_PROFILE_TARGETS
from crm_pipeline.incremental.affected import SCORE_SOURCE_TABLES
from crm_pipeline.incremental.model import BatchResult, IncrementalModel
from crm_pipeline.incremental.required_rows import (
    FULL_REFRESH_TRIGGERS,
    IDENTITY_COLUMNS,
    SCORE_INPUTS,
    find_affected_scores,
)
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.person_records import load_people
from crm_pipeline.steps.timeline import TIMELINE_EVENTS
from crm_pipeline.tables.outputs import churn, identity, profiles, timeline
from crm_pipeline.tables.sources import scl

PROFILES, TIMELINE = profiles.customer_profiles, timeline.customer_timeline
AFFECTED_IDENTITIES_QUERY = """
    from all_customer_identities semi join affected_profiles using (tenant_id, profile_id)"""
# Details are nearly all of a timeline's bytes. Scores read them of referrals alone, which are loaded in `referrals`.
# Profile ids are unique across tenants.
REQUIRED_EVENTS_QUERY = " union all ".join(
    f"""select tenant_id, profile_id, occurred_at, event_type, counts_as, amount_cents, visit_kind, visit_at,
        {details} as details
    from {events} semi join required_profiles using (profile_id)"""
    for events, details in (
        ("(from all_customer_timeline where event_type <> 'REFERRAL')", "cast(null as varchar)"),
        ("referrals", "details"),
    )
)


def _build_all_profiles(batch: RunContext) -> BatchResult[Counter[StageTransition]]:
    tenants = batch.load_all_rows()
    for table in (*IDENTITY_COLUMNS, TIMELINE):
        batch.lake.create_current_view(batch.con, table, tenants=tenants)
    batch.con.execute(CREATE_PROFILE_TARGETS)
    return _score_and_store(batch, tenants)


def _build_affected_profiles(batch: RunContext) -> BatchResult[Counter[StageTransition]]:
    find_affected_scores(batch)
    tenants = batch.tenants or ()
    batch.load_rows(SCORE_SOURCE_TABLES)
    for table, rows in ((identity.customer_identities, AFFECTED_IDENTITIES_QUERY), (TIMELINE, REQUIRED_EVENTS_QUERY)):
        batch.lake.create_current_view(batch.con, table, tenants=tenants, name=f"all_{table.name}")
        batch.con.execute(f"drop view {table.name}")
        batch.con.execute(f"create temp table {table.name} as {rows}")
    return _score_and_store(batch, tenants, "affected_profiles")


def _score_and_store(
    batch: RunContext, tenants: Sequence[str], profiles: str | None = None
) -> BatchResult[Counter[StageTransition]]:
    """Scores and stores all profiles of the tenants, or those whose ids are in relation `profiles`."""
    load_people(batch, tenants)
    batch.lake.create_log_view(batch.con, scl.member)
    batch.lake.create_current_view(batch.con, churn.churn_models)
    build_profiles(batch.con, load_models(batch.con))
    id_condition = f"in (select profile_id from {profiles})" if profiles else "is not null"
    batch.quarantine(NEGATIVE_TOTALS_SQL, PROFILE_SCORES.name, tenants, f"service_record_id {id_condition}")
    batch.lake.create_current_view(batch.con, PROFILES, tenants=tenants)
    transitions = find_stage_changes(batch.con)
    # Events first: if the run dies in between, its stage changes are newer than all profiles and get replaced.
    changes = {
        TIMELINE.name: batch.replace(TIMELINE, "stage_changes", tenants, INCOMPLETE_STAGE_CHANGES_CONDITION),
        PROFILES.name: batch.replace(PROFILES, "profiles", tenants, f"id {id_condition}"),
    }
    return BatchResult(changes, transitions)


PROFILE_SCORES: Final = IncrementalModel(
    name="profile_scores",
    upstream=(*TIMELINE_EVENTS.upstream, TIMELINE_EVENTS.name),
    reads=SCORE_INPUTS,
    rebuild_on=(*FULL_REFRESH_TRIGGERS, churn.churn_models),
    writes=(TIMELINE, PROFILES),
    build_all=_build_all_profiles,
    build_affected=_build_affected_profiles,
)
