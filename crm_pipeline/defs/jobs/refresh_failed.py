"""The job that finds stale tenants, and the sensor that requests a refresh of them.

Stale are tenants whose last planned publication failed for any reason, which the UI shows in red, and tenants
published without a service that could not be read.
"""

import dagster as dg
from sqlalchemy import text

from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS, build_range_tags, group_neighbours, report_errors
from crm_pipeline.defs.jobs.asset_jobs import refresh
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles

STALE_TENANTS_KEY = "left_behind"
MISSING_SERVICE_QUERY = text(f"""
    select tenant_id from crm.publications group by tenant_id
    having min(as_of) filter (where table_name like '%.snapshot')
        < max(as_of) filter (where table_name = '{customer_profiles.name}')""")


@dg.op(name="find_left_behind", description="Find the tenants whose last refresh failed, or went without a service.")
@report_errors()
def find_stale_tenants(context: dg.OpExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> None:
    """Stores the stale tenants in the output's metadata, in ranges, for the sensor; logs their names."""
    known = list(context.instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name)))
    stale = (find_unpublished_tenants(context.instance) | find_tenants_missing_service(warehouse)) & set(known)
    context.log.info(f"to be refreshed: {', '.join(sorted(stale))}" if stale else "nothing failed")
    context.add_output_metadata(
        {STALE_TENANTS_KEY: dg.MetadataValue.json(list(group_neighbours(known, sorted(stale))))}
    )


@dg.job(
    description="Refresh the tenants whose last refresh failed or went without a service, if any.",
    tags={"cadence": "by_hand"},
)
def refresh_failed() -> None:
    """A job of one op; the sensor of the same name requests the runs."""
    find_stale_tenants()


@dg.run_status_sensor(
    name="refresh_failed",
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[refresh_failed],
    request_job=refresh,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests a refresh of the tenants that job refresh_failed found, one run per range of neighbours.",
)
def request_stale_refreshes(context: dg.RunStatusSensorContext) -> list[dg.RunRequest] | dg.SkipReason:
    """Returns one run request per range of stale tenants, or a skip reason where there are none."""
    run_id = context.dagster_run.run_id
    (output,) = context.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
    ranges = output.get_dagster_event().step_output_data.metadata[STALE_TENANTS_KEY].value
    if not isinstance(ranges, list) or not ranges:
        return dg.SkipReason("nothing failed")
    return [dg.RunRequest(run_key=f"{run_id} {keys[0]}", tags=build_range_tags(keys)) for keys in ranges]


def find_unpublished_tenants(instance: dg.DagsterInstance) -> set[str]:
    """Returns the tenants whose last run, by schedule, by hand or from a terminal, ended without publishing them."""
    key = dg.AssetKey(customer_profiles.name)
    attempts = instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations
    last_runs = {tenant: run_id for tenant, (run_id, _) in attempts(key).items()}
    dagster_runs = instance.get_runs(dg.RunsFilter(run_ids=list(set(last_runs.values())))) if last_runs else []
    finished = {dagster_run.run_id for dagster_run in dagster_runs if dagster_run.is_finished}
    return {tenant for tenant, run_id in last_runs.items() if run_id in finished}


def find_tenants_missing_service(warehouse: Warehouse) -> set[str]:
    """Returns the tenants published as of an hour at which one of their services was not read.

    Reads: crm.publications.
    """
    with warehouse.engine().connect() as connection:
        return set(connection.execute(MISSING_SERVICE_QUERY).scalars())
