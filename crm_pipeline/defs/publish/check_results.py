"""Asset checks of the gate's results: one check per published table, partitioned by tenant."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.checks.data_docs import DATA_DOCS_FOLDER, INDEX_FILE
from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.checks.expectations import MEANINGS, SUITES, Suite
from crm_pipeline.checks.result_rows import format_severity
from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS
from crm_pipeline.defs.metadata import build_rows_table
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.publish.gate import EVALUATED_TABLES, format_short_list, load_stored_results
from crm_pipeline.tables.outputs import operations

EXPECTATIONS_CHECK = "expectations_hold"


def build_check_specs() -> list[dg.AssetCheckSpec]:
    """Returns one check, partitioned by tenant, for each evaluated table."""
    with warnings.catch_warnings():
        # Checks per partition are a preview feature of Dagster.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                EXPECTATIONS_CHECK,
                asset=table.name,
                partitions_def=TENANT_PARTITIONS,
                description=_format_description(table),
            )
            for table in EVALUATED_TABLES
        ]


def _format_description(table: Table) -> str:
    suites = [f"{suite.name} ({format_severity(suite.is_critical)})" for suite in _list_suites(table)]
    return f"Every expectation holds of {', '.join(suites)}. See docs/quality.md."


def report_results(
    context: dg.AssetExecutionContext, run: RunContext, results: Sequence[ExpectationResult], docs: Path
) -> None:
    """Reports a check for every table and tenant evaluated now, with the stored results of the other suites."""
    stored_results = load_stored_results(run, sorted({result.tenant_id for result in results}))
    evaluated_suites = {(result.tenant_id, result.suite) for result in results}
    for table in EVALUATED_TABLES:
        suites = {suite.name for suite in _list_suites(table)}
        for tenant in sorted({tenant for tenant, suite in evaluated_suites if suite in suites}):
            context.log_event(_build_evaluation(table, tenant, stored_results, docs))


def build_step_results(
    context: dg.AssetExecutionContext, run: RunContext, home: Path
) -> dict[str, dg.AssetCheckResult]:
    """Returns the check result of each evaluated table, which the step must return besides the tenants' own.

    In a run of one tenant it is the tenant's own result; in a run of several it lists the tenants with warnings.
    """
    if not context.has_partition_key:
        return {table.name: _build_combined_result(run, table) for table in EVALUATED_TABLES}
    tenant = context.partition_key
    stored_results = load_stored_results(run, [tenant])
    return {
        table.name: _to_check_result(_build_evaluation(table, tenant, stored_results, home / DATA_DOCS_FOLDER))
        for table in EVALUATED_TABLES
    }


def _build_combined_result(run: RunContext, table: Table) -> dg.AssetCheckResult:
    """Returns a result with warnings only: a run with critical failures fails, and returns nothing."""
    current = run.lake.create_current_view(
        run.con, operations.data_quality_results, tenants=run.tenants, name="stored_results"
    )
    suites = ", ".join(f"'{suite.name}'" for suite in _list_suites(table))
    failed_tenants = run.con.sql(f"""
        select distinct tenant_id from {current} semi join tenants using (tenant_id)
        where not success and suite in ({suites}) order by tenant_id""").fetchall()
    return dg.AssetCheckResult(
        passed=not failed_tenants,
        check_name=EXPECTATIONS_CHECK,
        asset_key=table.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=format_short_list([tenant for (tenant,) in failed_tenants]) or None,
    )


def _to_check_result(evaluation: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=evaluation.passed,
        check_name=evaluation.check_name,
        asset_key=evaluation.asset_key,
        severity=evaluation.severity,
        description=evaluation.description,
        metadata=evaluation.metadata,
    )


def _list_suites(table: Table) -> list[Suite]:
    return [suite for suite in SUITES if suite.checked_table is table]


def _build_evaluation(
    table: Table, tenant: str, stored_results: Mapping[tuple[str, str], Sequence[ExpectationResult]], docs: Path
) -> dg.AssetCheckEvaluation:
    results = [result for suite in _list_suites(table) for result in stored_results.get((tenant, suite.name), ())]
    broken = [result for result in results if not result.success]
    metadata: dict[str, Any] = {
        "held": f"{len(results) - len(broken)} of {len(results)} expectations",
        "broken": dg.MetadataValue.json({result.expectation: result.unexpected_count for result in broken}),
        "data_docs": dg.MetadataValue.path(docs / INDEX_FILE),
    }
    if broken:
        metadata["what_is_wrong"] = build_rows_table([_format_result_row(result) for result in broken])
    is_critical = any(result.is_critical for result in broken)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(table.name),
        check_name=EXPECTATIONS_CHECK,
        passed=not broken,
        partition=tenant,
        severity=dg.AssetCheckSeverity.ERROR if is_critical or not broken else dg.AssetCheckSeverity.WARN,
        description=format_short_list([_format_result_row(result)["meaning"] for result in broken]) or None,
        metadata=metadata,
    )


def _format_result_row(result: ExpectationResult) -> dict[str, Any]:
    return {
        "severity": format_severity(result.is_critical),
        "suite": result.suite,
        "expectation": result.expectation,
        "meaning": MEANINGS.get((result.suite, result.expectation), ""),
        "broken_by": result.unexpected_count,
        "of": result.rows,
        "observed": result.observed or "",
    }
