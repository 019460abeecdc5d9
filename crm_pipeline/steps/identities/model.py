"""The customer identities model: resolves all records of a tenant, or the identity closure of its dirty records."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Table

from crm_pipeline.domain.contact_keys.person_records import INVALID_KEYS_SQL, normalise_people
from crm_pipeline.domain.identity.audit import find_violations
from crm_pipeline.domain.identity.overrides import INEFFECTIVE_ROWS_SQL, build_revised_condition
from crm_pipeline.incremental.identity_closure import (
    IS_IN_CLOSURE,
    MARK_SHARED_VALUES,
    RECORD_KEYS_QUERY,
    find_identity_closure,
)
from crm_pipeline.incremental.materialize import Materialization, materialize
from crm_pipeline.incremental.model import BatchResult, IncrementalModel
from crm_pipeline.incremental.required_rows import (
    FULL_REFRESH_TRIGGERS,
    find_dirty_person_records,
    require_dirty_records,
    select_owned_rows,
)
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.atomic_commit import commit_identities, roll_back_partial_commits
from crm_pipeline.steps.identities.resolution import (
    ALL_ROWS,
    OVERRIDES_QUERY,
    RECORDS_QUERY,
    RESOLVED_RELATIONS,
    read_records,
    resolve_tenants,
)
from crm_pipeline.steps.identities.withheld_consents import store_withheld_consents
from crm_pipeline.steps.validate import SNAPSHOT_NAMES
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.sources import crm

OPERATOR_DECISIONS: Final = (crm.identity_override, crm.suppressed_identifier)
"""Tables of operator decisions. A decision can affect any record, so a change is a full refresh."""
OTHER_STORED_TABLES: Final = (identity.withheld_consents, identity.record_keys)
"""Tables stored with the identities: one before them, one after them."""


def materialize_identities(run: RunContext, tenants: Sequence[str]) -> Materialization[list[str]]:
    """Brings the identities of these tenants up to date; a batch's summary is its link violations."""
    return materialize(IDENTITIES, run, tenants)


def _resolve_all_records(batch: RunContext) -> BatchResult[list[str]]:
    batch.load_all_rows()
    read_records(batch)
    return _resolve_and_store(batch, ALL_ROWS)


def _resolve_identity_closure(batch: RunContext) -> BatchResult[list[str]]:
    """Resolves the identity closure of the dirty records, if there are any."""
    if not find_dirty_person_records(batch):
        return BatchResult({}, [])
    require_dirty_records(batch.con)
    select_owned_rows(batch.con, PERSON_TABLES.values())
    batch.load_rows((*PERSON_TABLES.values(), *OPERATOR_DECISIONS))
    normalise_people(batch.con)
    for table in (identity.record_keys, identity.customer_identities, identity.profile_ids):
        batch.lake.create_current_view(batch.con, table, tenants=batch.tenants)
    find_identity_closure(batch.con)
    select_owned_rows(batch.con, PERSON_TABLES.values())
    batch.load_rows(tuple(PERSON_TABLES.values()))
    read_records(batch, IS_IN_CLOSURE)
    batch.con.execute(MARK_SHARED_VALUES)
    return _resolve_and_store(batch, IS_IN_CLOSURE)


def _resolve_and_store(batch: RunContext, conditions: Mapping[Table, str]) -> BatchResult[list[str]]:
    """Resolves the loaded records and stores the rows where `conditions` hold; record_keys come last."""
    tenants = batch.tenants or ()
    record_condition, withheld = conditions[identity.customer_identities], identity.withheld_consents
    faults_query = f"{INVALID_KEYS_SQL} union all by name {INEFFECTIVE_ROWS_SQL}"
    revised_condition = build_revised_condition(conditions[crm.identity_override], record_condition)
    batch.quarantine(faults_query, IDENTITIES.name, tenants, revised_condition)
    resolve_tenants(batch, tenants, conditions)
    changes = {withheld.name: store_withheld_consents(batch, tenants, conditions[withheld])}
    changes |= commit_identities(batch, tenants, conditions)
    faults = _find_link_violations(batch, tenants, conditions)
    batch.replace(identity.record_keys, f"({RECORD_KEYS_QUERY})", tenants, record_condition)
    return BatchResult(changes, faults)


def _find_link_violations(batch: RunContext, tenants: Sequence[str], conditions: Mapping[Table, str]) -> list[str]:
    """Returns the violations of the stored links: words, tenant, and record or profile id."""
    batch.con.execute(f"create or replace temp view records as {RECORDS_QUERY}")
    batch.con.execute(f"create or replace temp view overrides as {OVERRIDES_QUERY}")
    for table in RESOLVED_RELATIONS:
        stored = batch.lake.create_current_view(batch.con, table, tenants=tenants, name=f"stored_{table.name}")
        # Temp tables, since the audit reads each several times and a view scans the lake every time.
        batch.con.execute(f"drop view if exists {table.name}")
        batch.con.execute(f"create temp table {table.name} as from {stored} where {conditions[table]}")
    faults = [" ".join(violation) for violation in find_violations(batch.con)]
    for table in RESOLVED_RELATIONS:
        batch.con.execute(f"drop table {table.name}")
    return faults


IDENTITIES: Final = IncrementalModel(
    name=identity.customer_identities.name,
    upstream=tuple(SNAPSHOT_NAMES.values()),
    reads=tuple(PERSON_TABLES.values()),
    rebuild_on=(*FULL_REFRESH_TRIGGERS, *OPERATOR_DECISIONS),
    writes=(*RESOLVED_RELATIONS, *OTHER_STORED_TABLES),
    build_all=_resolve_all_records,
    build_affected=_resolve_identity_closure,
    restore=roll_back_partial_commits,
)
