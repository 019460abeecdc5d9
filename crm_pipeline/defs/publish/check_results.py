"""Asset checks of the gate's results: one per published table and severity, partitioned by tenant.

Every tenant that was evaluated has a result. Each run of several tenants adds one of all of them, without a partition,
which the UI shows first.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.checks.anomalies import MIN_BASELINE_DAYS
from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.checks.expectations import ANOMALY_SUITE, MEANINGS, SUITES, Suite
from crm_pipeline.checks.result_rows import format_severity
from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS
from crm_pipeline.defs.metadata import build_rows_table, format_markdown_table
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.publish.gate import EVALUATED_TABLES, format_short_list, load_stored_results

MAX_SHOWN_ROWS: Final = 50
EFFECTS: Final = {
    True: "A club that breaks one of these keeps what was published last",
    False: "A club that breaks one of these is published all the same",
}
"""What a broken expectation means for the club, by whether it is critical."""
StoredResults = Mapping[tuple[str, str], Sequence[ExpectationResult]]


class GateCheck(NamedTuple):
    """The expectations of one severity on one published table, as one asset check."""

    table: Table
    is_critical: bool

    @property
    def name(self) -> str:
        """Returns the name of the asset check."""
        return f"{format_severity(self.is_critical)}_expectations"

    @property
    def suites(self) -> list[Suite]:
        """Returns the suites whose results the check reports."""
        return [
            suite for suite in SUITES if suite.checked_table is self.table and suite.is_critical is self.is_critical
        ]

    def list_results(self, stored_results: StoredResults, tenants: Sequence[str]) -> list[ExpectationResult]:
        """Returns the results of the check's suites for these tenants."""
        return [
            result
            for tenant in tenants
            for suite in self.suites
            for result in stored_results.get((tenant, suite.name), ())
        ]


GATE_CHECKS: Final = tuple(
    check
    for table in EVALUATED_TABLES
    for is_critical in (True, False)
    if (check := GateCheck(table, is_critical)).suites
)


def build_check_specs() -> list[dg.AssetCheckSpec]:
    """Returns the specs of `GATE_CHECKS`; critical ones block."""
    with warnings.catch_warnings():
        # Checks per partition are a preview feature of Dagster.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                check.name,
                asset=check.table.name,
                partitions_def=TENANT_PARTITIONS,
                blocking=check.is_critical,
                description=_format_description(check),
            )
            for check in GATE_CHECKS
        ]


def report_results(context: dg.AssetExecutionContext, run: RunContext, results: Sequence[ExpectationResult]) -> None:
    """Reports every check of every tenant evaluated now, with the stored results of the check's other suites."""
    stored_results = load_stored_results(run, sorted({result.tenant_id for result in results}))
    evaluated_suites = {(result.tenant_id, result.suite) for result in results}
    for check in GATE_CHECKS:
        suites = {suite.name for suite in check.suites}
        for tenant in sorted({tenant for tenant, suite in evaluated_suites if suite in suites}):
            context.log_event(_build_tenant_evaluation(check, tenant, stored_results))


def build_step_evaluations(
    context: dg.AssetExecutionContext, run: RunContext, tenants: Sequence[str]
) -> list[dg.AssetCheckEvaluation]:
    """Returns an evaluation per check: of the tenant in a run of one, of all tenants together in a run of several."""
    stored_results = load_stored_results(run, tenants)
    if context.has_partition_key:
        return [_build_tenant_evaluation(check, context.partition_key, stored_results) for check in GATE_CHECKS]
    return [_build_combined_evaluation(check, tenants, stored_results) for check in GATE_CHECKS]


