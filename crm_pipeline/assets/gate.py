"""The quality gate of the published assets: a tenant's rows in the lake are judged, and who fails is not published.

The verdicts are kept in the lake, Dagster is told each tenant's, and Data Docs show them all. What is expected is
`checks`' business.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.assets.compared import compare, judged_today, keep_measures
from crm_pipeline.assets.judged_in_part import broken_in_part, little_moved
from crm_pipeline.assets.metadata import rows_table
from crm_pipeline.assets.staging import Due, lake_rows
from crm_pipeline.assets.step import TENANTS, Step
from crm_pipeline.checks.data_docs import INDEX, severity, write_data_docs
from crm_pipeline.checks.suites import MEANINGS, SUITES, TABLE_SUITES, Suite
from crm_pipeline.checks.validation import Verdict, judge_rows
from crm_pipeline.tables import operations, profiles, timeline

CHECK = "expectations_hold"
JUDGED = (profiles.customer_profiles, timeline.customer_timeline)
DATA_DOCS = "data_docs"
SHARE_THAT_STOPS_ALL = 0.5
MOST_NAMED = 3


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


def failed_tenants(verdicts: Sequence[Verdict], tenants: Sequence[str]) -> dict[str, str]:
    """Why each of these tenants is not to be published; all of them, where most fail."""
    broken: dict[str, list[str]] = defaultdict(list)
    for v in verdicts:
        if v.is_critical and not v.success:
            broken[v.tenant_id].append(f"{v.suite}: {v.expectation}" + (f", {v.observed}" if v.observed else ""))
    failed = {tenant: _listed(reasons) for tenant, reasons in broken.items()}
    if len(failed) > SHARE_THAT_STOPS_ALL * len(tenants):
        return {tenant: failed.get(tenant, "most tenants failed their checks") for tenant in tenants}
    return failed


def _listed(reasons: Sequence[str]) -> str:
    more = len(reasons) - MOST_NAMED
    return "; ".join(reasons[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def show(this: Step, verdicts: Sequence[Verdict], home: Path) -> None:
    """Write Data Docs of what is known of every tenant, where anything was judged now."""
    if verdicts:
        current = this.lake.current(this.con, operations.data_quality_results, name="present_results")
        this.con.execute(f"create or replace temp table shown_results as from {current}")
        write_data_docs(this.con, "shown_results", this.as_of, home / DATA_DOCS)


def check(context: dg.AssetExecutionContext, this: Step, due: Due, tenants: Sequence[str], home: Path) -> list[Verdict]:
    """Judge what moved of these tenants, keep the verdicts and tell of them; what did not move keeps its own.

    Where little moved of a tenant and nothing is wrong with that, it keeps its own too.
    """
    this.define_as_of()
    judged = judged_today(this, tenants)
    whole = _tenants_to_judge(this, due, tenants, judged)
    verdicts = [*_judge_tables(this, due, whole, judged), *compare(this, whole)]
    if verdicts:
        _keep_verdicts(this, verdicts)
        _tell(context, this, verdicts, home / DATA_DOCS)
    # Last, because who was measured today is not looked at again.
    keep_measures(this, whole)
    return verdicts


def _tenants_to_judge(this: Step, due: Due, tenants: Sequence[str], judged: Mapping[str, bool]) -> list[str]:
    """Whose rows are all judged: who last failed, who moved much or to something wrong, and once a day everybody."""
    held = [tenant for tenant in tenants if judged.get(tenant)]
    little = little_moved(due, held)
    spared = set(little) - broken_in_part(this, due, little) | set(held) - set(due)
    return [tenant for tenant in tenants if tenant not in spared]


def _judge_tables(this: Step, due: Due, tenants: Sequence[str], judged: Mapping[str, bool]) -> Iterator[Verdict]:
    """Judge the tables of these tenants that moved, and those of whom was not judged today."""
    for table in JUDGED:
        moved = [t for t in tenants if t not in judged or any(rows.table is table for rows in due.get(t, ()))]
        yield from judge_rows(this.con, TABLE_SUITES[table], lake_rows(table), moved)


def _keep_verdicts(this: Step, verdicts: Sequence[Verdict]) -> None:
    """Those of a suite that was not judged again stay."""
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    this.con.register("verdicts", pd.DataFrame(verdicts))
    this.con.execute(f"""
        create or replace temp table results as
        select *, '{this.as_of.isoformat()}'::timestamptz as checked_at, '{this.run_id}' as run_id from verdicts""")
    judged = sorted({verdict.tenant_id for verdict in verdicts})
    scope = "(tenant_id, suite) in (select (tenant_id, suite) from results)"
    this.replace(operations.data_quality_results, "results", judged, scope)


def _tell(context: dg.AssetExecutionContext, this: Step, verdicts: Sequence[Verdict], docs: Path) -> None:
    """Tell Dagster of every table and tenant judged now, and what was found before by suites that were not."""
    known = _kept_verdicts(this, sorted({verdict.tenant_id for verdict in verdicts}))
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
    known = _kept_verdicts(this, [tenant])
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
        description=_listed([tenant for (tenant,) in found]) or None,
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


def _kept_verdicts(this: Step, tenants: Sequence[str]) -> dict[tuple[str, str], list[Verdict]]:
    """What is known of these tenants, by tenant and suite."""
    current = this.lake.current(this.con, operations.data_quality_results, tenants=tenants, name="known_results")
    known: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for row in this.con.sql(f"select {', '.join(Verdict._fields)} from {current} order by all").fetchall():
        known[row[0], row[1]].append(Verdict(*row))
    return known


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
        description=_listed([_in_words(verdict)["meaning"] for verdict in broken]) or None,
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
