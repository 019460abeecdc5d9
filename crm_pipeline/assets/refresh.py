"""The refresh: one job over all but the weekly assets, the tenants it can be asked for, and how a run is told them."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import dagster as dg
import duckdb

from crm_pipeline.assets.churn import GROUP
from crm_pipeline.assets.metadata import HOURLY
from crm_pipeline.assets.step import TENANTS
from crm_pipeline.assets.wiring import RANGE_END, RANGE_START
from crm_pipeline.domain.ingest.tenant_validation import is_usable_id
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

refresh = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(GROUP),
    description="Read the services, resolve identities, score, check and publish.",
    tags=HOURLY.tags,
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


def neighbours(known: Sequence[str], wanted: Sequence[str]) -> Iterator[list[str]]:
    """The wanted tenants in groups that are neighbours among the known ones, since a run takes a range."""
    places = sorted(known.index(tenant) for tenant in set(wanted))
    for _, group in groupby(enumerate(places), key=lambda item: item[1] - item[0]):
        yield [known[place] for _, place in group]


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
