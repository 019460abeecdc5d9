"""The timeline model: customer_timeline, all events of a tenant or the affected ones."""

from dataclasses import replace
from typing import Final

from crm_pipeline.domain.timeline.events import (
    ORPHANED_PAYMENTS_SQL,
    ORPHANED_ROWS_SQL,
    PROFILE_REFERENCE_TABLES,
    build_timeline,
)
from crm_pipeline.incremental.affected import IS_REBUILT, REBUILT_EVENTS_SQL, build_revalidated_condition
from crm_pipeline.incremental.model import BatchResult, IncrementalModel
from crm_pipeline.incremental.required_rows import FULL_REFRESH_TRIGGERS, TIMELINE_INPUTS, find_affected_events
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.model import IDENTITIES
from crm_pipeline.tables.outputs import identity, timeline
from crm_pipeline.tables.ownership import PERSONAL_TABLES
from crm_pipeline.tables.sources import scl, teetime

TIMELINE = timeline.customer_timeline
BOOKING_LOG_STATEMENTS = (
    # A full refresh in the same run leaves a view of this name.
    "drop view if exists teetime_booking_log",
    """create or replace temp table teetime_booking_log as
    select tenant_id, id, status, updated_at, _problems
    from full_booking_log semi join teetime_booking using (tenant_id, id) where status = 'CANCELLED'""",
)
"""Creates temp table `teetime_booking_log`: the logged cancellations of required bookings."""


def _build_all_events(batch: RunContext) -> BatchResult[int]:
    tenants = batch.load_all_rows()
    for table in (identity.customer_identities, identity.profile_ids, TIMELINE):
        batch.lake.create_current_view(batch.con, table, tenants=tenants)
    batch.lake.create_log_view(batch.con, teetime.booking)
    future_events = build_timeline(batch.con)
    batch.quarantine(f"{ORPHANED_ROWS_SQL} union all {ORPHANED_PAYMENTS_SQL}", TIMELINE_EVENTS.name, tenants)
    return BatchResult({TIMELINE.name: batch.replace(TIMELINE, "events", tenants)}, future_events)


def _build_affected_events(batch: RunContext) -> BatchResult[int]:
    if not find_affected_events(batch):
        return BatchResult({}, 0)
    tenants = batch.tenants
    batch.load_rows(PERSONAL_TABLES)
    batch.lake.create_current_view(batch.con, TIMELINE, tenants=tenants)
    batch.lake.create_log_view(batch.con, teetime.booking, name="full_booking_log")
    for statement in BOOKING_LOG_STATEMENTS:
        batch.con.execute(statement)
    future_events = build_timeline(batch.con)
    # build_timeline also returns the stored stage changes of profiles that are not affected.
    batch.con.execute(f"delete from events where not {IS_REBUILT}")
    batch.con.execute(REBUILT_EVENTS_SQL)
    changes = batch.replace(TIMELINE, "events", tenants, present_rows="rebuilt_events")
    is_payment = f"table_name = '{scl.payment.name}'"
    is_checked = build_revalidated_condition([scl.payment])
    batch.quarantine(ORPHANED_PAYMENTS_SQL, TIMELINE_EVENTS.name, tenants, f"{is_payment} and ({is_checked})")
    # A row becomes orphaned by its own change or its profile's. These tables are small, so all rows are checked.
    replace(batch, only_required=False).load_rows(PROFILE_REFERENCE_TABLES)
    batch.quarantine(ORPHANED_ROWS_SQL, TIMELINE_EVENTS.name, tenants, f"not {is_payment}")
    return BatchResult({TIMELINE.name: changes}, future_events)


TIMELINE_EVENTS: Final = IncrementalModel(
    name="timeline_events",
    upstream=(*IDENTITIES.upstream, IDENTITIES.name),
    reads=TIMELINE_INPUTS,
    rebuild_on=FULL_REFRESH_TRIGGERS,
    writes=(TIMELINE,),
    build_all=_build_all_events,
    build_affected=_build_affected_events,
)
