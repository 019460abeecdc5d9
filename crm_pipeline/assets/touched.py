"""Bringing tenants up to date by what an hour touched: the lake's side of `domain/touched`.

Belongs here: which relations are read from the lake for it. Does not belong here: who can be brought up to date so
(`inputs`), and what is then computed of whom (the assets).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sqlalchemy import Table

from crm_pipeline.assets.step import Step
from crm_pipeline.domain.timeline import PROFILE_TARGETS
from crm_pipeline.domain.touched import (
    OF_SOMEBODY,
    find_needed,
    find_stirred,
    find_touched,
    find_touched_by_events,
    looked_at,
)
from crm_pipeline.tables import PEOPLE, crm, identities, timeline
from crm_pipeline.tables.projections import lake_name

TOUCHING: Final = (*OF_SOMEBODY, identities.customer_identities, identities.profile_ids)
"""The tables whose changes touch profiles."""
DECISIVE: Final = (crm.tenant,)


def touched_part(this: Step, tenants: list[str], *, by_events: bool = False) -> Step:
    """This step for the touched profiles of these tenants, which are in `noted`: in temp table `touched_profiles`.

    By events: those whose scores can be others too, with `counted_profiles`; else bookings' settlers are read too.
    """
    part = replace(this, tenants=tenants, only_touched=True)
    con, lake = part.con, part.lake
    _find_changed(part, OF_SOMEBODY)
    for table, columns in (
        (identities.customer_identities, ("tenant_id", "profile_id")),
        (identities.profile_ids, ("tenant_id", "profile_id", "redirects_to")),
    ):
        lake.current(con, table, tenants=tenants)
        lake.changed(con, table, columns, "noted")
    con.execute(PROFILE_TARGETS)
    find_touched(con)
    if by_events:
        lake.current(con, timeline.customer_timeline, tenants=tenants)
        lake.changed(con, timeline.customer_timeline, ("tenant_id", "profile_id"), "noted")
        find_touched_by_events(con)
    find_needed(con, with_settlers=not by_events)
    return part


def find_stirred_records(part: Step) -> None:
    """Create temp table `stirred` of the people's records: what resolving identities starts from."""
    _find_changed(part, PEOPLE.values())
    find_stirred(part.con, PEOPLE.values())


def _find_changed(part: Step, tables: Iterable[Table]) -> None:
    for table in tables:
        part.lake.current(part.con, table, tenants=part.tenants, name=f"present_{lake_name(table)}")
        part.lake.changed(part.con, table, looked_at(table), "noted")
