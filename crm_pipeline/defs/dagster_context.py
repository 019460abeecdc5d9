"""What Dagster says of a run: its tenants, its hour, its tags; and the run context of a step made from it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import groupby

import dagster as dg

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings, parse_time

AS_OF_TAG = "crm_pipeline/as_of"
ACCEPT_SHRINK_TAG = "crm_pipeline/believe"
RANGE_START_TAG, RANGE_END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"
TENANT_PARTITIONS = dg.DynamicPartitionsDefinition(name="tenants")


@contextmanager
def open_run_context(context: dg.AssetExecutionContext, lake: Lake, settings: Settings) -> Iterator[RunContext]:
    """The step of an asset, with a connection that ends with it."""
    with closing(lake.connect()) as con:
        accepted_shrinks = frozenset(context.run.tags.get(ACCEPT_SHRINK_TAG, "").split(","))
        yield RunContext(
            con,
            lake,
            find_run_as_of(context, settings),
            context.run.run_id,
            list_context_tenants(context),
            accepted_shrinks,
            settings.erasure_key,
        )


def list_context_tenants(context: dg.AssetExecutionContext) -> Sequence[str] | None:
    """The run's partition keys, in unpartitioned assets too; None where it has none or they are all there are."""
    if not context.has_partition_key_range and not context.has_partition_key:
        return None
    keys = list(context.partition_keys)
    every = context.instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name))
    return None if set(every) <= set(keys) else keys


def find_run_as_of(context: dg.AssetExecutionContext, settings: Settings) -> datetime:
    """The run's hour: the pinned one, else its tag (the schedule's tick), else when the run was made."""
    if settings.as_of:
        return settings.as_of
    if tagged := context.run.tags.get(AS_OF_TAG):
        return parse_time(AS_OF_TAG, tagged)
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None:
        raise dg.Failure(f"run {context.run.run_id} is not in Dagster's storage")
    created: datetime = record.create_timestamp
    return created.astimezone(UTC)


def build_range_tags(tenants: Sequence[str]) -> dict[str, str]:
    """Run tags that mean these partitions, which must be neighbours in the order they came."""
    return {RANGE_START_TAG: tenants[0], RANGE_END_TAG: tenants[-1]}


def group_neighbours(known: Sequence[str], wanted: Sequence[str]) -> Iterator[list[str]]:
    """The wanted tenants in groups that are neighbours among the known ones, since a run takes a range."""
    places = sorted(known.index(tenant) for tenant in set(wanted))
    for _, group in groupby(enumerate(places), key=lambda item: item[1] - item[0]):
        yield [known[place] for _, place in group]


def list_run_tenants(run: dg.DagsterRun, instance: dg.DagsterInstance) -> list[str] | None:
    """The partition keys of the run, None where they are all there are."""
    every = list(instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name)))
    if PARTITION_TAG in run.tags:
        return [run.tags[PARTITION_TAG]]
    if RANGE_START_TAG not in run.tags:
        return None
    first, last = every.index(run.tags[RANGE_START_TAG]), every.index(run.tags[RANGE_END_TAG])
    keys = every[first : last + 1]
    return None if keys == every else keys
