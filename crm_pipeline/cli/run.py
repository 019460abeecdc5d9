"""One refresh from the command line: the refresh job, run through Dagster in this process, and its outcome."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from crm_pipeline.definitions import build_defs
from crm_pipeline.defs.dagster_context import (
    ACCEPT_SHRINK_TAG,
    AS_OF_TAG,
    TENANT_PARTITIONS,
    build_range_tags,
    group_neighbours,
)
from crm_pipeline.defs.ingest.snapshots import FRESHNESS_CHECK
from crm_pipeline.defs.jobs.alerts import describe_run_failure, describe_step_failure
from crm_pipeline.defs.jobs.new_tenants import add_tenants, discover_tenants
from crm_pipeline.defs.publish.published_specs import build_published_specs
from crm_pipeline.domain.ingest.tenant_validation import format_unknown_tenants
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.settings import Settings, read_sample_end
from crm_pipeline.steps.publish.publish import PROFILES, TIMELINE
from crm_pipeline.tables.outputs import churn
from crm_pipeline.tables.sources import crm

REPOSITORY_TAG = {".dagster/repository": "__repository__@crm_pipeline.definitions"}
"""The UI lists runs with this tag among those of the code location."""

ROW_COUNTS = ("rows_added", "rows_changed", "rows_removed")
"""Metadata of a materialization that count the rows it changed."""


@dataclass
class RefreshOutcome:
    """The outcome of one refresh: failures to print, rows changed in the published tables, duration in seconds."""

    as_of: datetime
    failures: list[str] = field(default_factory=list)
    published_rows: int = 0
    seconds: float = 0.0


class UnknownTenantError(Exception):
    """A tenant was named that no service knows."""


def refresh_tenants(
    settings: Settings, tenants: Sequence[str], accepted_shrinks: Sequence[str], *, dry_run: bool
) -> RefreshOutcome:
    """Returns the outcome of refreshing these tenants, or all if none is named; a dry run publishes nothing.

    Settings are those of a `create_working_copy`. `accepted_shrinks` are tables, as SERVICE.Table, that may lose most
    of their rows.

    Raises:
        UnknownTenantError: A named tenant is unknown.
        SourceError: No tenant is known, because the services cannot be read.
    """
    started = time.monotonic()
    outcome = RefreshOutcome(as_of=settings.as_of or datetime.now(UTC))
    tags = {
        AS_OF_TAG: outcome.as_of.isoformat(),
        ACCEPT_SHRINK_TAG: ",".join(accepted_shrinks),
        **REPOSITORY_TAG,
    }
    with _open_dagster_instance(settings, dry_run=dry_run) as instance:
        known = _find_known_tenants(instance, settings)
        if unknown := set(tenants) - set(known):
            raise UnknownTenantError(format_unknown_tenants(unknown, known))
        job_name = "refresh_and_fit" if not (dry_run or tenants) and _needs_first_fit(settings) else "refresh"
        # If no club can be a partition, a run without any reports what is wrong with them.
        for partition_tags in [build_range_tags(keys) for keys in group_neighbours(known, tenants or known)] or [{}]:
            _execute_job(job_name, instance, settings, {**tags, **partition_tags}, outcome, dry_run=dry_run)
    outcome.failures = list(dict.fromkeys(outcome.failures))
    outcome.seconds = time.monotonic() - started
    return outcome


@contextmanager
def _open_dagster_instance(settings: Settings, *, dry_run: bool) -> Iterator[dg.DagsterInstance]:
    """Yields Dagster's instance; for a dry run an ephemeral one with the same partitions."""
    with open_instance(settings) as instance:
        if not dry_run:
            yield instance
            return
        with dg.DagsterInstance.ephemeral() as ephemeral_instance:
            name = str(TENANT_PARTITIONS.name)
            ephemeral_instance.add_dynamic_partitions(name, list(instance.get_dynamic_partitions(name)))
            yield ephemeral_instance


def _find_known_tenants(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    if settings.is_replay:
        return add_tenants(instance, _read_lake_tenants(open_lake(settings)))
    try:
        return discover_tenants(instance, Sources(settings.sources))
    except SourceError:
        # The run meets the same error and reports it.
        if not (known := list(instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name)))):
            raise
        return known


def _read_lake_tenants(lake: Lake) -> list[str]:
    with closing(lake.connect()) as con:
        view = lake.create_current_view(con, crm.tenant)
        rows = con.sql(f"select distinct tenant_id from {view} order by 1").fetchall()
    return [tenant for (tenant,) in rows]


def _needs_first_fit(settings: Settings) -> bool:
    """Whether the home is a demo whose churn models were never fitted."""
    return read_sample_end(settings.home) is not None and open_lake(settings).version(churn.churn_models) < 0


def _execute_job(
    job_name: str,
    instance: dg.DagsterInstance,
    settings: Settings,
    tags: dict[str, str],
    outcome: RefreshOutcome,
    *,
    dry_run: bool,
) -> None:
    job = build_defs(settings).resolve_job_def(job_name)
    unpublished = set(job.asset_layer.executable_asset_keys) - {spec.key for spec in build_published_specs()}
    result = job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        tags=tags,
        run_config={"loggers": {"console": {}}},
        asset_selection=list(unpublished) if dry_run else None,
    )
    for evaluation in result.get_asset_check_evaluations():
        if evaluation.check_name == FRESHNESS_CHECK and not evaluation.passed:
            outcome.failures.append(str(evaluation.metadata["reason"].value))
    for event in result.all_events:
        if event.is_step_failure:
            if event.step_failure_data.error_source.name == "INTERRUPT":
                raise KeyboardInterrupt
            outcome.failures.append(f"{event.step_key}: {describe_step_failure(event)}")
    if not result.success and not outcome.failures:
        reasons = [describe_run_failure(event) for event in result.all_events if event.is_run_failure]
        outcome.failures += reasons or ["the run failed before its first step; see its log in Dagster"]
    outcome.published_rows += _count_published_rows(instance, result.run_id)


def _count_published_rows(instance: dg.DagsterInstance, run_id: str) -> int:
    """Returns the changed rows as Dagster logged them, since a step that fails for one tenant returns no output."""
    rows = 0
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        materialization = entry.asset_materialization
        if materialization and materialization.asset_key.path[-1] in (PROFILES.name, TIMELINE.name):
            rows += sum(int(str(materialization.metadata[kind].value)) for kind in ROW_COUNTS)
    return rows
