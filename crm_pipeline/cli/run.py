"""One refresh from the command line: the refresh job run through Dagster in this process, and what came of it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from crm_pipeline.definitions import build_defs
from crm_pipeline.defs.dagster_context import AS_OF_TAG, BELIEVE_TAG, TENANTS, neighbours, range_tags
from crm_pipeline.defs.ingest.snapshots import FRESH
from crm_pipeline.defs.jobs.alerts import chosen_words, first_cause
from crm_pipeline.defs.jobs.new_tenants import add_tenants, discover_tenants
from crm_pipeline.domain.ingest.tenant_validation import no_such_tenant
from crm_pipeline.resources.connections import lake_of
from crm_pipeline.resources.dagster_storage.instance import open_instance, process_tag
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.settings import Settings
from crm_pipeline.steps.publish.publish import PROFILES, TIMELINE
from crm_pipeline.tables.sources import crm

REPOSITORY_TAG = {".dagster/repository": "__repository__@crm_pipeline.definitions"}
"""Lets the UI count a run made here among the code location's own."""


@dataclass
class Outcome:
    """What one refresh did: the faults to name, rows changed in the published tables, seconds."""

    as_of: datetime
    faults: list[str] = field(default_factory=list)
    published_rows: int = 0
    seconds: float = 0.0


class UnknownTenantError(Exception):
    """A tenant nobody knows."""


def refresh_once(settings: Settings, tenants: Sequence[str], believe: Sequence[str], *, dry_run: bool) -> Outcome:
    """Refresh these tenants, or all if none is named, on the lake of a `working_copy`. A dry run publishes nothing."""
    started = time.monotonic()
    outcome = Outcome(as_of=settings.as_of or datetime.now(UTC))
    tags = {AS_OF_TAG: outcome.as_of.isoformat(), BELIEVE_TAG: ",".join(believe), **process_tag(), **REPOSITORY_TAG}
    with _instance_of(settings, dry_run=dry_run) as instance:
        known = _known_tenants(instance, settings)
        if unknown := set(tenants) - set(known):
            raise UnknownTenantError(no_such_tenant(unknown, known))
        # Where no club can be a partition, a run without any says what is wrong with them.
        for asked in [range_tags(keys) for keys in neighbours(known, tenants or known)] or [{}]:
            _execute(instance, settings, {**tags, **asked}, outcome, dry_run=dry_run)
    outcome.faults = list(dict.fromkeys(outcome.faults))
    outcome.seconds = time.monotonic() - started
    return outcome


@contextmanager
def _instance_of(settings: Settings, *, dry_run: bool) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance; for a dry run one that forgets."""
    with open_instance(settings) as instance:
        if not dry_run:
            yield instance
            return
        with dg.DagsterInstance.ephemeral() as passing:
            name = str(TENANTS.name)
            passing.add_dynamic_partitions(name, list(instance.get_dynamic_partitions(name)))
            yield passing


def _known_tenants(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    if settings.is_replay:
        return add_tenants(instance, _tenants_in(lake_of(settings)))
    try:
        return discover_tenants(instance, Sources(settings.sources))
    except SourceError:
        # The run will meet the same fault and name it.
        if not (known := list(instance.get_dynamic_partitions(str(TENANTS.name)))):
            raise
        return known


def _tenants_in(lake: Lake) -> list[str]:
    with closing(lake.connect()) as con:
        found = con.sql(f"select distinct tenant_id from {lake.current(con, crm.tenant)} order by 1").fetchall()
    return [tenant for (tenant,) in found]


def _execute(
    instance: dg.DagsterInstance, settings: Settings, tags: dict[str, str], outcome: Outcome, *, dry_run: bool
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
        if evaluation.check_name == FRESH and not evaluation.passed:
            outcome.faults.append(str(evaluation.metadata["reason"].value))
    for event in result.all_events:
        if event.is_step_failure:
            if _is_interrupt(event.step_failure_data):
                raise KeyboardInterrupt
            outcome.faults.append(f"{event.step_key}: {_said_by(event.step_failure_data)}")
    if not result.success and not outcome.faults:
        outcome.faults.append("the run failed before its first step; see its log in Dagster")
    outcome.published_rows += _published_rows(instance, result.run_id)


def _published_rows(instance: dg.DagsterInstance, run_id: str) -> int:
    """What Dagster keeps, since a step that failed for one tenant hands nothing back of the others."""
    rows = 0
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = entry.asset_materialization
        if made and made.asset_key.path[-1] in (PROFILES.name, TIMELINE.name):
            rows += sum(int(str(made.metadata[kind].value)) for kind in ("rows_added", "rows_changed", "rows_removed"))
    return rows


def _is_interrupt(failure: StepFailureData) -> bool:
    """Whether Ctrl-C ended the step, which Dagster counts among its failures."""
    error = first_cause(failure.error)
    # DuckDB has words of its own for a Ctrl-C that meets it in a query.
    return error is not None and (
        error.cls_name == dg.DagsterExecutionInterruptedError.__name__ or "Query interrupted" in error.message
    )


def _said_by(failure: StepFailureData) -> str:
    """What a failed step has to say: its own words where it chose them, else the error it met."""
    if words := chosen_words(failure):
        return words
    error = first_cause(failure.error)
    return error.message.strip().splitlines()[0] if error else "failed"
