"""Snapshots of the services in the lake: what was extracted, judged row by row, and what Dagster is told of it.

A service that cannot be believed does not stop the run: its last snapshot serves, and its check says so.
"""

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context
from crm_pipeline.defs.metadata import HOURLY, build_changes_metadata, build_columns_metadata
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings, build_source_pool_name
from crm_pipeline.steps.extract import EMPTY_EXTRACTION, PastHourError, extract_service
from crm_pipeline.steps.validate import quarantine_rows
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.outputs import operations
from crm_pipeline.vocabulary import Service

FRESHNESS_CHECK = "snapshot_is_fresh"


def build_snapshot_asset(service: Service) -> dg.AssetsDefinition:
    """The asset that keeps one service's snapshot; the CRM's comes first, since it knows the tenants."""
    key = f"{service.lower()}_snapshot"

    @dg.asset(
        key=key,
        group_name="snapshots",
        kinds={"deltalake", "duckdb"},
        owners=["team:data"],
        tags={**HOURLY.tags, "service": service.lower()},
        freshness_policy=HOURLY.freshness,
        description=f"{service} as last delivered: {', '.join(t.name for t in list_source_tables(service))}. In the lake.",
        deps=[] if service is Service.CRM else ["tenants"],
        check_specs=[
            dg.AssetCheckSpec(FRESHNESS_CHECK, asset=key, description="The service was read and believed in this run.")
        ],
        metadata=build_columns_metadata(*list_source_tables(service)),
        code_version="1",
        pool=build_source_pool_name(service),
    )
    def snapshot(
        context: dg.AssetExecutionContext,
        sources: dg.ResourceParam[Sources],
        lake: dg.ResourceParam[Lake],
        settings: dg.ResourceParam[Settings],
    ) -> dg.MaterializeResult:
        with open_run_context(context, lake, settings) as run:
            try:
                found, fault = EMPTY_EXTRACTION if settings.is_replay else extract_service(run, sources, service), None
            except PastHourError as error:
                raise dg.Failure(str(error), allow_retries=False) from None
            except SourceError as error:
                found, fault = EMPTY_EXTRACTION, str(error)
                context.log.warning("%s; its last snapshot serves", fault)
            quarantine_rows(run, service, key)
            return dg.MaterializeResult(
                metadata={
                    **build_changes_metadata(found.changes, _count_snapshot_rows(run, service)),
                    "read": found.read,
                    "kept_out": found.kept_out,
                    "undeclared_columns": dg.MetadataValue.json(found.undeclared),
                    "quarantined": dg.MetadataValue.json(run.set_aside(key)),
                },
                check_results=[
                    dg.AssetCheckResult(
                        check_name=FRESHNESS_CHECK, passed=fault is None, metadata={"reason": fault} if fault else {}
                    )
                ],
            )

    return snapshot


def _count_snapshot_rows(run: RunContext, service: Service) -> int:
    view = run.lake.current(run.con, operations.service_snapshots, tenants=run.tenants)
    rows = run.con.execute(f"select cast(coalesce(sum(rows), 0) as bigint) from {view} where service = '{service}'")
    return int(rows.fetchall()[0][0])


snapshots = [build_snapshot_asset(service) for service in Service]
