"""Customer identities of a tenant batch: all records, or those that a change concerns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Table

from crm_pipeline.domain.contact_keys.person_records import INVALID_KEYS_SQL, normalise_people
from crm_pipeline.domain.identity.audit import find_violations
from crm_pipeline.incremental.identity_closure import (
    IS_IN_CLOSURE,
    MARK_SHARED_VALUES,
    RECORD_KEYS_QUERY,
    find_identity_closure,
)
from crm_pipeline.incremental.model import BatchResult
from crm_pipeline.incremental.required_rows import (
    FULL_REFRESH_TRIGGERS,
    find_dirty_person_records,
    require_dirty_records,
    select_owned_rows,
)
from crm_pipeline.incremental.watermarks import plan_refresh
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.atomic_commit import commit_identities
from crm_pipeline.steps.identities.resolution import (
    ALL_ROWS,
    OVERRIDES_QUERY,
    RECORDS_QUERY,
    RESOLVED_RELATIONS,
    read_records,
    resolve_tenants,
)
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.sources import crm

OPERATOR_DECISIONS: Final = (crm.identity_override, crm.suppressed_identifier)
"""What operators said; a word of theirs can concern anybody."""


def materialize_identities(run: RunContext, tenants: Sequence[str]) -> list[BatchResult[list[str]]]:
    """Make the identities of these loaded tenants what their records now say, and note from what."""
    triggers = (*FULL_REFRESH_TRIGGERS, *OPERATOR_DECISIONS)
    plan = plan_refresh(
        run, "customer_identities", tuple(PERSON_TABLES.values()), tenants, full_refresh_triggers=triggers
    )
    parts = [
        _materialize_all_records(batch)
        for batch in run.tenant_batches(plan.full_refresh_tenants, *RESOLVED_RELATIONS, identity.record_keys)
    ]
    if plan.incremental_tenants:
        parts.append(_materialize_identity_closure(replace(run, tenants=plan.incremental_tenants, only_required=True)))
    plan.store_watermarks(run)
    return parts


def _materialize_all_records(batch: RunContext) -> BatchResult[list[str]]:
    batch.load_all_rows()
    read_records(batch)
    return _resolve_and_store(batch, ALL_ROWS)


def _materialize_identity_closure(batch: RunContext) -> BatchResult[list[str]]:
    """Resolve those whom changed records concern; nobody where none changed."""
    if not find_dirty_person_records(batch):
        return BatchResult({}, [])
    batch.load_tenants()
    require_dirty_records(batch.con)
    select_owned_rows(batch.con, PERSON_TABLES.values())
    batch.load_rows((*PERSON_TABLES.values(), *OPERATOR_DECISIONS))
    normalise_people(batch.con)
    for table in (identity.record_keys, identity.customer_identities, identity.profile_ids):
        batch.lake.current(batch.con, table, tenants=batch.tenants)
    find_identity_closure(batch.con)
    select_owned_rows(batch.con, PERSON_TABLES.values())
    batch.load_rows(tuple(PERSON_TABLES.values()))
    read_records(batch)
    batch.con.execute(MARK_SHARED_VALUES)
    return _resolve_and_store(batch, IS_IN_CLOSURE)


def _resolve_and_store(batch: RunContext, theirs: Mapping[Table, str]) -> BatchResult[list[str]]:
    """Resolve the records that were read and keep what is `theirs`; by which keys comes last, being known after all."""
    tenants = batch.tenants or ()
    of_records = theirs[identity.customer_identities]
    batch.quarantine(INVALID_KEYS_SQL, "customer_identities", tenants, of_records)
    resolve_tenants(batch, tenants, theirs)
    changes = commit_identities(batch, tenants, theirs)
    faults = _find_link_violations(batch, tenants, theirs)
    batch.replace(identity.record_keys, f"({RECORD_KEYS_QUERY})", tenants, of_records)
    return BatchResult(changes, faults)


def _find_link_violations(batch: RunContext, tenants: Sequence[str], theirs: Mapping[Table, str]) -> list[str]:
    """What is wrong with the stored links: words, tenant, and record or profile id."""
    batch.con.execute(f"create or replace temp view records as {RECORDS_QUERY}")
    batch.con.execute(f"create or replace temp view overrides as {OVERRIDES_QUERY}")
    for table in RESOLVED_RELATIONS:
        stored = batch.lake.current(batch.con, table, tenants=tenants, name=f"stored_{table.name}")
        # The check reads each many times, and a view of the lake would be worked out anew each time.
        batch.con.execute(f"drop view if exists {table.name}")
        batch.con.execute(f"create temp table {table.name} as from {stored} where {theirs[table]}")
    faults = [" ".join(violation) for violation in find_violations(batch.con)]
    for table in RESOLVED_RELATIONS:
        batch.con.execute(f"drop table {table.name}")
    return faults
