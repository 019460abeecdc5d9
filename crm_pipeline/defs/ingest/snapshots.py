"""Snapshots of the services in the lake: what was extracted, judged row by row, and what Dagster is told of it.

A service that cannot be believed does not stop the run: its last snapshot serves, and its check says so.
"""

import dagster as dg

from crm_pipeline.defs.dagster_context import step
from crm_pipeline.defs.metadata import HOURLY, columns_metadata, counted
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.run_context import Step
from crm_pipeline.settings import Settings, source_pool
from crm_pipeline.steps.extract import NOTHING, PastHourError, extract
from crm_pipeline.steps.validate import quarantine_rows
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
            except PastHourError as error:
                raise dg.Failure(str(error), allow_retries=False) from None
            except SourceError as error:
                found, fault = NOTHING, str(error)
                context.log.warning("%s; its last snapshot serves", fault)
            quarantine_rows(this, service, key)
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


def _rows(this: Step, service: Service) -> int:
    view = this.lake.current(this.con, operations.service_snapshots, tenants=this.tenants)
    rows = this.con.execute(f"select cast(coalesce(sum(rows), 0) as bigint) from {view} where service = '{service}'")
    return int(rows.fetchall()[0][0])


snapshots = [snapshot_asset(service) for service in Service]
