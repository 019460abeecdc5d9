"""Customer identities of a tenant batch: all records, or those that a change concerns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Table

from crm_pipeline.domain.contact_keys.person_records import INVALID_KEYS, normalise_people
from crm_pipeline.domain.identity.audit import violations
from crm_pipeline.incremental.identity_closure import IS_REACHED, RECORD_KEYS, TELL_SHARED, find_reached
from crm_pipeline.incremental.model import BatchResult
from crm_pipeline.incremental.required_rows import DECISIVE, find_rows_of_needed, find_stirred_records, need_stirred
from crm_pipeline.incremental.watermarks import find_inputs
from crm_pipeline.run_context import Step
from crm_pipeline.steps.identities.atomic_commit import keep_identities
from crm_pipeline.steps.identities.resolution import (
    EVERYBODYS,
    FOUND,
    OVERRIDES,
    RECORDS,
    read_records,
    resolve_tenants,
)
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.sources import crm

DECISIONS: Final = (crm.identity_override, crm.suppressed_identifier)
"""What operators said; a word of theirs can concern anybody."""


def keep_resolved(this: Step, tenants: Sequence[str]) -> list[BatchResult[list[str]]]:
    """Make the identities of these loaded tenants what their records now say, and note from what."""
    decisive = (*DECISIVE, *DECISIONS)
    inputs = find_inputs(this, "customer_identities", tuple(PEOPLE.values()), tenants, decisive=decisive)
    parts = [_keep_all(part) for part in this.in_parts(inputs.whole, *FOUND, identity.record_keys)]
    if inputs.in_part:
        parts.append(_keep_reached(replace(this, tenants=inputs.in_part, only_needed=True)))
    inputs.note(this)
    return parts


def _keep_all(part: Step) -> BatchResult[list[str]]:
    part.load_everything()
    read_records(part)
    return _keep(part, EVERYBODYS)


def _keep_reached(part: Step) -> BatchResult[list[str]]:
    """Resolve those whom changed records concern; nobody where none changed."""
    if not find_stirred_records(part):
        return BatchResult({}, [])
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


def _keep(part: Step, theirs: Mapping[Table, str]) -> BatchResult[list[str]]:
    """Resolve the records that were read and keep what is `theirs`; by which keys comes last, being known after all."""
    tenants = part.tenants or ()
    of_records = theirs[identity.customer_identities]
    part.quarantine(INVALID_KEYS, "customer_identities", tenants, of_records)
    resolve_tenants(part, tenants, theirs)
    changes = keep_identities(part, tenants, theirs)
    faults = _faults(part, tenants, theirs)
    part.replace(identity.record_keys, f"({RECORD_KEYS})", tenants, of_records)
    return BatchResult(changes, faults)


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
