"""The customer identities model: resolves all records of a tenant, or the identity closure of its dirty records."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Table

from crm_pipeline.domain.contact_keys.person_records import INVALID_KEYS_SQL
from crm_pipeline.domain.identity.audit import find_violations
from crm_pipeline.domain.identity.overrides import INEFFECTIVE_ROWS_SQL, build_revised_condition
from crm_pipeline.incremental.identity_closure import (
    ADD_NEW_PROFILES,
    IS_IN_CLOSURE,
    MARK_SHARED_VALUES,
    find_identity_closure,
)
from crm_pipeline.incremental.model import BatchResult, IncrementalModel
from crm_pipeline.incremental.required_rows import (
    FULL_REFRESH_TRIGGERS,
    find_dirty_person_records,
    require_dirty_records,
    select_owned_rows,
)
from crm_pipeline.resources.lake.change_feed import find_changed_rows
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.identities.atomic_commit import commit_identities, roll_back_partial_commits
from crm_pipeline.steps.identities.person_records import IS_DIRTY_RECORD, load_people, store_person_records
from crm_pipeline.steps.identities.resolution import (
    ALL_ROWS,
    OVERRIDES_QUERY,
    RECORDS_QUERY,
    RESOLVED_RELATIONS,
    read_decisions,
    resolve_tenants,
)
from crm_pipeline.steps.identities.withheld_consents import store_withheld_consents
from crm_pipeline.steps.validate import SNAPSHOT_NAMES
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import identity
from crm_pipeline.tables.sources import crm

OPERATOR_DECISIONS: Final = (crm.identity_override, crm.suppressed_identifier)
"""Tables of operator decisions. A decision can affect any record, so a change is a full refresh."""
COMPARED_COLUMNS: Final = ("tenant_id", "service", "service_record_id", "auth_user_id", "email", "phone_number")
"""The columns of person_records whose changes can link other records."""


def _resolve_all_records(batch: RunContext) -> BatchResult[list[str]]:
    tenants = batch.load_all_rows()
    people = {identity.person_records.name: store_person_records(batch, tenants)}
    load_people(batch, tenants)
    read_decisions(batch)
    return _resolve_and_store(batch, ALL_ROWS, people)


def _resolve_identity_closure(batch: RunContext) -> BatchResult[list[str]]:
    """Resolves the identity closure of the dirty records, if there are any."""
    if not find_dirty_person_records(batch):
        return BatchResult({}, [])
    require_dirty_records(batch.con)
    select_owned_rows(batch.con, PERSON_TABLES.values())
    batch.load_rows((*PERSON_TABLES.values(), *OPERATOR_DECISIONS))
    tenants = batch.tenants or ()
    people = {identity.person_records.name: store_person_records(batch, tenants, IS_DIRTY_RECORD)}
    find_changed_rows(batch.lake, batch.con, identity.person_records, COMPARED_COLUMNS, "watermarks")
    for table in (identity.person_records, identity.customer_identities, identity.profile_ids):
        batch.lake.create_current_view(batch.con, table, tenants=tenants)
    find_identity_closure(batch.con)
    load_people(batch, tenants)
    read_decisions(batch, IS_IN_CLOSURE)
    batch.con.execute(MARK_SHARED_VALUES)
    return _resolve_and_store(batch, IS_IN_CLOSURE, people)


def _resolve_and_store(
    batch: RunContext, conditions: Mapping[Table, str], changes: dict[str, ChangeCounts]
) -> BatchResult[list[str]]:
    """Resolves the loaded people and stores the rows where `conditions` hold; adds to `changes` what changed."""
    tenants = batch.tenants or ()
    record_condition, withheld = conditions[identity.customer_identities], identity.withheld_consents
    faults_query = f"{INVALID_KEYS_SQL} union all by name {INEFFECTIVE_ROWS_SQL}"
    revised_condition = build_revised_condition(conditions[crm.identity_override], record_condition)
    batch.quarantine(faults_query, IDENTITIES.name, tenants, revised_condition)
    resolve_tenants(batch, tenants, conditions)
    changes |= {withheld.name: store_withheld_consents(batch, tenants, conditions[withheld])}
    changes |= commit_identities(batch, tenants, conditions)
    return BatchResult(changes, _find_link_violations(batch, tenants, conditions))


def _find_link_violations(batch: RunContext, tenants: Sequence[str], conditions: Mapping[Table, str]) -> list[str]:
    """Returns the violations of the stored links: words, tenant, and record or profile id."""
    batch.con.execute(f"create or replace temp view records as {RECORDS_QUERY}")
    batch.con.execute(f"create or replace temp view overrides as {OVERRIDES_QUERY}")
    if batch.only_required:
        batch.con.execute(ADD_NEW_PROFILES)
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
    reads=(*PERSON_TABLES.values(), identity.person_records),
    rebuild_on=(*FULL_REFRESH_TRIGGERS, *OPERATOR_DECISIONS),
    writes=(identity.person_records, identity.withheld_consents, *RESOLVED_RELATIONS),
    build_all=_resolve_all_records,
    build_affected=_resolve_identity_closure,
    restore=roll_back_partial_commits,
)
