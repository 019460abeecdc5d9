"""A run's tenants, hour and tags in Dagster, and the run context of a step built from them."""

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any

import dagster as dg
from adbc_driver_manager import dbapi

from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.faults import describe_error
from crm_pipeline.incremental.failures import INTERRUPTED
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings, parse_hour

AS_OF_TAG = "crm_pipeline/as_of"
ACCEPT_SHRINK_TAG = "crm_pipeline/believe"
RANGE_START_TAG, RANGE_END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"
ADBC_CALL = "_blocking_call"
"""Name of the function by which ADBC makes every call, and takes SIGINT; it has no setting for that."""
TENANT_PARTITIONS = dg.DynamicPartitionsDefinition(name="tenants")


@contextmanager
def report_errors() -> Iterator[None]:
    """Turns an error of the body into a Failure of one line, since Dagster stores and shows all that an error says.

    The calls that led to it are the Failure's metadata.
    """
    try:
        yield
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except Exception as error:  # noqa: BLE001  none of them passes as it is
        calls = "".join(traceback.format_tb(error.__traceback__))
        raise dg.Failure(describe_error(error), metadata={"calls": dg.MetadataValue.text(calls)}) from None


@contextmanager
def open_run_context(context: dg.AssetExecutionContext, lake: Lake, settings: Settings) -> Iterator[RunContext]:
    """Yields the run context of an asset's step; its connection is closed at the end.

    Raises: Failure for every error of the step; KeyboardInterrupt where Ctrl-C, or a cancellation by Dagster, reaches
    the step during a query.
    """
    with report_errors(), _raise_interrupts(), closing(lake.connect()) as con:
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


def report_failures(context: dg.AssetExecutionContext, failures: Mapping[str, str]) -> None:
    """Logs the tenants for which a step failed, each with its reason; they are not published, and end the run so."""
    for tenant, reason in failures.items():
        context.log.error("%s: %s; what was published of it stays", escape_invisible_characters(tenant), reason)


@contextmanager
def _raise_interrupts() -> Iterator[None]:
    """Raises KeyboardInterrupt for an interrupt during the body that a library reports as the failure of a query.

    The query of one tenant or service would fail, and the run go on.
    """
    make_call = getattr(dbapi, ADBC_CALL)
    with ThreadPoolExecutor(1) as pool:
        setattr(dbapi, ADBC_CALL, partial(_call_interruptibly, pool))
        try:
            yield
        except RuntimeError as error:
            if INTERRUPTED in str(error):
                raise KeyboardInterrupt from None
            raise
        finally:
            setattr(dbapi, ADBC_CALL, make_call)


def _call_interruptibly(
    pool: Executor,
    call: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, Any],
    cancel: Callable[[], None],
) -> Any:  # noqa: ANN401  what ADBC returns
    """Returns the result of an ADBC call; an interrupt is raised as soon as the call is cancelled.

    In the main thread ADBC takes SIGINT itself and nobody else hears of it, so the call is made in another one.
    """
    if threading.current_thread() is not threading.main_thread():
        return call(*arguments, **options)
    result = pool.submit(call, *arguments, **options)
    try:
        return result.result()
    finally:
        while not result.done():
            cancel()
            wait([result], timeout=0.1)


def list_context_tenants(context: dg.AssetExecutionContext) -> Sequence[str] | None:
    """Returns the run's partition keys, in unpartitioned assets too; None for no keys or for all tenants."""
    if not context.has_partition_key_range and not context.has_partition_key:
        return None
    keys = list(context.partition_keys)
    all_tenants = context.instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name))
    return None if set(all_tenants) <= set(keys) else keys


def find_run_as_of(context: dg.AssetExecutionContext, settings: Settings) -> datetime:
    """Returns the run's hour: the pinned one, else its tag (the schedule's tick), else when the run was created.

    Raises: Failure where Dagster does not know the run; SettingError where the tag is no hour that a run may have.
    """
    if settings.as_of:
        return settings.as_of
    if tag := context.run.tags.get(AS_OF_TAG):
        return parse_hour(AS_OF_TAG, tag)
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None:
        raise dg.Failure(f"run {context.run.run_id} is not in Dagster's storage")
    created: datetime = record.create_timestamp
    return created.astimezone(UTC)


def build_range_tags(tenants: Sequence[str]) -> dict[str, str]:
    """Returns the run tags of these partitions, which must be neighbours in the order they were added."""
    return {RANGE_START_TAG: tenants[0], RANGE_END_TAG: tenants[-1]}


def group_neighbours(known: Sequence[str], wanted: Sequence[str]) -> Iterator[list[str]]:
    """Yields the wanted tenants in groups of neighbours among the known ones, since a run takes a range."""
    places = sorted(known.index(tenant) for tenant in set(wanted))
    for _, group in groupby(enumerate(places), key=lambda item: item[1] - item[0]):
        yield [known[place] for _, place in group]


def list_run_tenants(dagster_run: dg.DagsterRun, instance: dg.DagsterInstance) -> list[str] | None:
    """Returns the partition keys of the run, None for all tenants."""
    all_tenants = list(instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name)))
    tags = dagster_run.tags
    if PARTITION_TAG in tags:
        return [tags[PARTITION_TAG]]
    if RANGE_START_TAG not in tags:
        return None
    first, last = all_tenants.index(tags[RANGE_START_TAG]), all_tenants.index(tags[RANGE_END_TAG])
    keys = all_tenants[first : last + 1]
    return None if keys == all_tenants else keys
