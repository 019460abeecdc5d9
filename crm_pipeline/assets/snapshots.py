"""Snapshots of the services in the lake: what was extracted, judged row by row, and what Dagster is told of it.

A service that cannot be believed does not stop the run: its last snapshot serves, and its check says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.assets.extraction import NOTHING, extract
from crm_pipeline.assets.inputs import find_inputs
from crm_pipeline.assets.metadata import HOURLY, columns_metadata, counted
from crm_pipeline.assets.step import Step, step
from crm_pipeline.assets.touched import DECISIVE, judging_part
from crm_pipeline.domain.ingest.row_validation import faulty_rows
from crm_pipeline.domain.rejudged import is_rejudged
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import tenant_filter
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.settings import Settings, source_pool
from crm_pipeline.tables import source_tables
from crm_pipeline.tables.outputs import operations
from crm_pipeline.vocabulary import Service

FRESH = "snapshot_is_fresh"


def snapshot_asset(service: Service) -> dg.AssetsDefinition:
    """The asset that keeps one service's snapshot; the CRM's comes first, since it knows the tenants."""
    key = f"{service.lower()}_snapshot"

    @dg.asset(
        key=key,
        group_name="snapshots",
        kinds={"deltalake", "duckdb"},
        owners=["team:data"],
        tags={**HOURLY.tags, "service": service.lower()},
        freshness_policy=HOURLY.freshness,
        description=f"{service} as last delivered: {', '.join(t.name for t in source_tables(service))}. In the lake.",
        deps=[] if service is Service.CRM else ["tenants"],
        check_specs=[dg.AssetCheckSpec(FRESH, asset=key, description="The service was read and believed in this run.")],
        metadata=columns_metadata(*source_tables(service)),
        code_version="1",
        pool=source_pool(service),
    )
    def snapshot(
        context: dg.AssetExecutionContext,
        sources: dg.ResourceParam[Sources],
        lake: dg.ResourceParam[Lake],
        settings: dg.ResourceParam[Settings],
    ) -> dg.MaterializeResult:
        with step(context, lake, settings) as this:
            try:
                found, fault = NOTHING if settings.is_replay else extract(this, sources, service), None
            except SourceError as error:
                found, fault = NOTHING, str(error)
                context.log.warning("%s; its last snapshot serves", fault)
            quarantine(this, service, key)
            return dg.MaterializeResult(
                metadata={
                    **counted(found.changes, _rows(this, service)),
                    "read": found.read,
                    "kept_out": found.kept_out,
                    "undeclared_columns": dg.MetadataValue.json(found.undeclared),
                    "quarantined": dg.MetadataValue.json(this.set_aside(key)),
                },
                check_results=[
                    dg.AssetCheckResult(
                        check_name=FRESH, passed=fault is None, metadata={"reason": fault} if fault else {}
                    )
                ],
            )

    return snapshot


def quarantine(this: Step, service: Service, found_by: str) -> None:
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


def _rows(this: Step, service: Service) -> int:
    view = this.lake.current(this.con, operations.service_snapshots, tenants=this.tenants)
    rows = this.con.execute(f"select cast(coalesce(sum(rows), 0) as bigint) from {view} where service = '{service}'")
    return int(rows.fetchall()[0][0])


def snapshot_assets() -> Iterator[dg.AssetsDefinition]:
    """The snapshot asset of every service."""
    return map(snapshot_asset, Service)
