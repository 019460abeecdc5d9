"""One refresh of an incremental model: planned, built batch by batch, and tenant by tenant where a batch fails.

A tenant whose own batch fails is named, keeps what was stored of it before, and is left out by every model downstream
until a refresh of the failed one succeeds. Whatever fails for every tenant is no tenant's fault, and raised.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Generic

from crm_pipeline.faults import describe_error
from crm_pipeline.incremental.model import BatchResult, IncrementalModel, Summary
from crm_pipeline.incremental.watermarks import plan_refresh
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import operations

INTERRUPTED = "Query interrupted"
"""What DuckDB says of a query that was cancelled, which is no failure of its batch."""


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
    errors = _build_apart(model, run, built, batches)
    if errors and len(errors) == len(built):
        raise next(iter(errors.values()))
    failures = {tenant: describe_error(error) for tenant, error in errors.items()}
    _store_failures(run, model.name, tenants, failures)
    return Materialization(batches, failures, restored_tenants)


def load_failures(run: RunContext, tenants: Sequence[str], assets: Sequence[str] | None = None) -> dict[str, str]:
    """Returns asset and reason per tenant whose last refresh of one of these assets, by default of any, failed."""
    stored_view = run.lake.create_current_view(
        run.con, operations.tenant_failures, tenants=tenants, name="stored_failures"
    )
    rows = run.con.sql(f"select tenant_id, asset, reason from {stored_view} order by all desc").fetchall()
    return {tenant: f"{asset}: {reason}" for tenant, asset, reason in rows if assets is None or asset in assets}


def _build_apart(
    model: IncrementalModel[Summary], run: RunContext, tenants: Sequence[str], batches: list[BatchResult[Summary]]
) -> dict[str, Exception]:
    """Adds the results to `batches`; returns the error of each tenant that fails by itself, found by halving."""
    if not tenants:
        return {}
    try:
        # A connection of its own, since a batch that fails leaves relations behind.
        with closing(run.lake.connect()) as con:
            _build_batches(model, replace(run, con=con, tenants=tenants), batches)
    except Exception as error:  # any, and none is lost: it is returned, raised, or comes again from one of the halves
        if INTERRUPTED in str(error):
            raise
        model.restore(run, tenants)
        if len(tenants) == 1:
            return {tenants[0]: error}
        middle = len(tenants) // 2
        halves = (tenants[:middle], tenants[middle:])
        return {t: e for half in halves for t, e in _build_apart(model, run, half, batches).items()}
    return {}


def _build_batches(model: IncrementalModel[Summary], run: RunContext, batches: list[BatchResult[Summary]]) -> None:
    """Builds all batches of the run's tenants, and stores the watermarks of those that are built."""
    tenants = [tenant.tenant_id for tenant in run.load_tenants()[0]]
    plan = plan_refresh(run, model.name, model.reads, tenants, full_refresh_triggers=model.rebuild_on)
    affected_tenants = plan.incremental_tenants if model.build_affected else []
    built: list[str] = []
    try:
        for batch in run.tenant_batches([t for t in tenants if t not in affected_tenants], *model.writes):
            batch.load_tenants()
            batches.append(model.build_all(batch))
            built += batch.tenants or ()
        if model.build_affected and affected_tenants:
            batch = replace(run, tenants=affected_tenants, only_required=True)
            batch.load_tenants()
            batches.append(model.build_affected(batch))
            built += affected_tenants
    finally:
        plan.store_watermarks(run, built)


def _store_failures(run: RunContext, asset: str, tenants: Sequence[str], failures: dict[str, str]) -> None:
    run.con.execute(
        """create or replace temp table new_failures as
        select unnest($tenants::varchar[]) as tenant_id, $asset as asset, unnest($reasons::varchar[]) as reason,
            $failed_at::timestamptz as failed_at""",
        {
            "tenants": list(failures),
            "asset": asset,
            "reasons": list(failures.values()),
            "failed_at": run.as_of,
        },
    )
    run.replace(operations.tenant_failures, "new_failures", tenants, f"asset = '{asset}'")
