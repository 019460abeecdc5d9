"""Bringing tenants up to date by what an hour touched: the lake's side of `domain/stirred`, `touched` and `retold`.

Belongs here: which relations are read from the lake for it. Does not belong here: who can be brought up to date so
(`inputs`), and what is then computed of whom (the assets).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Table

from crm_pipeline.assets.step import Step
from crm_pipeline.domain.needed import find_needed_rows, find_rows_of_needed, need_stirred, need_touched
from crm_pipeline.domain.retold import stir_rows_by_others
from crm_pipeline.domain.stirred import (
    IDENTITY_PLANS,
    SCORE_PLANS,
    TIMELINE_PLANS,
    find_stirred,
    find_stirred_rows,
    find_unsettled,
    is_any,
    looked_at,
)
from crm_pipeline.domain.timeline.events import PROFILE_TARGETS
from crm_pipeline.domain.touched import SCORED, find_touched, find_touched_by_events
from crm_pipeline.resources.lake.change_feed import find_changed
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs import identity, timeline
from crm_pipeline.tables.ownership import OF_SOMEBODY
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.tables.sources import crm

IDENTIFYING: Final = {
    identity.customer_identities: ("tenant_id", "profile_id"),
    identity.profile_ids: ("tenant_id", "profile_id", "redirects_to"),
}
"""The tables that say whose rows are whose, and what is looked at of them."""
TIMELINE_INPUTS: Final = (*OF_SOMEBODY, *IDENTIFYING)
SCORE_INPUTS: Final = (*SCORED, *IDENTIFYING, timeline.customer_timeline)
"""The tables whose changes touch profiles' timelines, and their scores."""
DECISIVE: Final = (crm.tenant,)


def timeline_part(this: Step, tenants: list[str]) -> Step | None:
    """This step for the events to be told anew of these tenants, which are in `noted`; None if nothing stirred.

    They are those of temp tables `touched_profiles` and `stirred_rows`.
    """
    part = replace(this, tenants=tenants, only_needed=True)
    _find_changed(part, OF_SOMEBODY)
    find_unsettled(part.con, PEOPLE.values())
    find_stirred_rows(part.con, OF_SOMEBODY, TIMELINE_PLANS)
    _find_identities(part)
    find_touched(part.con)
    # A row can have been stirred that is nobody's, and has to be set aside.
    if not is_any(part.con, "stirred", "stirred_rows", "touched_profiles"):
        return None
    need_touched(part.con)
    stir_rows_by_others(part.con)
    find_needed_rows(part.con, OF_SOMEBODY)
    return part


def score_part(this: Step, tenants: list[str]) -> Step:
    """This step for whose scores the hour touched; whom they brought, and count for it, is in `counted_profiles`."""
    part = replace(this, tenants=tenants, only_needed=True)
    _find_changed(part, SCORED)
    find_stirred(part.con, SCORED, SCORE_PLANS)
    _find_identities(part)
    find_touched(part.con)
    part.lake.current(part.con, timeline.customer_timeline, tenants=tenants)
    find_changed(part.lake, part.con, timeline.customer_timeline, ("tenant_id", "profile_id"), "noted")
    find_touched_by_events(part.con)
    need_touched(part.con)
    find_rows_of_needed(part.con, SCORED)
    return part


def find_stirred_records(part: Step) -> bool:
    """Create temp table `stirred` of people's records, from which resolving starts; return whether there are any."""
    _find_changed(part, tuple(PEOPLE.values()))
    find_stirred(part.con, PEOPLE.values(), IDENTITY_PLANS)
    return is_any(part.con, "stirred")


def judging_part(this: Step, tenants: list[str], tables: Sequence[Table]) -> Step | None:
    """This step for the rows of a service to be judged again: the stirred, and all of unsettled people; or None."""
    part = replace(this, tenants=tenants, only_needed=True)
    _find_changed(part, tables)
    find_unsettled(part.con, set(tables) & set(PEOPLE.values()))
    find_stirred_rows(part.con, set(tables) & set(OF_SOMEBODY), {})
    if not is_any(part.con, "stirred", "stirred_rows"):
        return None
    need_stirred(part.con)
    find_needed_rows(part.con, tables)
    return part


def _find_changed(part: Step, tables: Sequence[Table]) -> None:
    for table in tables:
        part.lake.current(part.con, table, tenants=part.tenants, name=f"present_{lake_name(table)}")
        find_changed(part.lake, part.con, table, looked_at(table), "noted")


def _find_identities(part: Step) -> None:
    for table, columns in IDENTIFYING.items():
        part.lake.current(part.con, table, tenants=part.tenants)
        find_changed(part.lake, part.con, table, columns, "noted")
    part.con.execute(PROFILE_TARGETS)
