"""Customer identities: every record in one profile per person and club, with the evidence, kept in the lake."""

from collections.abc import Sequence

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context
from crm_pipeline.defs.metadata import HOURLY, build_changes_metadata, build_columns_metadata, sum_changes
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities.atomic_commit import roll_back_partial_commits
from crm_pipeline.steps.identities.model import materialize_identities
from crm_pipeline.steps.identities.self_audit import audit_identities
from crm_pipeline.tables.outputs import identity

LINKS_HOLD = "links_hold"
SELF_AUDIT = "self_audit"
MAX_SHOWN_FAULTS = 20


@dg.asset(
    name="customer_identities",
    group_name="identities",
    kinds={"deltalake", "duckdb", "python"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["scl_snapshot", "teetime_snapshot", "messaging_snapshot", "crm_snapshot", "tenants"],
    description="Which records are one person, why, what was refused, and the life of every profile id. In the lake.",
    metadata=build_columns_metadata(identity.customer_identities),
    check_specs=[
        dg.AssetCheckSpec(
            LINKS_HOLD,
            asset="customer_identities",
            description="SQL of its own finds no link the records do not bear out, and nothing else that must not be.",
        ),
        dg.AssetCheckSpec(
            SELF_AUDIT,
            asset="customer_identities",
            description="A random sample of clubs, each resolved again alone, gives what is stored.",
        ),
    ],
    code_version="1",
)
def customer_identities(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Resolve the run's tenants, of each all records or those a change concerns, and keep what changed."""
    with open_run_context(context, lake, settings) as run:
        tenants = [tenant.tenant_id for tenant in run.load_tenants()[0]]
        if half_kept := roll_back_partial_commits(run, tenants):
            context.log.warning("took back what a run that ended half-way left of %s", ", ".join(half_kept))
        parts = materialize_identities(run, tenants)
        stored = lake.current(run.con, identity.customer_identities, tenants=tenants)
        links = run.con.sql(f"select rule, count(*) from {stored} group by rule order by rule").fetchall()
        return dg.MaterializeResult(
            metadata={
                **build_changes_metadata(sum_changes(part.changes for part in parts), sum(count for _, count in links)),
                "links_by_rule": dg.MetadataValue.json(dict(links)),
            },
            check_results=[
                _build_links_check([fault for part in parts for fault in part.summary]),
                _build_audit_check(run, tenants),
            ],
        )


def _build_links_check(faults: Sequence[str]) -> dg.AssetCheckResult:
    shown = dg.MetadataValue.json(faults[:MAX_SHOWN_FAULTS])
    return dg.AssetCheckResult(check_name=LINKS_HOLD, passed=not faults, metadata={"faults": shown})


def _build_audit_check(run: RunContext, tenants: list[str]) -> dg.AssetCheckResult:
    found = audit_identities(run, tenants)
    return dg.AssetCheckResult(
        check_name=SELF_AUDIT,
        passed=not found.differing,
        metadata={
            "tenants": dg.MetadataValue.json(found.tenants),
            "records": found.records,
            "differing": dg.MetadataValue.json(found.differing),
        },
    )
