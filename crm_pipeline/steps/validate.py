"""Validation of tenants and source rows in the lake: faulty ones are quarantined."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import Table

from crm_pipeline.domain.ingest.local_times import find_moved_times
from crm_pipeline.domain.ingest.row_validation import build_faulty_rows_query
from crm_pipeline.domain.ingest.tenant_validation import build_faulty_settings_query
from crm_pipeline.faults import describe_error
from crm_pipeline.incremental.affected import build_revalidated_condition
from crm_pipeline.incremental.failures import INTERRUPTED
from crm_pipeline.incremental.model import BatchResult, IncrementalModel, Materialization, materialize
from crm_pipeline.incremental.required_rows import FULL_REFRESH_TRIGGERS, find_revalidated_rows
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.outputs import operations
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.vocabulary import Service

SNAPSHOT_NAMES: Final = {service: f"{service.lower()}_snapshot" for service in Service}
"""The asset of each service's snapshot, under which its invalid rows are quarantined."""


def quarantine_tenants(run: RunContext, faulty: dict[str, list[str]]) -> None:
    """Quarantines the faulty settings of tenants; `faulty` has `column:REASON` per tenant id."""
    run.quarantine(build_faulty_settings_query(run.con, faulty), "tenants", run.tenants)


def quarantine_rows(run: RunContext, service: Service) -> Materialization[None]:
    """Quarantines the invalid present rows of a service; of incremental tenants, rows whose validity can have changed.

    Rows of no tenant, and of tenants that are closed or faulty themselves, are one more batch, validated every time.
    Where it fails, what was quarantined of them stays.
    """
    materialization = materialize(build_validation(service), run)
    other_tenants = _find_other_tenants(run, service, materialization.tenants)
    try:
        if other_tenants:
            _quarantine_others(run, service, materialization.tenants, other_tenants)
    except Exception as error:
        if INTERRUPTED in str(error):
            raise
        other_failures = dict.fromkeys(other_tenants, describe_error(error))
        return replace(materialization, failures=materialization.failures | other_failures)
    return materialization


def build_validation(service: Service) -> IncrementalModel[None]:
    """Returns the model that validates a service's rows.

    All CRM rows are validated every time: they are few, and rows of other services are validated against them.
    """
    tables = list_source_tables(service)
    return IncrementalModel(
        name=SNAPSHOT_NAMES[service],
        upstream=(),
        reads=tables,
        rebuild_on=FULL_REFRESH_TRIGGERS,
        writes=(),
        build_all=partial(_validate_all_rows, service),
        build_affected=None if service is Service.CRM else partial(_revalidate_rows, service),
    )


def _validate_all_rows(service: Service, batch: RunContext) -> BatchResult[None]:
    tables = list_source_tables(service)
    _reread_local_times(batch, tables)
    batch.load_rows(tables)
    batch.quarantine(build_faulty_rows_query(tables, SNAPSHOT_NAMES[service]), SNAPSHOT_NAMES[service], batch.tenants)
    return BatchResult({}, None)


def _revalidate_rows(service: Service, batch: RunContext) -> BatchResult[None]:
    tables, found_by = list_source_tables(service), SNAPSHOT_NAMES[service]
    if find_revalidated_rows(batch, tables):
        batch.load_rows(tables)
        faults_query = build_faulty_rows_query(tables, found_by)
        batch.quarantine(faults_query, found_by, batch.tenants, build_revalidated_condition(tables))
    return BatchResult({}, None)


def _reread_local_times(batch: RunContext, tables: Sequence[Table]) -> None:
    """Stores anew the rows that a tenant's new zone changes: their service may not have been read."""
    for table in tables:
        name = to_lake_name(table)
        present = batch.lake.create_current_view(batch.con, table, tenants=batch.tenants, name=f"present_{name}")
        if find_moved_times(batch.con, table, present):
            is_reread = f"(tenant_id, _record_key) in (select (tenant_id, _record_key) from reread_{name})"
            batch.replace(table, f"reread_{name}", batch.tenants, is_reread)


def _quarantine_others(run: RunContext, service: Service, tenants: Sequence[str], other_tenants: Sequence[str]) -> None:
    tables, found_by = list_source_tables(service), SNAPSHOT_NAMES[service]
    replace(run, tenants=other_tenants).load_rows(tables)
    is_other = f"not coalesce({build_tenant_condition(tenants)}, false)"
    run.quarantine(build_faulty_rows_query(tables, found_by), found_by, run.tenants, is_other)


def _find_other_tenants(run: RunContext, service: Service, tenants: Sequence[str]) -> list[str]:
    """Returns the other tenants with rows or quarantined rows, including unknown tenants; "" stands for none."""
    stored_view = run.lake.create_current_view(
        run.con, operations.quarantined_records, tenants=run.tenants, name="stored_quarantined"
    )
    present_tenants = " union ".join(
        f"select tenant_id from ({run.lake.build_counts_query(t, tenants=run.tenants)})"
        for t in list_source_tables(service)
    )
    found = run.con.execute(
        f"""
        from (select coalesce(tenant_id, '') from {stored_view} where found_by = $found_by union {present_tenants})
        except select unnest($tenants::varchar[])""",
        {"tenants": list(tenants), "found_by": SNAPSHOT_NAMES[service]},
    ).fetchall()
    return sorted(tenant for (tenant,) in found)
