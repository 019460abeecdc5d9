"""Evaluation of the suites by Great Expectations: all tenants together, with results per tenant."""

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
"""Most rows aggregated at once; tenants are put into batches of at most this many."""
GX_CLASS_NAMES: Final = {
    "NotBeNull": "ExpectColumnValuesToNotBeNull",
    "BeInSet": "ExpectColumnValuesToBeInSet",
    "BeBetween": "ExpectColumnValuesToBeBetween",
}


class ExpectationResult(NamedTuple):
    """The result of one expectation for one tenant."""

    tenant_id: str
    suite: str
    expectation: str
    success: bool
    is_critical: bool
    unexpected_count: int
    rows: int
    observed: str | None = None


class SuiteError(Exception):
    """A suite that could not be evaluated, which is an error of the pipeline."""


def evaluate_rows(
    con: DuckDBPyConnection, suite: TableSuite, relation: str, tenants: Sequence[str]
) -> list[ExpectationResult]:
    """Returns the result of every expectation of the suite on every tenant's rows in `relation`.

    Reads: relation.
    Raises: SuiteError where an expectation cannot be evaluated.
    """
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    if not tenants:
        return []
    rows = f"(from {relation} where tenant_id in (select unnest($tenants)))"
    counted = con.sql(f"select tenant_id, count(*) from {rows} group by tenant_id", params={"tenants": list(tenants)})
    counts = dict(counted.fetchall())
    frames = [
        con.sql(suite.frame_query(rows), params={"tenants": batch}).df()
        for batch in split_into_batches(tenants, counts, MAX_EVALUATED_ROWS)
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
    """Returns the result of every expectation of the suite on every tenant in relation `findings`.

    Reads: findings (a row per tenant and expectation: broken, rows, observed).
    Raises: SuiteError where an expectation cannot be evaluated.
    """
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    query = f"select tenant_id, expectation, broken, rows, observed from {findings} order by all"
    finding_rows = con.sql(query).fetchall()
    if not finding_rows:
        return []
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for tenant, name, broken, _, _ in finding_rows:
        counts[tenant][name] = int(broken)
    failed = evaluate_suite(
        suite, pd.DataFrame([{"tenant_id": tenant, "rows": 1, **row} for tenant, row in counts.items()])
    )
    return [
        ExpectationResult(
            tenant, suite.name, name, tenant not in failed[name], suite.is_critical, int(broken), int(rows), observed
        )
        for tenant, name, broken, rows, observed in finding_rows
    ]


def evaluate_suite(suite: Suite, frame: "pd.DataFrame") -> dict[str, dict[str, int]]:
    """Returns, per expectation, the tenants that broke it and how many rows did, as column `rows` of the frame counts.

    Raises: SuiteError where an expectation cannot be evaluated.
    """
    import great_expectations as gx  # noqa: PLC0415  five seconds only runs should pay
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    validation = context.data_sources.pandas_default.read_dataframe(frame).validate(
        gx.ExpectationSuite(name=suite.name, expectations=list(map(to_gx_expectation, suite.expectations))),
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["tenant_id", "rows"]},
    )
    results = {_read_expectation_name(result): result for result in validation.results}
    return {spec.name: _count_broken_rows(suite, spec, results[spec.name]) for spec in suite.expectations}


def to_gx_expectation(spec: ExpectationSpec) -> "Expectation":
    """Returns the expectation as an object of Great Expectations."""
    from great_expectations import expectations as gxe  # noqa: PLC0415  five seconds only runs should pay

    gx_expectation: Expectation = getattr(gxe, GX_CLASS_NAMES[spec.kind])(
        **spec.arguments, description=spec.meaning, meta={"name": spec.name}
    )
    return gx_expectation


def _read_expectation_name(result: Any) -> str:  # noqa: ANN401
    return str(result.expectation_config.meta["name"])


def _count_broken_rows(suite: Suite, spec: ExpectationSpec, result: Any) -> dict[str, int]:  # noqa: ANN401
    if message := _find_exception_message(result.exception_info):
        raise SuiteError(f"{suite.name}: {spec.name} cannot be evaluated: {message}")
    broken: Counter[str] = Counter()
    for row in result.result.get("unexpected_index_list") or []:
        broken[row["tenant_id"]] += int(row["rows"])
    return broken


def _find_exception_message(exception_info: dict[str, Any]) -> str | None:
    """Returns the message of an expectation that raised; the info is per metric, and flat where none raised."""
    per_metric = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    return next((str(info["exception_message"]) for info in per_metric if info["raised_exception"]), None)
