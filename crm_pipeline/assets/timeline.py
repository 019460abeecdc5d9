"""Timeline events: everything the services know happened, in one stream, each event on its profile."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import dagster as dg

from crm_pipeline.assets.inputs import find_inputs
from crm_pipeline.assets.metadata import HOURLY, added_up, columns_metadata, counted
from crm_pipeline.assets.step import Step, step
from crm_pipeline.assets.touched import DECISIVE, TIMELINE_INPUTS, timeline_part
from crm_pipeline.domain.retold import IS_RETOLD, RETOLD
from crm_pipeline.domain.timeline.events import OF_PROFILES, ORPHANS, build_timeline
from crm_pipeline.resources.lake.lake import Changes, Lake
from crm_pipeline.settings import Settings
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


class Part(NamedTuple):
    """What came of some tenants: rows changed per table, events that lie in the future."""

    changes: dict[str, Changes]
    waiting: int


@dg.asset(
    group_name="timeline",
    kinds={"deltalake", "duckdb"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["customer_identities"],
    description="Every event of every service on its profile, read once for all tenants. In the lake.",
    metadata=columns_metadata(TIMELINE),
    code_version="1",
)
def timeline_events(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Build the stream of the run's tenants, of each whole or of whom the hour touched, and keep what changed."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_tenants()[0]]
        parts = keep_timeline(this, tenants)
        # Each event's id has its type in it.
        counts = lake.counts(TIMELINE, by="event_type", tenants=tenants)
        kinds = this.con.sql(f"from ({counts}) where rows > 0 order by all").fetchall()
        return dg.MaterializeResult(
            metadata={
                **counted(added_up(part.changes for part in parts), sum(count for _, count in kinds)),
                "events_by_type": dg.MetadataValue.json(dict(kinds)),
                "events_in_the_future": sum(part.waiting for part in parts),
                "quarantined": dg.MetadataValue.json(this.set_aside("timeline_events")),
            }
        )


def keep_timeline(this: Step, tenants: Sequence[str]) -> list[Part]:
    """Make the timelines of these loaded tenants what the services now say, and note from what."""
    inputs = find_inputs(this, "timeline_events", TIMELINE_INPUTS, tenants, decisive=DECISIVE)
    parts = [_keep_events(part) for part in this.in_parts(inputs.whole, TIMELINE)]
    if inputs.in_part:
        parts.append(_keep_touched_events(this, inputs.in_part))
    inputs.note(this)
    return parts


def _keep_events(part: Step) -> Part:
    tenants = [tenant.tenant_id for tenant in part.load_everything()]
    for table in (identity.customer_identities, identity.profile_ids, TIMELINE):
        part.lake.current(part.con, table, tenants=tenants)
    part.lake.log(part.con, teetime.booking)
    waiting = build_timeline(part.con)
    part.quarantine(ORPHANS, "timeline_events", tenants)
    return Part({TIMELINE.name: part.replace(TIMELINE, "events", tenants)}, waiting)


def _keep_touched_events(this: Step, tenants: list[str]) -> Part:
    part = timeline_part(this, tenants)
    if part is None:
        return Part({}, 0)
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
    return Part({TIMELINE.name: changes}, waiting)
