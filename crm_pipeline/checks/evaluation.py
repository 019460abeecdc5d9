"""Suites evaluated by Great Expectations, all tenants together, and the results told apart by tenant."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from duckdb import DuckDBPyConnection

from crm_pipeline.checks.expectations import ExpectationSpec, Suite, TableSuite
from crm_pipeline.domain.batches import split_into_batches

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations import Expectation

MAX_EVALUATED_ROWS = 5_000_000
"""Rows summed up at once; tenants are taken together up to this."""
GX_CLASS_NAMES: Final = {
    "NotBeNull": "ExpectColumnValuesToNotBeNull",
    "BeInSet": "ExpectColumnValuesToBeInSet",
    "BeBetween": "ExpectColumnValuesToBeBetween",
}


class ExpectationResult(NamedTuple):
    """One expectation's result for one tenant."""

    tenant_id: str
    suite: str
    expectation: str
    success: bool
    is_critical: bool
    unexpected_count: int
    rows: int
    observed: str | None = None


class SuiteError(Exception):
    """A suite that could not be evaluated; this is no tenant's fault."""


def evaluate_rows(
    con: DuckDBPyConnection, suite: TableSuite, relation: str, tenants: Sequence[str]
) -> list[ExpectationResult]:
    """Every expectation's verdict on every tenant's rows in `relation`; SuiteError where one can't be evaluated."""
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    if not tenants:
        return []
    rows = f"(from {relation} where tenant_id in (select unnest($group)))"
    counted = con.sql(f"select tenant_id, count(*) from {rows} group by tenant_id", params={"group": list(tenants)})
    counts = dict(counted.fetchall())
    frames = [
        con.sql(suite.frame_query(rows), params={"group": group}).df()
        for group in split_into_batches(tenants, counts, MAX_EVALUATED_ROWS)
    ]
    return [
        ExpectationResult(
            tenant,
            suite.name,
            name,
            tenant not in broken,
            suite.is_critical,
            broken.get(tenant, 0),
            counts.get(tenant, 0),
        )
        for name, broken in evaluate_suite(suite, pd.concat(frames)).items()
        for tenant in tenants
    ]


def evaluate_findings(con: DuckDBPyConnection, suite: Suite, findings: str) -> list[ExpectationResult]:
    """The same for relation `findings`, which has a row per tenant and expectation: broken, rows and observed."""
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    found = con.sql(f"select tenant_id, expectation, broken, rows, observed from {findings} order by all").fetchall()
    if not found:
        return []
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for tenant, name, broken, _, _ in found:
        counts[tenant][name] = int(broken)
    failed = evaluate_suite(
        suite, pd.DataFrame([{"tenant_id": tenant, "rows": 1, **row} for tenant, row in counts.items()])
    )
    return [
        ExpectationResult(
            tenant, suite.name, name, tenant not in failed[name], suite.is_critical, int(broken), int(rows), observed
        )
        for tenant, name, broken, rows, observed in found
    ]


def evaluate_suite(suite: Suite, frame: "pd.DataFrame") -> dict[str, dict[str, int]]:
    """Per expectation the tenants that broke it, with how many `rows` the frame's rows stand for that did."""
    import great_expectations as gx  # noqa: PLC0415  five seconds only runs should pay
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    validation = context.data_sources.pandas_default.read_dataframe(frame).validate(
        gx.ExpectationSuite(name=suite.name, expectations=[to_gx_expectation(expected) for expected in suite.expected]),
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["tenant_id", "rows"]},
    )
    results = {_read_expectation_name(result): result for result in validation.results}
    return {expected.name: _count_broken_rows(suite, expected, results[expected.name]) for expected in suite.expected}


def to_gx_expectation(expected: ExpectationSpec) -> "Expectation":
    """The expectation as Great Expectations knows it."""
    from great_expectations import expectations as gxe  # noqa: PLC0415  five seconds only runs should pay

    made: Expectation = getattr(gxe, GX_CLASS_NAMES[expected.kind])(
        **expected.arguments, description=expected.meaning, meta={"name": expected.name}
    )
    return made


def _read_expectation_name(result: Any) -> str:  # noqa: ANN401
    return str(result.expectation_config.meta["name"])


def _count_broken_rows(suite: Suite, expected: ExpectationSpec, result: Any) -> dict[str, int]:  # noqa: ANN401
    if complaint := _find_exception_message(result.exception_info):
        raise SuiteError(f"{suite.name}: {expected.name} cannot be evaluated: {complaint}")
    broken: Counter[str] = Counter()
    for found in result.result.get("unexpected_index_list") or []:
        broken[found["tenant_id"]] += int(found["rows"])
    return broken


def _find_exception_message(exception_info: dict[str, Any]) -> str | None:
    """What an expectation that raised has to say; Great Expectations keeps it per metric, or flat where none raised."""
    per_metric = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    return next((str(said["exception_message"]) for said in per_metric if said["raised_exception"]), None)
