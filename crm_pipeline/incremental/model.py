"""Incremental models: what each reads and writes, how a batch is built, and how `materialize` refreshes it.

A refresh is planned, and built batch by batch; where a batch fails, tenant by tenant. A tenant whose own batch fails is
named, keeps what was stored of it before, and is left out by every model downstream until a refresh of the failed one
succeeds. Whatever fails for every tenant is no tenant's fault, and raised.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Table

from crm_pipeline.incremental.failures import find_failing_tenants, load_failures, store_failures
from crm_pipeline.incremental.refresh_costs import store_refresh_cost
from crm_pipeline.incremental.watermarks import RefreshPlan, plan_refresh
from crm_pipeline.resources.lake.lake import ChangeCounts, open_session
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.projections import to_lake_name

Summary = TypeVar("Summary")


class BatchResult(NamedTuple, Generic[Summary]):
    """The result of one tenant batch: changed rows per table, and a summary for Dagster."""

    changes: dict[str, ChangeCounts]
    summary: Summary


def restore_nothing(_run: RunContext, _tenants: Sequence[str]) -> list[str]:
    """Returns no tenant: a model whose commits count one by one has nothing to restore."""
    return []


@dataclass(frozen=True)
class IncrementalModel(Generic[Summary]):
    """A model as `materialize` refreshes it.

    Attributes:
        name: the asset that materializes it; watermarks and failures are stored under this name.
        upstream: the assets whose failure for a tenant stops this model for that tenant.
        reads: the tables whose changes affect its rows.
        rebuild_on: the tables whose changes are a full refresh of the tenant.
        writes: the tables that are stored batch by batch, with one version for all batches. Without any all
            tenants are one batch.
        build_all: builds and stores all rows of a batch. Reads: `tenants` and `known_tenants`, see
            `RunContext.load_tenants`.
        build_affected: builds and stores the rows affected since the watermarks of a batch's tenants. It also reads
            `watermarks`, see `plan_refresh`. None: every refresh is full.
        restore: takes back what a run that ended half-way has stored of these tenants; returns those it had left.
    """

    name: str
    upstream: tuple[str, ...]
    reads: tuple[Table, ...]
    rebuild_on: tuple[Table, ...]
    writes: tuple[Table, ...]
    build_all: Callable[[RunContext], BatchResult[Summary]]
    build_affected: Callable[[RunContext], BatchResult[Summary]] | None = None
    restore: Callable[[RunContext, Sequence[str]], list[str]] = restore_nothing


@dataclass(frozen=True)
class Materialization(Generic[Summary]):
    """The outcome of a refresh.

    Attributes:
        tenants: the run's usable tenants.
        built_tenants: those of them that have been built; without those that failed here or upstream.
        batches: the result of each batch.
        failures: the reason per tenant that failed here.
        restored_tenants: the tenants of which something was taken back.
    """

    tenants: list[str]
    built_tenants: list[str]
    batches: list[BatchResult[Summary]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    restored_tenants: list[str] = field(default_factory=list)


def materialize(model: IncrementalModel[Summary], run: RunContext) -> Materialization[Summary]:
    """Brings the model's tables up to date for the run's usable tenants, but for those that failed upstream.

    Raises: the error of the model, where every tenant fails.
    """
    tenants = run.load_tenant_ids()
    upstream_failures = load_failures(run, tenants, model.upstream)
    started = [tenant for tenant in tenants if tenant not in upstream_failures]
    batches: list[BatchResult[Summary]] = []
    restored_tenants = model.restore(run, started)

    def build(some: Sequence[str]) -> None:
        try:
            # A session of its own, since a batch that fails leaves relations behind.
            with closing(open_session(run.con)) as con:
                _build_batches(model, replace(run, con=con, tenants=some), batches)
        except Exception:
            model.restore(run, some)
            raise

    failures: dict[str, str] = {}
    try:
        if started:
            build(started)
    except Exception as error:  # noqa: BLE001  raised or named by find_failing_tenants
        failures = find_failing_tenants(build, started, error)
    store_failures(run, model.name, tenants, failures)
    built = [tenant for tenant in started if tenant not in failures]
    return Materialization(tenants, built, batches, failures, restored_tenants)


def _build_batches(model: IncrementalModel[Summary], run: RunContext, batches: list[BatchResult[Summary]]) -> None:
    """Builds all batches of the run's tenants, and stores the watermarks of those that are built."""
    tenants = run.load_tenant_ids()
    if model.build_affected is None:
        for batch in run.tenant_batches(tenants, *model.writes):
            _load_batch_tenants(batch, tenants)
            batches.append(model.build_all(batch))
        return
    plan = plan_refresh(run, model.name, model.reads, tenants, full_refresh_triggers=model.rebuild_on)
    full_batches = run.tenant_batches(plan.full_refresh_tenants, *model.writes)
    affected_tenants = plan.incremental_tenants
    affected_batches = [replace(run, tenants=affected_tenants, only_required=True)] if affected_tenants else []
    built: list[str] = []
    try:
        for batch in chain(full_batches, affected_batches):
            _load_batch_tenants(batch, tenants)
            batches.append(_build_batch(model, batch, plan))
            built += batch.tenants or ()
    finally:
        # What it wrote itself, and reads in the next hour, it knows.
        plan.versions.update({to_lake_name(t): run.lake.version(t) for t in model.writes if t in model.reads})
        plan.store_watermarks(run, built)


def _build_batch(model: IncrementalModel[Summary], batch: RunContext, plan: RefreshPlan) -> BatchResult[Summary]:
    """Returns the result of one batch, and stores what it took."""
    build = (batch.only_required and model.build_affected) or model.build_all
    began = time.monotonic()
    result = build(batch)
    source_rows, changed_rows = plan.count_rows(batch.tenants or ())
    computed_rows = changed_rows if batch.only_required else source_rows
    store_refresh_cost(batch, model.name, source_rows, computed_rows, time.monotonic() - began)
    return result


def _load_batch_tenants(batch: RunContext, loaded_tenants: Sequence[str]) -> None:
    """Loads the batch's tenants, unless they are those that are loaded: of most hours the one batch is all tenants."""
    if len(batch.tenants or ()) != len(loaded_tenants):
        batch.load_tenants()
