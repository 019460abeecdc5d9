"""Validation of what the lake holds of the services: faulty tenants and rows are quarantined."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Table

from crm_pipeline.domain.ingest.row_validation import faulty_rows
from crm_pipeline.domain.ingest.tenant_validation import faulty_settings
from crm_pipeline.incremental.affected import is_rejudged
from crm_pipeline.incremental.required_rows import DECISIVE, judging_part
from crm_pipeline.incremental.watermarks import find_inputs
from crm_pipeline.resources.lake.rows import tenant_filter
from crm_pipeline.run_context import Step
from crm_pipeline.tables import source_tables
from crm_pipeline.vocabulary import Service


def quarantine_tenants(this: Step, faulty: dict[str, list[str]]) -> None:
    """Quarantine the settings of tenants that cannot be worked on; `faulty` has `column:REASON` per tenant id."""
    this.quarantine(faulty_settings(this.con, faulty), "tenants", this.tenants)


def quarantine_rows(this: Step, service: Service, found_by: str) -> None:
    """Judge the present rows of a service and set aside what is wrong: all of them, or those an hour can have changed.

    The CRM has few rows, and is what the others are judged by: of it all are judged.
    """
    tenants = [tenant.tenant_id for tenant in this.load_tenants()[0]]
    tables = source_tables(service)
    inputs = find_inputs(this, found_by, tables, [] if service is Service.CRM else tenants, decisive=DECISIVE)
    if inputs.in_part and (part := judging_part(this, inputs.in_part, tables)):
        part.load_rows(tables)
        part.quarantine(faulty_rows(tables, found_by), found_by, part.tenants, is_rejudged(tables))
    others = replace(this, tenants=_others(this, tables, inputs.in_part)) if inputs.in_part else this
    others.load_rows(tables)
    are_others = f"not coalesce({tenant_filter(inputs.in_part)}, false)"
    this.quarantine(faulty_rows(tables, found_by), found_by, this.tenants, are_others)
    inputs.note(this)


def _others(this: Step, tables: Sequence[Table], tenants: Sequence[str]) -> list[str]:
    """Who else has rows, clubs that nobody knows included."""
    there = " union ".join(f"select tenant_id from ({this.lake.counts(t, tenants=this.tenants)})" for t in tables)
    found = this.con.sql(f"from ({there}) except select unnest($tenants)", params={"tenants": list(tenants)}).fetchall()
    return sorted(tenant for (tenant,) in found)
