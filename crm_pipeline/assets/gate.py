"""The quality gate of the published assets: a tenant's staged rows are judged, and who fails is not published.

The verdicts are kept in the lake, and Dagster is told each tenant's. What an expectation is, is `checks`' business.
"""

import warnings
from collections import defaultdict
from collections.abc import Sequence

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.assets.step import TENANTS, Step
from crm_pipeline.checks import Suite, Verdict, judge
from crm_pipeline.resources.publisher import Rows
from crm_pipeline.tables import operations, profiles, timeline

CHECK = "expectations_hold"
JUDGED = (profiles.customer_profiles, timeline.customer_timeline)
SHARE_THAT_STOPS_ALL = 0.5


def check_specs() -> list[dg.AssetCheckSpec]:
    """One check, partitioned by tenant, for each judged table."""
    with warnings.catch_warnings():
        # checks per partition are in preview; the users' wish to see each tenant's is not
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(CHECK, asset=table.name, partitions_def=TENANTS, description="The table's suite holds.")
            for table in JUDGED
        ]


def failed_tenants(verdicts: Sequence[Verdict], tenants: Sequence[str]) -> dict[str, str]:
    """Why each of these tenants is not to be published; all of them, where most fail."""
    failed = {v.tenant_id: f"{v.suite}: {v.expectation}" for v in verdicts if v.is_critical and not v.success}
    if len(failed) > SHARE_THAT_STOPS_ALL * len(tenants):
        return {tenant: failed.get(tenant, "most tenants failed their checks") for tenant in tenants}
    return failed


def _moved(due: dict[str, list[Rows]], table: Table) -> list[str]:
    return [tenant for tenant in due if any(rows.table is table for rows in due[tenant])]


def check(context: dg.AssetExecutionContext, this: Step, due: dict[str, list[Rows]]) -> list[Verdict]:
    """Judge the staged rows, keep the verdicts and tell Dagster each tenant's; what did not move keeps its own."""
    this.define_as_of()
    this.lake.current(this.con, profiles.customer_profiles, tenants=list(due), name="profiles_to_check")
    verdicts = []
    for table in JUDGED:
        tenants = _moved(due, table)
        found = judge(this.con, Suite(table), f"rows_{table.name}", tenants)
        _keep_verdicts(this, table, found, tenants)
        _tell(context, table, found)
        verdicts += found
    return verdicts


def _keep_verdicts(this: Step, table: Table, verdicts: Sequence[Verdict], tenants: Sequence[str]) -> None:
    if not verdicts:
        return
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    this.con.register("verdicts", pd.DataFrame(verdicts))
    this.con.execute(f"""
        create or replace temp view results as
        select *, '{this.as_of.isoformat()}'::timestamptz as checked_at, '{this.run_id}' as run_id from verdicts""")
    this.replace(operations.data_quality_results, "results", tenants, f"suite = '{table.name}'")


def _tell(context: dg.AssetExecutionContext, table: Table, verdicts: Sequence[Verdict]) -> None:
    by_tenant: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_tenant[verdict.tenant_id].append(verdict)
    for tenant, found in by_tenant.items():
        broken = {verdict.expectation: verdict.unexpected_count for verdict in found if not verdict.success}
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(table.name),
                check_name=CHECK,
                passed=not broken,
                partition=tenant,
                metadata={"expectations": len(found), "broken": dg.MetadataValue.json(broken)},
            )
        )
