"""Validation of tenants and source rows in the lake: faulty ones are quarantined."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Table

from crm_pipeline.domain.ingest.local_times import find_moved_times
from crm_pipeline.domain.ingest.row_validation import build_faulty_rows_query
from crm_pipeline.domain.ingest.tenant_validation import build_faulty_settings_query
from crm_pipeline.incremental.affected import build_revalidated_condition
from crm_pipeline.incremental.required_rows import FULL_REFRESH_TRIGGERS, find_validation_batch
from crm_pipeline.incremental.watermarks import plan_refresh
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.vocabulary import Service


def quarantine_tenants(run: RunContext, faulty: dict[str, list[str]]) -> None:
    """Quarantines the faulty settings of tenants; `faulty` has `column:REASON` per tenant id."""
    run.quarantine(build_faulty_settings_query(run.con, faulty), "tenants", run.tenants)


def quarantine_rows(run: RunContext, service: Service, found_by: str) -> None:
    """Quarantines the invalid present rows of a service; of incremental tenants, rows whose validity can have changed.

    All CRM rows are validated every time: they are few, and rows of other services are validated against them.
    """
    tenants = [tenant.tenant_id for tenant in run.load_tenants()[0]]
    tables = list_source_tables(service)
    planned = [] if service is Service.CRM else tenants
    plan = plan_refresh(run, found_by, tables, planned, full_refresh_triggers=FULL_REFRESH_TRIGGERS)
    if _reread_local_times(run, tables, tenants if service is Service.CRM else plan.full_refresh_tenants):
        plan = plan_refresh(run, found_by, tables, planned, full_refresh_triggers=FULL_REFRESH_TRIGGERS)
    if plan.incremental_tenants and (batch := find_validation_batch(run, plan.incremental_tenants, tables)):
        batch.load_rows(tables)
        batch.quarantine(
            build_faulty_rows_query(tables, found_by), found_by, batch.tenants, build_revalidated_condition(tables)
        )
    full_batch = (
        replace(run, tenants=_find_other_tenants(run, tables, plan.incremental_tenants))
        if plan.incremental_tenants
        else run
    )
    full_batch.load_rows(tables)
    is_full_batch_row = f"not coalesce({build_tenant_condition(plan.incremental_tenants)}, false)"
    run.quarantine(build_faulty_rows_query(tables, found_by), found_by, run.tenants, is_full_batch_row)
    plan.store_watermarks(run)


def _reread_local_times(run: RunContext, tables: Sequence[Table], tenants: Sequence[str]) -> bool:
    """Whether rows of these tenants changed because their tenant's zone did: their service may not have been read."""
    moved = []
    for table in tables if tenants else ():
        present = run.lake.create_current_view(run.con, table, tenants=tenants, name=f"present_{to_lake_name(table)}")
        if find_moved_times(run.con, table, present):
            moved.append(table)
            reread = f"reread_{to_lake_name(table)}"
            run.replace(
                table, reread, tenants, f"(tenant_id, _record_key) in (select (tenant_id, _record_key) from {reread})"
            )
    return bool(moved)


def _find_other_tenants(run: RunContext, tables: Sequence[Table], tenants: Sequence[str]) -> list[str]:
    """Returns the other tenants with rows, including unknown tenants."""
    present_tenants = " union ".join(
        f"select tenant_id from ({run.lake.build_counts_query(t, tenants=run.tenants)})" for t in tables
    )
    found = run.con.sql(
        f"from ({present_tenants}) except select unnest($tenants)", params={"tenants": list(tenants)}
    ).fetchall()
    return sorted(tenant for (tenant,) in found)
