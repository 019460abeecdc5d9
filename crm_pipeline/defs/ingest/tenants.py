"""Asset `tenants`: the clubs of a run, and those quarantined because their own row is invalid."""

from importlib.metadata import version

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context
from crm_pipeline.defs.metadata import HOURLY, build_columns_metadata
from crm_pipeline.domain.ingest.time_zones import find_zone_differences
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.validate import quarantine_tenants
from crm_pipeline.tables.sources import crm


@dg.asset(
    group_name="snapshots",
    kinds={"deltalake"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["crm_snapshot"],
    description="The clubs a run works on. One whose own row is invalid is quarantined and keeps its last tables.",
    metadata=build_columns_metadata(crm.tenant),
    code_version="1",
)
def tenants(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Returns the valid tenants, and quarantines those whose own row is invalid.

    Reads: the CRM's Tenant table in the lake.
    Raises: Failure where no club is known at all.
    """
    with open_run_context(context, lake, settings) as run:
        usable, faulty = run.load_tenants()
        if not usable and not faulty:
            raise dg.Failure("no tenant is known: the CRM's Tenant table has not been read yet", allow_retries=False)
        quarantine_tenants(run, faulty)
        differences = find_zone_differences(run.con, [tenant.timezone for tenant in usable], run.as_of)
        for zone, first, last in differences:
            context.log.warning(
                "the rules of time zone %s are others in DuckDB than in tzdata %s between %s and %s;"
                " days and hours are DuckDB's, so an update of it may be due",
                *(zone, version("tzdata"), f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"),
            )
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(usable),
                "tenants": dg.MetadataValue.json([tenant.tenant_id for tenant in usable]),
                "set_aside": dg.MetadataValue.json(faulty),
                "time_zones_that_differ": dg.MetadataValue.json([each.timezone for each in differences]),
            }
        )
