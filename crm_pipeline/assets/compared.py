"""Tenants compared: their tables with each other, with the services' rows and with the club's own past.

Belongs here: who is compared, on which rows, and what is remembered of it. What is expected is `checks`' business.
"""

from collections.abc import Sequence
from dataclasses import replace

from crm_pipeline.assets.step import Step
from crm_pipeline.checks.agreement import find_disagreements
from crm_pipeline.checks.over_time import find_unusual
from crm_pipeline.checks.suites import AS_USUAL, MEANINGS, TABLES_AGREE
from crm_pipeline.checks.validation import Verdict, judge_findings
from crm_pipeline.domain.measures import DAYS_KEPT
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline
from crm_pipeline.tables.sources import scl

GIVEN = {
    "given_profiles": profiles.customer_profiles,
    "given_timeline": timeline.customer_timeline,
    "given_identities": identity.customer_identities,
    "history": operations.quality_measures,
}


def judged_today(this: Step, tenants: Sequence[str]) -> dict[str, bool]:
    """Who of the tenants was judged whole today, by the suites as they are; whether all that is kept of it held."""
    kept = this.lake.current(this.con, operations.data_quality_results, tenants=tenants, name="kept_results")
    measures = this.lake.current(this.con, operations.quality_measures, tenants=tenants, name="kept_measures")
    found = this.con.sql(f"""
        select tenant_id, bool_and(success), list((suite, expectation)) from {kept}
        semi join (from {measures} where measured_on = cast(as_of() as date)) using (tenant_id)
        group by tenant_id""").fetchall()
    return {tenant: held for tenant, held, names in found if sorted(names) == sorted(MEANINGS)}


def compare(this: Step, tenants: Sequence[str]) -> list[Verdict]:
    """Judge these tenants' tables against each other, the services' rows and the club's own past."""
    if not tenants:
        return []
    replace(this, tenants=tenants).load_rows([*PEOPLE.values(), scl.payment])
    for name, table in GIVEN.items():
        this.lake.current(this.con, table, tenants=tenants, name=name)
    disagreements = judge_agreements(this, tenants)
    find_unusual(this.con)
    return [*disagreements, *judge_findings(this.con, AS_USUAL, "unusual")]


def judge_agreements(this: Step, tenants: Sequence[str]) -> list[Verdict]:
    """Judge what is given of these tenants, in relations called as `GIVEN` and the services' rows are."""
    query = "create or replace temp table judged_tenants as select unnest($tenants) as tenant_id"
    this.con.execute(query, {"tenants": list(tenants)})
    find_disagreements(this.con)
    return judge_findings(this.con, TABLES_AGREE, "disagreements")


def keep_measures(this: Step, tenants: Sequence[str]) -> None:
    """Keep what `compare` measured of these tenants as today's, and let the days leave that are too long ago."""
    if not tenants:
        return
    today = f"date '{this.as_of:%Y-%m-%d}'"
    this.con.execute(f"""
        create or replace temp view measured_today as
        select tenant_id, {today} as measured_on, measure, value from measured""")
    scope = f"(measured_on = {today} or measured_on < {today} - {DAYS_KEPT})"
    this.replace(operations.quality_measures, "measured_today", tenants, scope)
