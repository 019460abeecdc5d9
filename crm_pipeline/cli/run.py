"""One refresh from the command line: the refresh job run through Dagster in this process, and what came of it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from crm_pipeline.definitions import build_defs
from crm_pipeline.defs.dagster_context import (
    ACCEPT_SHRINK_TAG,
    AS_OF_TAG,
    TENANT_PARTITIONS,
    build_range_tags,
    group_neighbours,
)
from crm_pipeline.defs.ingest.snapshots import FRESHNESS_CHECK
from crm_pipeline.defs.jobs.alerts import find_failure_description, find_first_cause
from crm_pipeline.defs.jobs.new_tenants import add_tenants, discover_tenants
from crm_pipeline.domain.ingest.tenant_validation import format_unknown_tenants
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.dagster_storage.instance import build_process_tag, open_instance
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.settings import Settings
from crm_pipeline.steps.publish.publish import PROFILES, TIMELINE
from crm_pipeline.tables.sources import crm

REPOSITORY_TAG = {".dagster/repository": "__repository__@crm_pipeline.definitions"}
"""Lets the UI count a run made here among the code location's own."""


@dataclass
class RefreshOutcome:
    """What one refresh did: the faults to name, rows changed in the published tables, seconds."""

    as_of: datetime
    faults: list[str] = field(default_factory=list)
    published_rows: int = 0
    seconds: float = 0.0


class UnknownTenantError(Exception):
    """A tenant nobody knows."""


def refresh_tenants(
    settings: Settings, tenants: Sequence[str], believe: Sequence[str], *, dry_run: bool
) -> RefreshOutcome:
    """Refresh these tenants, or all if none is named, on the lake of a `working_copy`. A dry run publishes nothing."""
    started = time.monotonic()
    outcome = RefreshOutcome(as_of=settings.as_of or datetime.now(UTC))
    tags = {
        AS_OF_TAG: outcome.as_of.isoformat(),
        ACCEPT_SHRINK_TAG: ",".join(believe),
        **build_process_tag(),
        **REPOSITORY_TAG,
    }
    with _open_dagster_instance(settings, dry_run=dry_run) as instance:
        known = _find_known_tenants(instance, settings)
        if unknown := set(tenants) - set(known):
            raise UnknownTenantError(format_unknown_tenants(unknown, known))
        # Where no club can be a partition, a run without any says what is wrong with them.
        for asked in [build_range_tags(keys) for keys in group_neighbours(known, tenants or known)] or [{}]:
            _execute_refresh_job(instance, settings, {**tags, **asked}, outcome, dry_run=dry_run)
    outcome.faults = list(dict.fromkeys(outcome.faults))
    outcome.seconds = time.monotonic() - started
    return outcome


@contextmanager
def _open_dagster_instance(settings: Settings, *, dry_run: bool) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance; for a dry run one that forgets."""
    with open_instance(settings) as instance:
        if not dry_run:
            yield instance
            return
        with dg.DagsterInstance.ephemeral() as passing:
            name = str(TENANT_PARTITIONS.name)
            passing.add_dynamic_partitions(name, list(instance.get_dynamic_partitions(name)))
            yield passing


def _find_known_tenants(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    if settings.is_replay:
        return add_tenants(instance, _read_lake_tenants(open_lake(settings)))
    try:
        return discover_tenants(instance, Sources(settings.sources))
    except SourceError:
        # The run will meet the same fault and name it.
        if not (known := list(instance.get_dynamic_partitions(str(TENANT_PARTITIONS.name)))):
            raise
        return known


def _read_lake_tenants(lake: Lake) -> list[str]:
    with closing(lake.connect()) as con:
        found = con.sql(f"select distinct tenant_id from {lake.current(con, crm.tenant)} order by 1").fetchall()
    return [tenant for (tenant,) in found]


def _execute_refresh_job(
    instance: dg.DagsterInstance, settings: Settings, tags: dict[str, str], outcome: RefreshOutcome, *, dry_run: bool
) -> None:
    job = build_defs(settings).resolve_job_def("refresh")
    unpublished = [
        key for key in job.asset_layer.executable_asset_keys if key.path[-1] not in (PROFILES.name, TIMELINE.name)
    ]
    result = job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        tags=tags,
        run_config={"loggers": {"console": {}}},
        asset_selection=unpublished if dry_run else None,
    )
    for evaluation in result.get_asset_check_evaluations():
        if evaluation.check_name == FRESHNESS_CHECK and not evaluation.passed:
            outcome.faults.append(str(evaluation.metadata["reason"].value))
    for event in result.all_events:
        if event.is_step_failure:
            if _is_interrupt(event.step_failure_data):
                raise KeyboardInterrupt
            outcome.faults.append(f"{event.step_key}: {_format_failure(event.step_failure_data)}")
    if not result.success and not outcome.faults:
        outcome.faults.append("the run failed before its first step; see its log in Dagster")
    outcome.published_rows += _count_published_rows(instance, result.run_id)


def _count_published_rows(instance: dg.DagsterInstance, run_id: str) -> int:
    """What Dagster keeps, since a step that failed for one tenant hands nothing back of the others."""
    rows = 0
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = entry.asset_materialization
        if made and made.asset_key.path[-1] in (PROFILES.name, TIMELINE.name):
            rows += sum(int(str(made.metadata[kind].value)) for kind in ("rows_added", "rows_changed", "rows_removed"))
    return rows


def _is_interrupt(failure: StepFailureData) -> bool:
    """Whether Ctrl-C ended the step, which Dagster counts among its failures."""
    error = find_first_cause(failure.error)
    # DuckDB has words of its own for a Ctrl-C that meets it in a query.
    return error is not None and (
        error.cls_name == dg.DagsterExecutionInterruptedError.__name__ or "Query interrupted" in error.message
    )


def _format_failure(failure: StepFailureData) -> str:
    """What a failed step has to say: its own words where it chose them, else the error it met."""
    if words := find_failure_description(failure):
        return words
    error = find_first_cause(failure.error)
    return error.message.strip().splitlines()[0] if error else "failed"
