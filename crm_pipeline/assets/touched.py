"""Bringing tenants up to date by what an hour touched: the lake's side of `domain/touched`.

Belongs here: which relations are read from the lake for it. Does not belong here: who can be brought up to date so
(`inputs`), and what is then computed of whom (the assets).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Table

from crm_pipeline.assets.step import Step
from crm_pipeline.domain.timeline import PROFILE_TARGETS
from crm_pipeline.domain.touched import (
    IDENTITY_PLANS,
    OF_SOMEBODY,
    SCORE_PLANS,
    SCORED,
    TIMELINE_PLANS,
    Plans,
    find_needed,
    find_stirred,
    find_touched,
    find_touched_by_events,
    looked_at,
    stir_by_others,
)
from crm_pipeline.tables import PEOPLE, crm, identities, timeline
from crm_pipeline.tables.projections import lake_name

IDENTIFYING: Final = {
    identities.customer_identities: ("tenant_id", "profile_id"),
    identities.profile_ids: ("tenant_id", "profile_id", "redirects_to"),
}
"""The tables that say whose rows are whose, and what is looked at of them."""
TIMELINE_INPUTS: Final = (*OF_SOMEBODY, *IDENTIFYING)
SCORE_INPUTS: Final = (*SCORED, *IDENTIFYING, timeline.customer_timeline)
"""The tables whose changes touch profiles' timelines, and their scores."""
DECISIVE: Final = (crm.tenant,)


def timeline_part(this: Step, tenants: list[str]) -> Step | None:
    """This step for whose timelines the hour touched of these tenants, which are in `noted`; None if nothing stirred.

    They are in temp table `touched_profiles`, and the records that are read for them in `needed_records`.
    """
    part = replace(this, tenants=tenants, only_touched=True)
    _find_stirred(part, OF_SOMEBODY, TIMELINE_PLANS)
    _find_identities(part)
    stir_by_others(part.con)
    find_touched(part.con)
    # A row can have been stirred that is nobody's, and has to be set aside.
    if not part.con.sql("select 1 from stirred union all select 1 from touched_profiles limit 1").fetchall():
        return None
    find_needed(part.con, with_settlers=True)
    return part


def score_part(this: Step, tenants: list[str]) -> Step:
    """The same for whose scores it touched; whom they brought, and count for it, is in `counted_profiles`."""
    part = replace(this, tenants=tenants, only_touched=True)
    _find_stirred(part, SCORED, SCORE_PLANS)
    _find_identities(part)
    find_touched(part.con)
    part.lake.current(part.con, timeline.customer_timeline, tenants=tenants)
    part.lake.changed(part.con, timeline.customer_timeline, ("tenant_id", "profile_id"), "noted")
    find_touched_by_events(part.con)
    find_needed(part.con, with_settlers=False)
    return part


def find_stirred_records(part: Step) -> bool:
    """Create temp table `stirred` of people's records, from which resolving starts; return whether there are any."""
    _find_stirred(part, tuple(PEOPLE.values()), IDENTITY_PLANS)
    return bool(part.con.sql("from stirred limit 1").fetchall())


def find_stirred_rows(part: Step, tables: Sequence[Table]) -> None:
    """Create temp table `stirred` of all rows of a service."""
    _find_stirred(part, tables, {})


def _find_stirred(part: Step, tables: Sequence[Table], planned: Plans) -> None:
    for table in tables:
        part.lake.current(part.con, table, tenants=part.tenants, name=f"present_{lake_name(table)}")
        part.lake.changed(part.con, table, looked_at(table), "noted")
    find_stirred(part.con, tables, planned)


def _find_identities(part: Step) -> None:
    for table, columns in IDENTIFYING.items():
        part.lake.current(part.con, table, tenants=part.tenants)
        part.lake.changed(part.con, table, columns, "noted")
    part.con.execute(PROFILE_TARGETS)
