"""The timeline of a tenant batch: every event, or those that an hour affects."""

from collections.abc import Sequence
from dataclasses import replace

from crm_pipeline.domain.timeline.events import ORPHANED_ROWS_SQL, PROFILE_REFERENCE_TABLES, build_timeline
from crm_pipeline.incremental.affected import IS_REBUILT, REBUILT_EVENTS_SQL
from crm_pipeline.incremental.model import BatchResult
from crm_pipeline.incremental.required_rows import FULL_REFRESH_TRIGGERS, TIMELINE_INPUTS, find_timeline_batch
from crm_pipeline.incremental.watermarks import plan_refresh
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import identity, timeline
from crm_pipeline.tables.ownership import PERSONAL_TABLES
from crm_pipeline.tables.sources import teetime

TIMELINE = timeline.customer_timeline
BOOKING_LOG_STATEMENTS = (
    # Of clubs that were computed whole in the same run.
    "drop view if exists teetime_booking_log",
    """create or replace temp table teetime_booking_log as
    select tenant_id, id, status, updated_at, _problems
    from past_bookings semi join teetime_booking using (tenant_id, id) where status = 'CANCELLED'""",
)


def materialize_timeline(run: RunContext, tenants: Sequence[str]) -> list[BatchResult[int]]:
    """Make the timelines of these loaded tenants what the services now say, and note from what."""
    plan = plan_refresh(run, "timeline_events", TIMELINE_INPUTS, tenants, full_refresh_triggers=FULL_REFRESH_TRIGGERS)
    parts = [_materialize_all_events(batch) for batch in run.tenant_batches(plan.full_refresh_tenants, TIMELINE)]
    if plan.incremental_tenants:
        parts.append(_materialize_affected_events(run, plan.incremental_tenants))
    plan.store_watermarks(run)
    return parts


def _materialize_all_events(batch: RunContext) -> BatchResult[int]:
    tenants = [tenant.tenant_id for tenant in batch.load_all_rows()]
    for table in (identity.customer_identities, identity.profile_ids, TIMELINE):
        batch.lake.current(batch.con, table, tenants=tenants)
    batch.lake.log(batch.con, teetime.booking)
    waiting = build_timeline(batch.con)
    batch.quarantine(ORPHANED_ROWS_SQL, "timeline_events", tenants)
    return BatchResult({TIMELINE.name: batch.replace(TIMELINE, "events", tenants)}, waiting)


def _materialize_affected_events(run: RunContext, tenants: list[str]) -> BatchResult[int]:
    batch = find_timeline_batch(run, tenants)
    if batch is None:
        return BatchResult({}, 0)
    batch.load_tenants()
    batch.load_rows(PERSONAL_TABLES)
    batch.lake.current(batch.con, TIMELINE, tenants=tenants)
    batch.lake.log(batch.con, teetime.booking, name="past_bookings")
    for statement in BOOKING_LOG_STATEMENTS:
        batch.con.execute(statement)
    waiting = build_timeline(batch.con)
    # Of others are the stages they went through.
    batch.con.execute(f"delete from events where not {IS_REBUILT}")
    batch.con.execute(REBUILT_EVENTS_SQL)
    changes = batch.replace(TIMELINE, "events", tenants, before="rebuilt_events")
    # Whether a row's profile is there is seen at the row and at the profile; these are few, and all looked at.
    replace(batch, only_required=False).load_rows(PROFILE_REFERENCE_TABLES)
    batch.quarantine(ORPHANED_ROWS_SQL, "timeline_events", tenants)
    return BatchResult({TIMELINE.name: changes}, waiting)
