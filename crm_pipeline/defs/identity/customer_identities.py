"""Asset `customer_identities`: every record linked to one profile per person and club, with the match keys."""

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
    description="Which records are one person, why, what was refused, and the history of each profile id. In the lake.",
    metadata=build_columns_metadata(identity.customer_identities),
    check_specs=[
        dg.AssetCheckSpec(
            LINKS_HOLD,
            asset="customer_identities",
            description="Separate SQL finds no link that the records do not support, and no other broken rule.",
        ),
        dg.AssetCheckSpec(
            SELF_AUDIT,
            asset="customer_identities",
            description="A random sample of clubs, each resolved again on its own, gives the stored result.",
        ),
    ],
    code_version="1",
)
def customer_identities(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Returns the links of the run's tenants, resolved and stored: all records of a tenant, or those a change affects.

    Reads: what `materialize_identities` reads.
    """
    with open_run_context(context, lake, settings) as run:
        tenants = [tenant.tenant_id for tenant in run.load_tenants()[0]]
        if rolled_back_tenants := roll_back_partial_commits(run, tenants):
            context.log.warning("took back what a run that ended half-way left of %s", ", ".join(rolled_back_tenants))
        batch_results = materialize_identities(run, tenants)
        stored = lake.create_current_view(run.con, identity.customer_identities, tenants=tenants)
        links = run.con.sql(f"select rule, count(*) from {stored} group by rule order by rule").fetchall()
        return dg.MaterializeResult(
            metadata={
                **build_changes_metadata(
                    sum_changes(batch.changes for batch in batch_results), sum(count for _, count in links)
                ),
                "links_by_rule": dg.MetadataValue.json(dict(links)),
            },
            check_results=[
                _build_links_check([fault for batch in batch_results for fault in batch.summary]),
                _build_audit_check(run, tenants),
            ],
        )


def _build_links_check(faults: Sequence[str]) -> dg.AssetCheckResult:
    shown = dg.MetadataValue.json(faults[:MAX_SHOWN_FAULTS])
    return dg.AssetCheckResult(check_name=LINKS_HOLD, passed=not faults, metadata={"faults": shown})


def _build_audit_check(run: RunContext, tenants: list[str]) -> dg.AssetCheckResult:
    audit = audit_identities(run, tenants)
    return dg.AssetCheckResult(
        check_name=SELF_AUDIT,
        passed=not audit.differing_tables,
        metadata={
            "tenants": dg.MetadataValue.json(audit.tenants),
            "records": audit.records,
            "differing": dg.MetadataValue.json(audit.differing_tables),
        },
    )
