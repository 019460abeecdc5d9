"""Validation of what the lake holds of the services: faulty tenants and rows are quarantined."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Table

from crm_pipeline.domain.ingest.row_validation import faulty_rows_query
from crm_pipeline.domain.ingest.tenant_validation import build_faulty_settings_query
from crm_pipeline.incremental.affected import build_revalidated_condition
from crm_pipeline.incremental.required_rows import FULL_REFRESH_TRIGGERS, find_validation_batch
from crm_pipeline.incremental.watermarks import plan_refresh
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables import list_source_tables
from crm_pipeline.vocabulary import Service


def quarantine_tenants(run: RunContext, faulty: dict[str, list[str]]) -> None:
    """Quarantine the settings of tenants that cannot be worked on; `faulty` has `column:REASON` per tenant id."""
    run.quarantine(build_faulty_settings_query(run.con, faulty), "tenants", run.tenants)


def quarantine_rows(run: RunContext, service: Service, found_by: str) -> None:
    """Judge the present rows of a service and set aside what is wrong: all of them, or those an hour can have changed.

    The CRM has few rows, and is what the others are judged by: of it all are judged.
    """
    tenants = [tenant.tenant_id for tenant in run.load_tenants()[0]]
    tables = list_source_tables(service)
    plan = plan_refresh(
        run, found_by, tables, [] if service is Service.CRM else tenants, full_refresh_triggers=FULL_REFRESH_TRIGGERS
    )
    if plan.incremental_tenants and (part := find_validation_batch(run, plan.incremental_tenants, tables)):
        part.load_rows(tables)
        part.quarantine(
            faulty_rows_query(tables, found_by), found_by, part.tenants, build_revalidated_condition(tables)
        )
    others = (
        replace(run, tenants=_find_other_tenants(run, tables, plan.incremental_tenants))
        if plan.incremental_tenants
        else run
    )
    others.load_rows(tables)
    are_others = f"not coalesce({build_tenant_condition(plan.incremental_tenants)}, false)"
    run.quarantine(faulty_rows_query(tables, found_by), found_by, run.tenants, are_others)
    plan.store_watermarks(run)


def _find_other_tenants(run: RunContext, tables: Sequence[Table], tenants: Sequence[str]) -> list[str]:
    """Who else has rows, clubs that nobody knows included."""
    there = " union ".join(f"select tenant_id from ({run.lake.counts(t, tenants=run.tenants)})" for t in tables)
    found = run.con.sql(f"from ({there}) except select unnest($tenants)", params={"tenants": list(tenants)}).fetchall()
    return sorted(tenant for (tenant,) in found)
