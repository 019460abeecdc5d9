"""Asset `tenants`: the clubs of a run, and those quarantined because their own row is invalid."""

from collections.abc import Mapping, Sequence, Set
from importlib.metadata import version

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context
from crm_pipeline.defs.metadata import HOURLY, build_asset_options, build_rows_table
from crm_pipeline.domain.ingest.tenant_validation import Tenant, escape_invisible_characters
from crm_pipeline.domain.ingest.time_zones import find_zone_differences
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.validate import quarantine_tenants
from crm_pipeline.tables.sources import crm

MAX_SHOWN_TENANTS = 100


@dg.asset(
    group_name="snapshots",
    kinds={"deltalake"},
    **build_asset_options(HOURLY, crm.tenant),
    deps=["crm_snapshot"],
    description="The clubs a run works on. One whose own row is invalid is quarantined and keeps its last tables.",
)
def tenants(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Returns the valid tenants, and quarantines those whose own row is invalid.

    Reads: the CRM's Tenant table in the lake.
    Raises: Failure where none of the run's clubs has a row in it.
    """
    with open_run_context(context, lake, settings) as run:
        usable, faulty = run.load_tenants()
        known = {tenant for (tenant,) in run.con.sql("from known_tenants").fetchall()}
        if not known.intersection(known if run.tenants is None else run.tenants):
            raise dg.Failure(_describe_absence(run, known), allow_retries=False)
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
                "tenants": build_rows_table(_list_tenant_rows(usable, faulty)),
                "time_zones_that_differ": ", ".join(each.timezone for each in differences) or "none",
                "dagster/row_count": len(usable),
                "quarantined_tenants": len(faulty),
            }
        )


def _describe_absence(run: RunContext, known: Set[str]) -> str:
    if not known:
        return "no tenant is known: the CRM's Tenant table has not been read yet"
    names = ", ".join(escape_invisible_characters(tenant) for tenant in run.tenants or ())
    return f"the CRM has no Tenant row any more of {names}"


def _list_tenant_rows(usable: Sequence[Tenant], faulty: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Returns the first MAX_SHOWN_TENANTS tenants, faulty ones before all others."""
    rows = [
        {"tenant": escape_invisible_characters(tenant), "what_is_wrong": ", ".join(faults)}
        for tenant, faults in sorted(faulty.items())
    ]
    rows += [
        {"tenant": tenant.tenant_id, "status": tenant.status, "currency": tenant.currency, "timezone": tenant.timezone}
        for tenant in usable
    ]
    return rows[:MAX_SHOWN_TENANTS]
