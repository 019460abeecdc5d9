"""The hourly refresh: one job over all but the weekly assets, one run for all tenants; the sensor for new tenants."""

from collections.abc import Sequence

import dagster as dg
import duckdb

from crm_pipeline.assets.churn import GROUP
from crm_pipeline.assets.step import AS_OF_TAG, TENANTS
from crm_pipeline.assets.wiring import RANGE_END, RANGE_START
from crm_pipeline.domain.tenants import is_usable_id
from crm_pipeline.resources.sources import SourceError, Sources
from crm_pipeline.tables import crm
from crm_pipeline.vocabulary import Service

refresh = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(GROUP),
    description="Read the services, resolve identities, score, check and publish.",
)


def discover_tenants(instance: dg.DagsterInstance, sources: Sources) -> list[str]:
    """Make every tenant the CRM knows a partition; return all partition keys in the order they came.

    Raises SourceError where the CRM cannot be read.
    """
    con = duckdb.connect()
    relation = sources.snapshot(con, Service.CRM, only=crm.tenant).tables[crm.tenant.name].rows
    rows = con.sql(f"""select distinct cast("id" as varchar) as id from {relation} where "id" is not null order by 1""")
    found = [row[0] for row in rows.fetchall() if row[0]]
    con.close()
    return add_tenants(instance, found)


def add_tenants(instance: dg.DagsterInstance, found: Sequence[str]) -> list[str]:
    """Make those of these ids partitions that can be one; return all partition keys in the order they came."""
    name = str(TENANTS.name)
    known = instance.get_dynamic_partitions(name)
    if new := [tenant for tenant in found if tenant not in known and is_usable_id(tenant)]:
        instance.add_dynamic_partitions(name, new)
    return list(instance.get_dynamic_partitions(name))


def range_tags(tenants: Sequence[str]) -> dict[str, str]:
    """Run tags that mean these partitions, which must be neighbours in the order they came."""
    return {RANGE_START: tenants[0], RANGE_END: tenants[-1]}


@dg.schedule(
    job=refresh,
    cron_schedule="0 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, one run for all tenants, as of the tick.",
)
def hourly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run over every tenant known so far."""
    tenants = list(context.instance.get_dynamic_partitions(str(TENANTS.name)))
    if not tenants:
        return dg.SkipReason("no tenant is known yet")
    as_of = context.scheduled_execution_time.isoformat()
    if later := _hour_beyond(context.instance, as_of):
        return dg.SkipReason(f"a refresh as of {later} has been made already, and live tables are never rewound")
    return dg.RunRequest(run_key=as_of, tags={**range_tags(tenants), AS_OF_TAG: as_of})


def _hour_beyond(instance: dg.DagsterInstance, as_of: str) -> str | None:
    """The hour of the last refresh, where it came after this one: a tick can be late, and somebody quicker by hand."""
    done = dg.RunsFilter(job_name=refresh.name, statuses=[dg.DagsterRunStatus.SUCCESS])
    hours = [run.tags.get(AS_OF_TAG, "") for run in instance.get_runs(done, limit=1)]
    return next((hour for hour in hours if hour > as_of), None)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes every new tenant of the CRM a partition, so that the next refresh includes it.",
)
def new_tenants(context: dg.SensorEvaluationContext, sources: dg.ResourceParam[Sources]) -> dg.SkipReason:
    """Look at the CRM's Tenant table."""
    try:
        tenants = discover_tenants(context.instance, sources)
    except SourceError as error:
        return dg.SkipReason(f"tenants cannot be read: {error}")
    return dg.SkipReason(f"{len(tenants)} tenants are known")
