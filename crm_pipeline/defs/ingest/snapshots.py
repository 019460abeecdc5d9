"""Assets of the services' snapshots: rows extracted into the lake and validated, with metadata and a freshness check.

A snapshot that is rejected does not stop the run: the service's last snapshot is used, and its check fails.
"""

from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context, report_failures
from crm_pipeline.defs.ingest.sources import build_source_key
from crm_pipeline.defs.metadata import (
    HOURLY,
    build_asset_options,
    build_changes_metadata,
    build_count_metrics,
    build_counts_table,
    build_optional_table,
    build_rows_table,
)
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings, build_source_pool_name
from crm_pipeline.steps.extract import EMPTY_EXTRACTION, Extraction, PastHourError, count_present_rows, extract_service
from crm_pipeline.steps.validate import SNAPSHOT_NAMES, quarantine_rows
from crm_pipeline.tables import list_source_tables
from crm_pipeline.vocabulary import Service

FRESHNESS_CHECK = "snapshot_is_fresh"


def build_snapshot_asset(service: Service) -> dg.AssetsDefinition:
    """Returns the asset of one service's snapshot; the CRM's is upstream of the others, since it lists the tenants."""
    key = SNAPSHOT_NAMES[service]
    table_names = ", ".join(table.name for table in list_source_tables(service))
    options = build_asset_options(HOURLY, *list_source_tables(service))
    options["tags"] |= {"service": service.lower()}

    @dg.asset(
        **options,
        key=key,
        group_name="snapshots",
        kinds={"deltalake", "duckdb"},
        description=f"{service} as last delivered: {table_names}. In the lake.",
        deps=[build_source_key(service), *([] if service is Service.CRM else ["tenants"])],
        check_specs=[
            dg.AssetCheckSpec(
                FRESHNESS_CHECK, asset=key, description="The service was read in this run and its snapshot accepted."
            )
        ],
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
                extraction = EMPTY_EXTRACTION if settings.is_replay else extract_service(run, sources, service)
                source_error = None
            except PastHourError as error:
                raise dg.Failure(str(error), allow_retries=False) from None
            except SourceError as error:
                extraction, source_error = EMPTY_EXTRACTION, str(error)
                context.log.warning("%s; its last snapshot serves", source_error)
            report_failures(context, quarantine_rows(run, service).failures)
            return dg.MaterializeResult(
                metadata=_build_extraction_metadata(run, service, extraction),
                check_results=[
                    dg.AssetCheckResult(
                        check_name=FRESHNESS_CHECK,
                        passed=source_error is None,
                        description=source_error or f"Read: {extraction.read_summary}.",
                        metadata={"reason": source_error} if source_error else {},
                    )
                ],
            )

    return snapshot


def _build_extraction_metadata(run: RunContext, service: Service, extraction: Extraction) -> dict[str, Any]:
    """Returns what became of the rows, table by table from reading to quarantine, and numbers that the UI plots."""
    rows, reasons = count_present_rows(run, service), run.count_quarantined(SNAPSHOT_NAMES[service])
    quarantined = run.count_quarantined(SNAPSHOT_NAMES[service], by="table_name")
    undeclared = [
        {"table": name, "columns": ", ".join(columns)} for name, columns in extraction.undeclared_columns.items()
    ]
    return {
        "read": extraction.read_summary,
        "tables": build_rows_table(
            [
                {
                    "table": name,
                    "read": extraction.read_rows.get(name, 0),
                    "empty": extraction.ignored_rows.get(name, 0),
                    "rows": count,
                    "quarantined": quarantined.get(name, 0),
                }
                for name, count in rows.items()
            ]
        ),
        "quarantined": build_counts_table("reason", reasons),
        **build_changes_metadata(extraction.changes, sum(rows.values())),
        "undeclared_columns": build_optional_table(undeclared),
        "kept_out": extraction.excluded_rows,
        **build_count_metrics("rows", rows),
        **build_count_metrics("quarantined", reasons),
    }


snapshots = [build_snapshot_asset(service) for service in Service]
