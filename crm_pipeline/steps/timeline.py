"""The timeline of a tenant batch: every event, or those that an hour affects."""

from collections.abc import Sequence
from dataclasses import replace

from crm_pipeline.domain.timeline.events import OF_PROFILES, ORPHANS, build_timeline
from crm_pipeline.incremental.affected import IS_RETOLD, RETOLD
from crm_pipeline.incremental.model import BatchResult
from crm_pipeline.incremental.required_rows import DECISIVE, TIMELINE_INPUTS, timeline_part
from crm_pipeline.incremental.watermarks import find_inputs
from crm_pipeline.run_context import Step
from crm_pipeline.tables.outputs import identity, timeline
from crm_pipeline.tables.ownership import OF_SOMEBODY
from crm_pipeline.tables.sources import teetime

TIMELINE = timeline.customer_timeline
NEEDED_LOG = (
    # Of clubs that were computed whole in the same run.
    "drop view if exists teetime_booking_log",
    """create or replace temp table teetime_booking_log as
    select tenant_id, id, status, updated_at, _problems
    from past_bookings semi join teetime_booking using (tenant_id, id) where status = 'CANCELLED'""",
)


def keep_timeline(this: Step, tenants: Sequence[str]) -> list[BatchResult[int]]:
    """Make the timelines of these loaded tenants what the services now say, and note from what."""
    inputs = find_inputs(this, "timeline_events", TIMELINE_INPUTS, tenants, decisive=DECISIVE)
    parts = [_keep_events(part) for part in this.in_parts(inputs.whole, TIMELINE)]
    if inputs.in_part:
        parts.append(_keep_touched_events(this, inputs.in_part))
    inputs.note(this)
    return parts


def _keep_events(part: Step) -> BatchResult[int]:
    tenants = [tenant.tenant_id for tenant in part.load_everything()]
    for table in (identity.customer_identities, identity.profile_ids, TIMELINE):
        part.lake.current(part.con, table, tenants=tenants)
    part.lake.log(part.con, teetime.booking)
    waiting = build_timeline(part.con)
    part.quarantine(ORPHANS, "timeline_events", tenants)
    return BatchResult({TIMELINE.name: part.replace(TIMELINE, "events", tenants)}, waiting)


def _keep_touched_events(this: Step, tenants: list[str]) -> BatchResult[int]:
    part = timeline_part(this, tenants)
    if part is None:
        return BatchResult({}, 0)
    part.load_tenants()
    part.load_rows(OF_SOMEBODY)
    part.lake.current(part.con, TIMELINE, tenants=tenants)
    part.lake.log(part.con, teetime.booking, name="past_bookings")
    for statement in NEEDED_LOG:
        part.con.execute(statement)
    waiting = build_timeline(part.con)
    # Of others are the stages they went through.
    part.con.execute(f"delete from events where not {IS_RETOLD}")
    part.con.execute(RETOLD)
    changes = part.replace(TIMELINE, "events", tenants, before="retold")
    # Whether a row's profile is there is seen at the row and at the profile; these are few, and all looked at.
    replace(part, only_needed=False).load_rows(OF_PROFILES)
    part.quarantine(ORPHANS, "timeline_events", tenants)
    return BatchResult({TIMELINE.name: changes}, waiting)
