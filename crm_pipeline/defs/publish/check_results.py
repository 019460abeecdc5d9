"""What Dagster is told of the gate's verdicts: one check per published table, partitioned by tenant.

Who is judged, and what becomes of whom, is `gate`'s business; what is expected, `checks`'.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.checks.data_docs import DATA_DOCS, INDEX, severity
from crm_pipeline.checks.evaluation import Verdict
from crm_pipeline.checks.expectations import MEANINGS, SUITES, Suite
from crm_pipeline.defs.dagster_context import TENANTS
from crm_pipeline.defs.metadata import rows_table
from crm_pipeline.run_context import Step
from crm_pipeline.steps.publish.gate import JUDGED, kept_verdicts, listed
from crm_pipeline.tables.outputs import operations

CHECK = "expectations_hold"


def check_specs() -> list[dg.AssetCheckSpec]:
    """One check, partitioned by tenant, for each judged table."""
    with warnings.catch_warnings():
        # checks per partition are in preview; the users' wish to see each tenant's is not
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(CHECK, asset=table.name, partitions_def=TENANTS, description=_description(table))
            for table in JUDGED
        ]


def _description(table: Table) -> str:
    suites = [f"{suite.name} ({severity(suite.is_critical)})" for suite in _suites_of(table)]
    return f"Every expectation holds of {', '.join(suites)}. See docs/quality.md."


def tell(context: dg.AssetExecutionContext, this: Step, verdicts: Sequence[Verdict], docs: Path) -> None:
    """Tell Dagster of every table and tenant judged now, and what was found before by suites that were not."""
    known = kept_verdicts(this, sorted({verdict.tenant_id for verdict in verdicts}))
    judged = {(verdict.tenant_id, verdict.suite) for verdict in verdicts}
    for table in JUDGED:
        suites = {suite.name for suite in _suites_of(table)}
        for tenant in sorted({tenant for tenant, suite in judged if suite in suites}):
            context.log_event(_evaluation(table, tenant, known, docs))


def step_results(context: dg.AssetExecutionContext, this: Step, home: Path) -> dict[str, dg.AssetCheckResult]:
    """What the step has to return of each judged table's check, besides what each tenant was told.

    Dagster takes it for the tenant's own in a run of one, and so it is; of several it says who was warned of.
    """
    if not context.has_partition_key:
        return {table.name: _of_several(this, table) for table in JUDGED}
    tenant = context.partition_key
    known = kept_verdicts(this, [tenant])
    return {table.name: _as_result(_evaluation(table, tenant, known, home / DATA_DOCS)) for table in JUDGED}


def _of_several(this: Step, table: Table) -> dg.AssetCheckResult:
    """What the UI shows of the asset as a whole: warnings, since a run that finds worse fails and returns nothing."""
    current = this.lake.current(this.con, operations.data_quality_results, tenants=this.tenants, name="known_results")
    suites = ", ".join(f"'{suite.name}'" for suite in _suites_of(table))
    found = this.con.sql(f"""
        select distinct tenant_id from {current} semi join tenants using (tenant_id)
        where not success and suite in ({suites}) order by tenant_id""").fetchall()
    return dg.AssetCheckResult(
        passed=not found,
        check_name=CHECK,
        asset_key=table.name,
        severity=dg.AssetCheckSeverity.WARN,
        description=listed([tenant for (tenant,) in found]) or None,
    )


def _as_result(told: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=told.passed,
        check_name=told.check_name,
        asset_key=told.asset_key,
        severity=told.severity,
        description=told.description,
        metadata=told.metadata,
    )


def _suites_of(table: Table) -> list[Suite]:
    return [suite for suite in SUITES if suite.told_at is table]


def _evaluation(
    table: Table, tenant: str, known: Mapping[tuple[str, str], Sequence[Verdict]], docs: Path
) -> dg.AssetCheckEvaluation:
    found = [verdict for suite in _suites_of(table) for verdict in known.get((tenant, suite.name), ())]
    broken = [verdict for verdict in found if not verdict.success]
    metadata: dict[str, Any] = {
        "held": f"{len(found) - len(broken)} of {len(found)} expectations",
        "broken": dg.MetadataValue.json({verdict.expectation: verdict.unexpected_count for verdict in broken}),
        "data_docs": dg.MetadataValue.path(docs / INDEX),
    }
    if broken:
        metadata["what_is_wrong"] = rows_table([_in_words(verdict) for verdict in broken])
    is_critical = any(verdict.is_critical for verdict in broken)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(table.name),
        check_name=CHECK,
        passed=not broken,
        partition=tenant,
        severity=dg.AssetCheckSeverity.ERROR if is_critical or not broken else dg.AssetCheckSeverity.WARN,
        description=listed([_in_words(verdict)["meaning"] for verdict in broken]) or None,
        metadata=metadata,
    )


def _in_words(verdict: Verdict) -> dict[str, Any]:
    return {
        "severity": severity(verdict.is_critical),
        "suite": verdict.suite,
        "expectation": verdict.expectation,
        "meaning": MEANINGS.get((verdict.suite, verdict.expectation), ""),
        "broken_by": verdict.unexpected_count,
        "of": verdict.rows,
        "observed": verdict.observed or "",
    }
