"""The tenants as partitions in Dagster, and the sensor that adds new ones."""

from collections.abc import Sequence
from contextlib import closing
from tempfile import TemporaryDirectory

import dagster as dg
import duckdb

from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS, report_errors
from crm_pipeline.domain.ingest.tenant_validation import is_usable_id
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service


def discover_tenants(instance: dg.DagsterInstance, sources: Sources) -> list[str]:
    """Returns all partition keys in the order they were added, after adding every tenant of the CRM.

    Reads: the CRM's Tenant table at the source.
    Raises: SourceError where the CRM cannot be read.
    """
    with TemporaryDirectory() as folder, closing(duckdb.connect()) as con:
        # Reading makes files beside the spill, which is in the working directory by default; that can be read-only.
        con.execute("set temp_directory = $spill", {"spill": f"{folder}/spill"})
        relation = sources.read_snapshot(con, Service.CRM, only_table=crm.tenant).tables[crm.tenant.name].relation
        query = f"""select distinct cast("id" as varchar) from {relation} where "id" is not null order by 1"""
        rows = con.sql(query).fetchall()
    return add_tenants(instance, [tenant for (tenant,) in rows if tenant])


def add_tenants(instance: dg.DagsterInstance, tenants: Sequence[str]) -> list[str]:
    """Returns all partition keys in the order they were added, after adding those of the tenants with a usable id."""
    name = str(TENANT_PARTITIONS.name)
    known = instance.get_dynamic_partitions(name)
    if new := [tenant for tenant in tenants if tenant not in known and is_usable_id(tenant)]:
        instance.add_dynamic_partitions(name, new)
    return list(instance.get_dynamic_partitions(name))


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes every new tenant of the CRM a partition, so that the next refresh includes it.",
)
@report_errors()
def new_tenants(context: dg.SensorEvaluationContext, sources: dg.ResourceParam[Sources]) -> dg.SkipReason:
    """Returns a skip reason with the number of tenants, after adding those that are new in the CRM."""
    try:
        tenants = discover_tenants(context.instance, sources)
    except SourceError as error:
        return dg.SkipReason(f"tenants cannot be read: {error}")
    return dg.SkipReason(f"{len(tenants)} tenants are known")
