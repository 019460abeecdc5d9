"""Customer identities: every record in one profile per person and club, with the evidence, kept in the lake."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.assets.inputs import find_inputs
from crm_pipeline.assets.kept_identities import keep_identities, take_back_half_kept
from crm_pipeline.assets.metadata import HOURLY, added_up, columns_metadata, counted
from crm_pipeline.assets.resolution import EVERYBODYS, FOUND, OVERRIDES, RECORDS, read_records, resolve_tenants
from crm_pipeline.assets.self_audit import audit
from crm_pipeline.assets.step import Step, step
from crm_pipeline.assets.touched import DECISIVE, find_stirred_records
from crm_pipeline.domain.contact_keys.person_records import INVALID_KEYS, normalise_people
from crm_pipeline.domain.identity.audit import violations
from crm_pipeline.domain.needed import find_rows_of_needed, need_stirred
from crm_pipeline.domain.reached import IS_REACHED, RECORD_KEYS, TELL_SHARED, find_reached
from crm_pipeline.resources.lake.lake import Changes, Lake
from crm_pipeline.settings import Settings
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.sources import crm

LINKS_HOLD = "links_hold"
SELF_AUDIT = "self_audit"
MOST_SHOWN = 20
DECISIONS: Final = (crm.identity_override, crm.suppressed_identifier)
"""What operators said; a word of theirs can concern anybody."""


class Part(NamedTuple):
    """What came of some tenants: rows changed per table, and faults of their links."""

    changes: dict[str, Changes]
    faults: list[str]


@dg.asset(
    name="customer_identities",
    group_name="identities",
    kinds={"deltalake", "duckdb", "python"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["scl_snapshot", "teetime_snapshot", "messaging_snapshot", "crm_snapshot", "tenants"],
    description="Which records are one person, why, what was refused, and the life of every profile id. In the lake.",
    metadata=columns_metadata(identity.customer_identities),
    check_specs=[
        dg.AssetCheckSpec(
            LINKS_HOLD,
            asset="customer_identities",
            description="SQL of its own finds no link the records do not bear out, and nothing else that must not be.",
        ),
        dg.AssetCheckSpec(
            SELF_AUDIT,
            asset="customer_identities",
            description="A random sample of clubs, each resolved again alone, gives what is stored.",
        ),
    ],
    code_version="1",
)
def customer_identities(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Resolve the run's tenants, of each all records or those a change concerns, and keep what changed."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_tenants()[0]]
        if half_kept := take_back_half_kept(this, tenants):
            context.log.warning("took back what a run that ended half-way left of %s", ", ".join(half_kept))
        parts = keep_resolved(this, tenants)
        stored = lake.current(this.con, identity.customer_identities, tenants=tenants)
        links = this.con.sql(f"select rule, count(*) from {stored} group by rule order by rule").fetchall()
        return dg.MaterializeResult(
            metadata={
                **counted(added_up(part.changes for part in parts), sum(count for _, count in links)),
                "links_by_rule": dg.MetadataValue.json(dict(links)),
            },
            check_results=[_links_hold([fault for part in parts for fault in part.faults]), _self_audit(this, tenants)],
        )


def keep_resolved(this: Step, tenants: Sequence[str]) -> list[Part]:
    """Make the identities of these loaded tenants what their records now say, and note from what."""
    decisive = (*DECISIVE, *DECISIONS)
    inputs = find_inputs(this, "customer_identities", tuple(PEOPLE.values()), tenants, decisive=decisive)
    parts = [_keep_all(part) for part in this.in_parts(inputs.whole, *FOUND, identity.record_keys)]
    if inputs.in_part:
        parts.append(_keep_reached(replace(this, tenants=inputs.in_part, only_needed=True)))
    inputs.note(this)
    return parts


def _keep_all(part: Step) -> Part:
    part.load_everything()
    read_records(part)
    return _keep(part, EVERYBODYS)


def _keep_reached(part: Step) -> Part:
    """Resolve those whom changed records concern; nobody where none changed."""
    if not find_stirred_records(part):
        return Part({}, [])
    part.load_tenants()
    need_stirred(part.con)
    find_rows_of_needed(part.con, PEOPLE.values())
    part.load_rows((*PEOPLE.values(), *DECISIONS))
    normalise_people(part.con)
    for table in (identity.record_keys, identity.customer_identities, identity.profile_ids):
        part.lake.current(part.con, table, tenants=part.tenants)
    find_reached(part.con)
    find_rows_of_needed(part.con, PEOPLE.values())
    part.load_rows(tuple(PEOPLE.values()))
    read_records(part)
    part.con.execute(TELL_SHARED)
    return _keep(part, IS_REACHED)


def _keep(part: Step, theirs: Mapping[Table, str]) -> Part:
    """Resolve the records that were read and keep what is `theirs`; by which keys comes last, being known after all."""
    tenants = part.tenants or ()
    of_records = theirs[identity.customer_identities]
    part.quarantine(INVALID_KEYS, "customer_identities", tenants, of_records)
    resolve_tenants(part, tenants, theirs)
    changes = keep_identities(part, tenants, theirs)
    faults = _faults(part, tenants, theirs)
    part.replace(identity.record_keys, f"({RECORD_KEYS})", tenants, of_records)
    return Part(changes, faults)


def _faults(part: Step, tenants: Sequence[str], theirs: Mapping[Table, str]) -> list[str]:
    """What is wrong with the stored links: words, tenant, and record or profile id."""
    part.con.execute(f"create or replace temp view records as {RECORDS}")
    part.con.execute(f"create or replace temp view overrides as {OVERRIDES}")
    for table in FOUND:
        stored = part.lake.current(part.con, table, tenants=tenants, name=f"stored_{table.name}")
        # The check reads each many times, and a view of the lake would be worked out anew each time.
        part.con.execute(f"drop view if exists {table.name}")
        part.con.execute(f"create temp table {table.name} as from {stored} where {theirs[table]}")
    faults = [" ".join(violation) for violation in violations(part.con)]
    for table in FOUND:
        part.con.execute(f"drop table {table.name}")
    return faults


def _links_hold(faults: Sequence[str]) -> dg.AssetCheckResult:
    shown = dg.MetadataValue.json(faults[:MOST_SHOWN])
    return dg.AssetCheckResult(check_name=LINKS_HOLD, passed=not faults, metadata={"faults": shown})


def _self_audit(this: Step, tenants: list[str]) -> dg.AssetCheckResult:
    found = audit(this, tenants)
    return dg.AssetCheckResult(
        check_name=SELF_AUDIT,
        passed=not found.differing,
        metadata={
            "tenants": dg.MetadataValue.json(found.tenants),
            "records": found.records,
            "differing": dg.MetadataValue.json(found.differing),
        },
    )
