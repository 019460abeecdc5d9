"""What Dagster says of a run: its tenants, its hour, its tags; and the run context of a step made from it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import groupby

import dagster as dg

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import Step
from crm_pipeline.settings import Settings, parse_time

AS_OF_TAG = "crm_pipeline/as_of"
BELIEVE_TAG = "crm_pipeline/believe"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"
TENANTS = dg.DynamicPartitionsDefinition(name="tenants")


@contextmanager
def step(context: dg.AssetExecutionContext, lake: Lake, settings: Settings) -> Iterator[Step]:
    """The step of an asset, with a connection that ends with it."""
    with closing(lake.connect()) as con:
        believed = frozenset(context.run.tags.get(BELIEVE_TAG, "").split(","))
        yield Step(
            con,
            lake,
            as_of_of(context, settings),
            context.run.run_id,
            tenants_of(context),
            believed,
            settings.erasure_key,
        )


def tenants_of(context: dg.AssetExecutionContext) -> Sequence[str] | None:
    """The run's partition keys, in unpartitioned assets too; None where it has none or they are all there are."""
    if not context.has_partition_key_range and not context.has_partition_key:
        return None
    keys = list(context.partition_keys)
    every = context.instance.get_dynamic_partitions(str(TENANTS.name))
    return None if set(every) <= set(keys) else keys


def as_of_of(context: dg.AssetExecutionContext, settings: Settings) -> datetime:
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


def range_tags(tenants: Sequence[str]) -> dict[str, str]:
    """Run tags that mean these partitions, which must be neighbours in the order they came."""
    return {RANGE_START: tenants[0], RANGE_END: tenants[-1]}


def neighbours(known: Sequence[str], wanted: Sequence[str]) -> Iterator[list[str]]:
    """The wanted tenants in groups that are neighbours among the known ones, since a run takes a range."""
    places = sorted(known.index(tenant) for tenant in set(wanted))
    for _, group in groupby(enumerate(places), key=lambda item: item[1] - item[0]):
        yield [known[place] for _, place in group]


def tenants_of_run(run: dg.DagsterRun, instance: dg.DagsterInstance) -> list[str] | None:
    """The partition keys of the run, None where they are all there are."""
    every = list(instance.get_dynamic_partitions(str(TENANTS.name)))
    if PARTITION in run.tags:
        return [run.tags[PARTITION]]
    if RANGE_START not in run.tags:
        return None
    first, last = every.index(run.tags[RANGE_START]), every.index(run.tags[RANGE_END])
    keys = every[first : last + 1]
    return None if keys == every else keys
