"""Scores of the profiles of a tenant batch: all of them, or those that an hour affects."""

from collections import Counter
from collections.abc import Sequence

from crm_pipeline.domain.churn.parameters import load_models
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.scoring.build_profiles import NEGATIVE_TOTALS, build_profiles
from crm_pipeline.domain.scoring.lifecycle import INCOMPLETE, Transition, find_stage_changes
from crm_pipeline.domain.timeline.events import PROFILE_TARGETS
from crm_pipeline.incremental.affected import SCORED
from crm_pipeline.incremental.model import BatchResult
from crm_pipeline.incremental.required_rows import DECISIVE, SCORE_INPUTS, score_part
from crm_pipeline.incremental.watermarks import find_inputs
from crm_pipeline.run_context import Step
from crm_pipeline.tables.outputs import churn, identity, profiles, timeline

PROFILES, TIMELINE = profiles.customer_profiles, timeline.customer_timeline


TOUCHED_IDENTITIES = """
    from everybodys_customer_identities semi join touched_profiles using (tenant_id, profile_id)"""
# Nearly all of a timeline is the details, which tell something of referrals only; and these were read already. No two
# clubs have an id in common.
COUNTED_EVENTS = " union all ".join(
    f"""select tenant_id, profile_id, occurred_at, event_type, counts_as, amount_cents, {details} as details
    from {events} semi join counted_profiles using (profile_id)"""
    for events, details in (
        ("(from everybodys_customer_timeline where event_type <> 'REFERRAL')", "cast(null as varchar)"),
        ("referrals", "details"),
    )
)


def keep_scores(this: Step, tenants: Sequence[str]) -> list[BatchResult[Counter[Transition]]]:
    """Make the profiles of these loaded tenants what timelines, records and models now say, and note from what."""
    decisive = (*DECISIVE, churn.churn_models)
    inputs = find_inputs(this, "profile_scores", SCORE_INPUTS, tenants, decisive=decisive)
    parts = [_keep_profiles(part) for part in this.in_parts(inputs.whole, TIMELINE, PROFILES)]
    if inputs.in_part:
        parts.append(_keep_touched_profiles(this, inputs.in_part))
    inputs.note(this)
    return parts


def _keep_profiles(part: Step) -> BatchResult[Counter[Transition]]:
    tenants = [tenant.tenant_id for tenant in part.load_everything()]
    for table in (identity.customer_identities, identity.profile_ids, TIMELINE):
        part.lake.current(part.con, table, tenants=tenants)
    part.con.execute(PROFILE_TARGETS)
    return _score(part, tenants)


def _keep_touched_profiles(this: Step, tenants: list[str]) -> BatchResult[Counter[Transition]]:
    part = score_part(this, tenants)
    part.load_tenants()
    part.load_rows(SCORED)
    for table, rows in ((identity.customer_identities, TOUCHED_IDENTITIES), (TIMELINE, COUNTED_EVENTS)):
        part.lake.current(part.con, table, tenants=tenants, name=f"everybodys_{table.name}")
        part.con.execute(f"drop view {table.name}")
        part.con.execute(f"create temp table {table.name} as {rows}")
    return _score(part, tenants, "touched_profiles")


def _score(part: Step, tenants: Sequence[str], profiles: str | None = None) -> BatchResult[Counter[Transition]]:
    """Score all profiles of the tenants, or those whose ids relation `profiles` has."""
    normalise_people(part.con)
    part.lake.current(part.con, churn.churn_models)
    build_profiles(part.con, load_models(part.con))
    theirs = f"in (select profile_id from {profiles})" if profiles else "is not null"
    part.quarantine(NEGATIVE_TOTALS, "profile_scores", tenants, f"service_record_id {theirs}")
    part.lake.current(part.con, PROFILES, tenants=tenants)
    transitions = find_stage_changes(part.con)
    # In this order: the changes of a run that ended in between are told by its profiles not being kept yet.
    changes = {
        TIMELINE.name: part.replace(TIMELINE, "stage_changes", tenants, INCOMPLETE),
        PROFILES.name: part.replace(PROFILES, "profiles", tenants, f"id {theirs}"),
    }
    return BatchResult(changes, transitions)
