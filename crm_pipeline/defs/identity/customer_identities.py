"""Asset `customer_identities`: every record linked to one profile per person and club, with the match keys."""

from collections.abc import Sequence
from functools import partial

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context, report_failures
from crm_pipeline.defs.metadata import (
    HOURLY,
    build_asset_options,
    build_count_metrics,
    build_counts_table,
    build_model_metadata,
    build_optional_table,
)
from crm_pipeline.incremental.failures import build_for_survivors
from crm_pipeline.incremental.model import materialize
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities.model import IDENTITIES
from crm_pipeline.steps.identities.self_audit import audit_identities
from crm_pipeline.steps.validate import SNAPSHOT_NAMES
from crm_pipeline.tables.outputs import identity

LINKS_HOLD = "links_hold"
SELF_AUDIT = "self_audit"
MAX_SHOWN_FAULTS = 20


@dg.asset(
    name="customer_identities",
    group_name="identities",
    kinds={"deltalake", "duckdb", "python"},
    **build_asset_options(HOURLY, identity.customer_identities),
    deps=[*SNAPSHOT_NAMES.values(), "tenants"],
    description="Which records are one person, why, what was refused, and the history of each profile id. In the lake.",
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
)
def customer_identities(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Returns the links of the run's tenants, resolved and stored: all records of a tenant, or those affected."""
    with open_run_context(context, lake, settings) as run:
        identities = materialize(IDENTITIES, run)
        if identities.restored_tenants:
            restored = ", ".join(identities.restored_tenants)
            context.log.warning("took back what a run that ended half-way left of %s", restored)
        report_failures(context, identities.failures)
        stored = lake.create_current_view(run.con, identity.customer_identities, tenants=identities.tenants)
        links = dict(run.con.sql(f"select rule, count(*) from {stored} group by rule order by rule").fetchall())
        return dg.MaterializeResult(
            metadata={
                "links_by_rule": build_counts_table("rule", links),
                **build_model_metadata(run, IDENTITIES.name, identities, sum(links.values())),
                **build_count_metrics("links", links),
            },
            check_results=[
                _build_links_check([fault for batch in identities.batches for fault in batch.summary]),
                _build_audit_check(run, identities.built_tenants),
            ],
        )


def _build_links_check(faults: Sequence[str]) -> dg.AssetCheckResult:
    count = f"{len(faults):,} faults" if faults else "No fault"
    return dg.AssetCheckResult(
        check_name=LINKS_HOLD,
        passed=not faults,
        description=f"{count} in the links that this run resolved.",
        metadata={
            "faults": build_optional_table([{"fault": fault} for fault in faults[:MAX_SHOWN_FAULTS]]),
            "fault_count": len(faults),
        },
    )


def _build_audit_check(run: RunContext, tenants: list[str]) -> dg.AssetCheckResult:
    audit, failures = build_for_survivors(partial(audit_identities, run), tenants)
    differing = [{"tenant": tenant, "tables": ", ".join(tables)} for tenant, tables in audit.differing_tables.items()]
    differing += [{"tenant": tenant, "tables": reason} for tenant, reason in failures.items()]
    outcome = f"{len(differing)} of them differ from what is stored" if differing else "all are as stored"
    return dg.AssetCheckResult(
        check_name=SELF_AUDIT,
        passed=not differing,
        description=f"{len(audit.tenants)} clubs, drawn at random and resolved again: {outcome}.",
        metadata={
            "differing": build_optional_table(differing),
            "tenants": ", ".join(audit.tenants) or "none",
            "records": audit.records,
            "differing_tenants": len(differing),
        },
    )
