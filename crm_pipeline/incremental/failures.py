"""Tenants that fail a batch: found by halving it, named with the reason, and stored for the models downstream."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from crm_pipeline.faults import describe_error
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import operations

INTERRUPTED = "Query interrupted"
"""What DuckDB says of a query that was cancelled, which is no failure of its batch."""

Result = TypeVar("Result")


def find_failing_tenants(
    build: Callable[[Sequence[str]], object], tenants: Sequence[str], error: Exception
) -> dict[str, str]:
    """Returns the reason of each tenant for which `build` fails alone, after it failed for all of them with `error`.

    A reason is words without personal data.

    Raises: `error`, where every tenant fails, which is no tenant's fault; that of a query that was cancelled.
    """
    errors = _halve(build, tenants, error)
    if len(errors) == len(tenants):
        raise error
    return {tenant: describe_error(tenant_error) for tenant, tenant_error in errors.items()}


def build_for_survivors(
    build: Callable[[Sequence[str]], Result], tenants: Sequence[str]
) -> tuple[Result, dict[str, str]]:
    """Returns what `build` returns for the tenants that do not fail it, and the reason per tenant that does.

    Until the last call, which is for all of the former, `build` may be called for some of them: it stores nothing, or
    the same each time.
    """
    try:
        return build(tenants), {}
    except Exception as error:  # noqa: BLE001  raised or named by find_failing_tenants
        reasons = find_failing_tenants(build, tenants, error)
    return build([tenant for tenant in tenants if tenant not in reasons]), reasons


def load_failures(run: RunContext, tenants: Sequence[str], assets: Sequence[str] | None = None) -> dict[str, str]:
    """Returns asset and reason per tenant whose last refresh of one of these assets, by default of any, failed."""
    stored_view = run.lake.create_current_view(
        run.con, operations.tenant_failures, tenants=tenants, name="stored_failures"
    )
    rows = run.con.sql(f"select tenant_id, asset, reason from {stored_view} order by all desc").fetchall()
    return {tenant: f"{asset}: {reason}" for tenant, asset, reason in rows if assets is None or asset in assets}


def store_failures(run: RunContext, asset: str, tenants: Sequence[str], reasons: Mapping[str, str]) -> None:
    """Stores the reason of each of these tenants whose refresh of the asset failed, and deletes those of the others."""
    if not reasons and not load_failures(run, tenants, [asset]):
        return
    run.con.execute(
        """create or replace temp table new_failures as
        select unnest($tenants::varchar[]) as tenant_id, $asset as asset, unnest($reasons::varchar[]) as reason,
            $failed_at::timestamptz as failed_at""",
        {"tenants": list(reasons), "asset": asset, "reasons": list(reasons.values()), "failed_at": run.as_of},
    )
    run.replace(operations.tenant_failures, "new_failures", tenants, f"asset = '{asset}'")


def _halve(build: Callable[[Sequence[str]], object], tenants: Sequence[str], error: Exception) -> dict[str, Exception]:
    if INTERRUPTED in str(error):
        raise error
    if len(tenants) <= 1:
        return dict.fromkeys(tenants, error)
    errors: dict[str, Exception] = {}
    middle = len(tenants) // 2
    for half in (tenants[:middle], tenants[middle:]):
        try:
            build(half)
        except Exception as half_error:  # noqa: BLE001  raised or returned by the next call
            errors |= _halve(build, half, half_error)
    return errors