def to_check_result(evaluation: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    """Returns the evaluation as a step returns it."""
    return dg.AssetCheckResult(
        passed=evaluation.passed,
        check_name=evaluation.check_name,
        asset_key=evaluation.asset_key,
        severity=evaluation.severity,
        description=evaluation.description,
        metadata=evaluation.metadata,
    )


def _format_description(check: GateCheck) -> str:
    suites = ", ".join(f"{suite.name} ({len(suite.expectations)})" for suite in check.suites)
    return f"{EFFECTS[check.is_critical]}. Expectations of {suites}; docs/quality.md explains each."


def _build_tenant_evaluation(check: GateCheck, tenant: str, stored_results: StoredResults) -> dg.AssetCheckEvaluation:
    """Returns the tenant's evaluation, with a table of what is broken."""
    results = check.list_results(stored_results, [tenant])
    broken = [result for result in results if not result.success]
    description = _format_summary(results)
    if broken:
        description += f" Broken: {format_short_list([_find_meaning(result).rstrip('.') for result in broken])}."
    metadata = {"broken": build_rows_table([_format_result_row(result) for result in broken])} if broken else {}
    return _build_evaluation(check, results, description, metadata, tenant)


def _build_combined_evaluation(
    check: GateCheck, tenants: Sequence[str], stored_results: StoredResults
) -> dg.AssetCheckEvaluation:
    """Returns the evaluation of all tenants: a list of what is broken for whom, and numbers that the UI plots."""
    results = check.list_results(stored_results, tenants)
    broken = [result for result in results if not result.success]
    evaluated_tenants = {result.tenant_id for result in results}
    description = _format_summary(results, f" for {_format_clubs(len(evaluated_tenants))}")
    if broken:
        more = f"\n\nand {len(broken) - MAX_SHOWN_ROWS} more" if len(broken) > MAX_SHOWN_ROWS else ""
        description += f"\n\n{format_markdown_table(_list_broken_rows(broken[:MAX_SHOWN_ROWS]))}{more}"
    metadata = {
        "clubs": len(evaluated_tenants),
        "clubs_that_break_one": len({result.tenant_id for result in broken}),
        "broken_expectations": len(broken),
    }
    if check.is_critical:
        metadata["broken_rows"] = sum(result.unexpected_count for result in broken)
    return _build_evaluation(check, results, description, metadata)


def _build_evaluation(
    check: GateCheck,
    results: Sequence[ExpectationResult],
    description: str,
    metadata: Mapping[str, Any],
    tenant: str | None = None,
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(check.table.name),
        check_name=check.name,
        passed=all(result.success for result in results),
        partition=tenant,
        severity=dg.AssetCheckSeverity.ERROR if check.is_critical else dg.AssetCheckSeverity.WARN,
        blocking=check.is_critical,
        description=description,
        metadata=metadata,
    )


def _format_summary(results: Sequence[ExpectationResult], of_whom: str = "") -> str:
    """Returns how many expectations hold of all tenants, and of how many tenants the usual is not known yet."""
    if not results:
        return "Nothing was evaluated."
    names = {(result.suite, result.expectation) for result in results}
    broken_names = {(result.suite, result.expectation) for result in results if not result.success}
    anomalies = list(filter(_is_anomaly, results))
    early_tenants = {result.tenant_id for result in anomalies} - {
        result.tenant_id for result in anomalies if result.rows >= MIN_BASELINE_DAYS
    }
    summary = f"{len(names - broken_names)} of {len(names)} expectations hold{of_whom}."
    if early_tenants:
        days = f"the usual is known after {MIN_BASELINE_DAYS} days"
        summary += f" Too early to say for {_format_clubs(len(early_tenants))}: {days}."
    return summary


def _format_clubs(count: int) -> str:
    return "1 club" if count == 1 else f"{count:,} clubs"


def _list_broken_rows(broken: Sequence[ExpectationResult]) -> list[dict[str, str]]:
    """Returns the columns of the first page, which is narrow: what is empty of all results is left out."""
    rows = [
        {
            "tenant": result.tenant_id,
            "expectation": _find_meaning(result),
            "rows": "" if _is_anomaly(result) else f"{result.unexpected_count:,} of {result.rows:,}",
            "observed": result.observed or "",
        }
        for result in broken
    ]
    return [{name: text for name, text in row.items() if any(each[name] for each in rows)} for row in rows]


def _format_result_row(result: ExpectationResult) -> dict[str, Any]:
    rows = {} if _is_anomaly(result) else {"broken_rows": result.unexpected_count, "of_rows": result.rows}
    return {
        "expectation": _find_meaning(result),
        **rows,
        "observed": result.observed or "",
        "name": f"{result.suite}: {result.expectation}",
    }


def _is_anomaly(result: ExpectationResult) -> bool:
    """Whether the result is about a measure of the club, which no row breaks."""
    return result.suite == ANOMALY_SUITE.name


def _find_meaning(result: ExpectationResult) -> str:
    return MEANINGS.get((result.suite, result.expectation), "")
