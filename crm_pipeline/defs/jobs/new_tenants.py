"""The refresh: one job over all but the weekly assets, the tenants it can be asked for, and how a run is told them."""

from collections.abc import Sequence

import dagster as dg
import duckdb

from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS
from crm_pipeline.domain.ingest.tenant_validation import is_usable_id
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service


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
    name = str(TENANT_PARTITIONS.name)
    known = instance.get_dynamic_partitions(name)
    if new := [tenant for tenant in found if tenant not in known and is_usable_id(tenant)]:
        instance.add_dynamic_partitions(name, new)
    return list(instance.get_dynamic_partitions(name))


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
