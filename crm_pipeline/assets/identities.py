"""Customer identities: every record in one profile per person and club, with the evidence, kept in the lake."""

import dagster as dg
import pyarrow as pa
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.assets.metadata import columns_metadata, counted
from crm_pipeline.assets.step import Step, step
from crm_pipeline.domain.identities import Inputs, Resolution, resolve
from crm_pipeline.domain.identities_check import violations
from crm_pipeline.domain.people import INVALID_KEYS, normalise_people, normalise_suppressed
from crm_pipeline.resources.lake import Changes, Lake
from crm_pipeline.settings import Settings
from crm_pipeline.tables import identities

TABLES = (
    identities.customer_identities,
    identities.profile_ids,
    identities.profile_events,
    identities.identity_reviews,
)
CHECK = "links_hold"
MOST_SHOWN = 20
RECORDS = """
    select tenant_id, service, record_id, auth_user_id, email, phone_number, comparable_first_name as first_name,
        comparable_last_name as last_name from people"""
OVERRIDES = """
    select tenant_id, service_a, record_id_a, service_b, record_id_b, decision
    from crm_identity_override join tenants using (tenant_id)"""
WITH_PRIMARY = """
    create or replace temp table found_identities as
    select i.*, s.email_is_shared, s.phone_is_shared,
        row_number() over (partition by i.tenant_id, profile_id, i.service
            order by is_active desc, updated_at desc, record_order) = 1 as is_primary
    from resolved_identities i
    join people p on p.tenant_id = i.tenant_id and p.service = i.service and p.record_id = i.service_record_id
    join shared_values s on s.tenant_id = i.tenant_id and s.service = i.service and s.record_id = i.service_record_id"""


@dg.asset(
    name="customer_identities",
    group_name="identities",
    kinds={"deltalake", "duckdb", "python"},
    owners=["team:data"],
    deps=["scl_snapshot", "teetime_snapshot", "messaging_snapshot", "crm_snapshot", "tenants"],
    description="Which records are one person, why, what was refused, and the life of every profile id. In the lake.",
    metadata=columns_metadata(identities.customer_identities),
    check_specs=[
        dg.AssetCheckSpec(
            CHECK, asset="customer_identities", description="SQL of its own finds no link the records do not bear out."
        )
    ],
    code_version="1",
)
def customer_identities(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Resolve the run's tenants anew and keep what changed."""
    with step(context, lake, settings) as this:
        tenants = [tenant.tenant_id for tenant in this.load_everything()]
        normalise_people(this.con)
        normalise_suppressed(this.con)
        this.quarantine(INVALID_KEYS, "customer_identities", tenants)
        changes = _keep(this, tenants, _resolve(this, tenants))
        faults = _check(this.con)
        links = this.con.sql("select rule, count(*) from found_identities group by rule order by rule").fetchall()
        return dg.MaterializeResult(
            metadata={
                **counted(changes, sum(count for _, count in links)),
                "links_by_rule": dg.MetadataValue.json(dict(links)),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHECK, passed=not faults, metadata={"faults": dg.MetadataValue.json(faults[:MOST_SHOWN])}
                )
            ],
        )


def _resolve(this: Step, tenants: list[str]) -> Resolution:
    def found(query: str) -> pa.Table:
        return this.con.sql(query).to_arrow_table()

    def before(table: Table) -> pa.Table:
        columns = ", ".join(column.key for column in table.columns)
        return found(f"select {columns} from {this.lake.current(this.con, table, tenants=tenants)}")

    inputs = Inputs(
        records=found(RECORDS),
        tenants=found("select tenant_id, min_confidence from tenants"),
        suppressed=found("from suppressed"),
        overrides=found(OVERRIDES),
        previous_identities=before(identities.customer_identities),
        previous_ids=before(identities.profile_ids),
        previous_reviews=before(identities.identity_reviews),
        as_of=this.as_of,
        run_id=this.run_id,
    )
    return resolve(this.con, inputs)


def _keep(this: Step, tenants: list[str], resolution: Resolution) -> dict[str, Changes]:
    _register(this.con, resolution)
    this.con.execute(WITH_PRIMARY)
    new_events = "event_id in (select event_id from new_events)"
    return {
        "customer_identities": this.replace(identities.customer_identities, "found_identities", tenants),
        "profile_ids": this.replace(identities.profile_ids, "found_ids", tenants),
        "profile_events": this.replace(identities.profile_events, "new_events", tenants, new_events),
        "identity_reviews": this.replace(identities.identity_reviews, "found_reviews", tenants),
    }


def _check(con: DuckDBPyConnection) -> list[str]:
    """Faults of the links just found, as words, tenant and record or profile id."""
    con.execute(f"create or replace temp view records as {RECORDS}")
    con.execute(f"create or replace temp view overrides as {OVERRIDES}")
    con.execute("create or replace temp view customer_identities as from found_identities")
    con.execute("create or replace temp view profile_ids as from found_ids")
    return [" ".join(violation) for violation in violations(con)]


def _register(con: DuckDBPyConnection, resolution: Resolution) -> None:
    con.register("resolved_identities", resolution.customer_identities)
    con.register("shared_values", resolution.shared_values)
    con.register("found_ids", resolution.profile_ids)
    con.register("new_events", resolution.profile_events)
    con.register("found_reviews", resolution.identity_reviews)
