"""One refresh of an incremental model: planned, built batch by batch, and tenant by tenant where a batch fails.

A tenant whose own batch fails is named, keeps what was stored of it before, and is left out by every model downstream
until a refresh of the failed one succeeds. Whatever fails for every tenant is no tenant's fault, and raised.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Generic

from crm_pipeline.incremental.failures import describe_errors, find_failing_tenants, load_failures, store_failures
from crm_pipeline.incremental.model import BatchResult, IncrementalModel, Summary
from crm_pipeline.incremental.refresh_costs import store_refresh_cost
from crm_pipeline.incremental.watermarks import RefreshPlan, plan_refresh
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.projections import to_lake_name


@dataclass(frozen=True)
class Materialization(Generic[Summary]):
    """The outcome of a refresh: results per batch, reasons per failed tenant, and the tenants that were restored."""

    batches: list[BatchResult[Summary]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    restored_tenants: list[str] = field(default_factory=list)


def materialize(model: IncrementalModel[Summary], run: RunContext, tenants: Sequence[str]) -> Materialization[Summary]:
    """Brings the model's tables up to date for these tenants, but for those that failed upstream.

    Raises: the error of the model, where every tenant fails.
    """
    upstream_failures = load_failures(run, tenants, model.upstream)
    built = [tenant for tenant in tenants if tenant not in upstream_failures]
    batches: list[BatchResult[Summary]] = []
    restored_tenants = model.restore(run, built)

    def build(some: Sequence[str]) -> None:
        try:
            # A connection of its own, since a batch that fails leaves relations behind.
            with closing(run.lake.connect()) as con:
                _build_batches(model, replace(run, con=con, tenants=some), batches)
        except Exception:
            model.restore(run, some)
            raise

    failures: dict[str, str] = {}
    try:
        if built:
            build(built)
    except Exception as error:  # noqa: BLE001  raised or named by find_failing_tenants
        failures = describe_errors(find_failing_tenants(build, built, error))
    store_failures(run, model.name, tenants, failures)
    return Materialization(batches, failures, restored_tenants)


def _build_batches(model: IncrementalModel[Summary], run: RunContext, batches: list[BatchResult[Summary]]) -> None:
    """Builds all batches of the run's tenants, and stores the watermarks of those that are built."""
    tenants = [tenant.tenant_id for tenant in run.load_tenants()[0]]
    plan = plan_refresh(run, model.name, model.reads, tenants, full_refresh_triggers=model.rebuild_on)
    affected_tenants = plan.incremental_tenants if model.build_affected else []
    full_batches = run.tenant_batches([tenant for tenant in tenants if tenant not in affected_tenants], *model.writes)
    affected_batches = [replace(run, tenants=affected_tenants, only_required=True)] if affected_tenants else []
    built: list[str] = []
    try:
        for batch in chain(full_batches, affected_batches):
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
    batch.load_tenants()
    result = build(batch)
    source_rows, changed_rows = plan.count_rows(batch.tenants or ())
    computed_rows = changed_rows if batch.only_required else source_rows
    store_refresh_cost(batch, model.name, source_rows, computed_rows, time.monotonic() - began)
    return result
