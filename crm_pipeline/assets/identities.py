"""Customer identities: every record in one profile per person and club, with the evidence, kept in the lake."""

import dagster as dg

from crm_pipeline.assets.kept_identities import keep_identities, take_back_half_kept
from crm_pipeline.assets.metadata import HOURLY, columns_metadata, counted
from crm_pipeline.assets.resolution import FOUND, OVERRIDES, RECORDS, read_records, resolve_tenants
from crm_pipeline.assets.self_audit import audit
from crm_pipeline.assets.step import Step, step
from crm_pipeline.domain.identities_check import violations
from crm_pipeline.domain.people import INVALID_KEYS
from crm_pipeline.resources.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.tables import identities

LINKS_HOLD = "links_hold"
SELF_AUDIT = "self_audit"
MOST_SHOWN = 20


@dg.asset(
    name="customer_identities",
    group_name="identities",
    kinds={"deltalake", "duckdb", "python"},
    owners=["team:data"],
    tags=HOURLY.tags,
    freshness_policy=HOURLY.freshness,
    deps=["scl_snapshot", "teetime_snapshot", "messaging_snapshot", "crm_snapshot", "tenants"],
    description="Which records are one person, why, what was refused, and the life of every profile id. In the lake.",
    metadata=columns_metadata(identities.customer_identities),
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
    """Resolve the run's tenants anew and keep what changed."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_everything()]
        if half_kept := take_back_half_kept(this, tenants):
            context.log.warning("took back what a run that ended half-way left of %s", ", ".join(half_kept))
        read_records(this)
        this.quarantine(INVALID_KEYS, "customer_identities", tenants)
        resolve_tenants(this, tenants)
        changes = keep_identities(this, tenants)
        links = this.con.sql("select rule, count(*) from found_identities group by rule order by rule").fetchall()
        return dg.MaterializeResult(
            metadata={
                **counted(changes, sum(count for _, count in links)),
                "links_by_rule": dg.MetadataValue.json(dict(links)),
            },
            check_results=[_links_hold(this, tenants), _self_audit(this, tenants)],
        )


def _links_hold(this: Step, tenants: list[str]) -> dg.AssetCheckResult:
    """Faults as words, tenant and record or profile id."""
    this.con.execute(f"create or replace temp view records as {RECORDS}")
    this.con.execute(f"create or replace temp view overrides as {OVERRIDES}")
    for table in FOUND:
        stored = this.lake.current(this.con, table, tenants=tenants, name=f"stored_{table.name}")
        # The check reads each many times, and a view of the lake would be worked out anew each time.
        this.con.execute(f"drop view if exists {table.name}")
        this.con.execute(f"create temp table {table.name} as from {stored}")
    faults = [" ".join(violation) for violation in violations(this.con)]
    shown = dg.MetadataValue.json(faults[:MOST_SHOWN])
    return dg.AssetCheckResult(check_name=LINKS_HOLD, passed=not faults, metadata={"faults": shown})


def _self_audit(this: Step, tenants: list[str]) -> dg.AssetCheckResult:
    found = audit(this, tenants)
    return dg.AssetCheckResult(
        check_name=SELF_AUDIT,
        passed=not found.differing,
        metadata={
            "tenants": dg.MetadataValue.json(found.tenants),
            "records": found.records,
            "differing": dg.MetadataValue.json(found.differing),
        },
    )
