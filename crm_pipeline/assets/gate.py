"""The quality gate of the published assets: a tenant's rows in the lake are judged, and who fails is not published.

The verdicts are kept in the lake, and Data Docs show them all. What is expected is `checks`' business, what Dagster is
told `gate_told`'s.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg

from crm_pipeline.assets.compared import compare, judged_today, keep_measures
from crm_pipeline.assets.gate_told import DATA_DOCS, JUDGED, listed, tell
from crm_pipeline.assets.judged_in_part import broken_in_part, little_moved
from crm_pipeline.assets.staging import lake_rows
from crm_pipeline.assets.step import Step
from crm_pipeline.checks.data_docs import write_data_docs
from crm_pipeline.checks.suites import TABLE_SUITES
from crm_pipeline.checks.validation import Verdict, judge_rows
from crm_pipeline.resources.warehouse.publishing.table_publication import Due
from crm_pipeline.tables.outputs import operations

SHARE_THAT_STOPS_ALL = 0.5


def failed_tenants(verdicts: Sequence[Verdict], tenants: Sequence[str]) -> dict[str, str]:
    """Why each of these tenants is not to be published; all of them, where most fail."""
    broken: dict[str, list[str]] = defaultdict(list)
    for v in verdicts:
        if v.is_critical and not v.success:
            broken[v.tenant_id].append(f"{v.suite}: {v.expectation}" + (f", {v.observed}" if v.observed else ""))
    failed = {tenant: listed(reasons) for tenant, reasons in broken.items()}
    if len(failed) > SHARE_THAT_STOPS_ALL * len(tenants):
        return {tenant: failed.get(tenant, "most tenants failed their checks") for tenant in tenants}
    return failed


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
        tell(context, this, verdicts, home / DATA_DOCS)
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
