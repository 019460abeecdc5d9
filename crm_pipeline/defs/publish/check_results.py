"""What Dagster is told of the gate's verdicts: one check per published table, partitioned by tenant.

Who is judged, and what becomes of whom, is `gate`'s business; what is expected, `checks`'.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.checks.data_docs import DATA_DOCS_FOLDER, INDEX_FILE, format_severity
from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.checks.expectations import MEANINGS, SUITES, Suite
from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS
from crm_pipeline.defs.metadata import build_rows_table
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.publish.gate import EVALUATED_TABLES, format_short_list, load_stored_results
from crm_pipeline.tables.outputs import operations

EXPECTATIONS_CHECK = "expectations_hold"


def build_check_specs() -> list[dg.AssetCheckSpec]:
    """One check, partitioned by tenant, for each judged table."""
    with warnings.catch_warnings():
        # checks per partition are in preview; the users' wish to see each tenant's is not
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
    context: dg.AssetExecutionContext, run: RunContext, verdicts: Sequence[ExpectationResult], docs: Path
) -> None:
    """Tell Dagster of every table and tenant judged now, and what was found before by suites that were not."""
    known = load_stored_results(run, sorted({verdict.tenant_id for verdict in verdicts}))
    judged = {(verdict.tenant_id, verdict.suite) for verdict in verdicts}
    for table in EVALUATED_TABLES:
        suites = {suite.name for suite in _list_suites(table)}
        for tenant in sorted({tenant for tenant, suite in judged if suite in suites}):
            context.log_event(_build_evaluation(table, tenant, known, docs))


def build_step_results(
    context: dg.AssetExecutionContext, run: RunContext, home: Path
) -> dict[str, dg.AssetCheckResult]:
    """What the step has to return of each judged table's check, besides what each tenant was told.

    Dagster takes it for the tenant's own in a run of one, and so it is; of several it says who was warned of.
    """
    if not context.has_partition_key:
        return {table.name: _build_combined_result(run, table) for table in EVALUATED_TABLES}
    tenant = context.partition_key
    known = load_stored_results(run, [tenant])
    return {
        table.name: _to_check_result(_build_evaluation(table, tenant, known, home / DATA_DOCS_FOLDER))
        for table in EVALUATED_TABLES
    }


def _build_combined_result(run: RunContext, table: Table) -> dg.AssetCheckResult:
    """What the UI shows of the asset as a whole: warnings, since a run that finds worse fails and returns nothing."""
    current = run.lake.current(run.con, operations.data_quality_results, tenants=run.tenants, name="known_results")
    suites = ", ".join(f"'{suite.name}'" for suite in _list_suites(table))
    found = run.con.sql(f"""
        select distinct tenant_id from {current} semi join tenants using (tenant_id)
        where not success and suite in ({suites}) order by tenant_id""").fetchall()
    return dg.AssetCheckResult(
        passed=not found,
        check_name=EXPECTATIONS_CHECK,
        asset_key=table.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=format_short_list([tenant for (tenant,) in found]) or None,
    )


def _to_check_result(told: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=told.passed,
        check_name=told.check_name,
        asset_key=told.asset_key,
        severity=told.severity,
        description=told.description,
        metadata=told.metadata,
    )


def _list_suites(table: Table) -> list[Suite]:
    return [suite for suite in SUITES if suite.checked_table is table]


def _build_evaluation(
    table: Table, tenant: str, known: Mapping[tuple[str, str], Sequence[ExpectationResult]], docs: Path
) -> dg.AssetCheckEvaluation:
    found = [verdict for suite in _list_suites(table) for verdict in known.get((tenant, suite.name), ())]
    broken = [verdict for verdict in found if not verdict.success]
    metadata: dict[str, Any] = {
        "held": f"{len(found) - len(broken)} of {len(found)} expectations",
        "broken": dg.MetadataValue.json({verdict.expectation: verdict.unexpected_count for verdict in broken}),
        "data_docs": dg.MetadataValue.path(docs / INDEX_FILE),
    }
    if broken:
        metadata["what_is_wrong"] = build_rows_table([_format_result_row(verdict) for verdict in broken])
    is_critical = any(verdict.is_critical for verdict in broken)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(table.name),
        check_name=EXPECTATIONS_CHECK,
        passed=not broken,
        partition=tenant,
        severity=dg.AssetCheckSeverity.ERROR if is_critical or not broken else dg.AssetCheckSeverity.WARN,
        description=format_short_list([_format_result_row(verdict)["meaning"] for verdict in broken]) or None,
        metadata=metadata,
    )


def _format_result_row(verdict: ExpectationResult) -> dict[str, Any]:
    return {
        "severity": format_severity(verdict.is_critical),
        "suite": verdict.suite,
        "expectation": verdict.expectation,
        "meaning": MEANINGS.get((verdict.suite, verdict.expectation), ""),
        "broken_by": verdict.unexpected_count,
        "of": verdict.rows,
        "observed": verdict.observed or "",
    }
