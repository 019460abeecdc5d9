"""Tenants compared: their tables with each other, with the services' rows and with the club's own past.

Belongs here: who is compared, on which rows, and what is remembered of it. What is expected is `checks`' business.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from crm_pipeline.assets.step import Step
from crm_pipeline.checks.agreement import find_disagreements
from crm_pipeline.checks.over_time import find_unusual
from crm_pipeline.checks.suites import AS_USUAL, TABLES_AGREE
from crm_pipeline.checks.validation import Verdict, judge_findings
from crm_pipeline.domain.measures import DAYS_KEPT
from crm_pipeline.tables import PEOPLE, identities, operations, profiles, scl, timeline

GIVEN = {
    "given_profiles": profiles.customer_profiles,
    "given_timeline": timeline.customer_timeline,
    "given_identities": identities.customer_identities,
    "history": operations.quality_measures,
}


def tenants_to_compare(this: Step, due: Collection[str], tenants: Sequence[str]) -> list[str]:
    """Whoever moved, whoever last failed, and once a day everybody: a club can also be too quiet."""
    kept = this.lake.current(this.con, operations.data_quality_results, tenants=tenants, name="kept_results")
    measures = this.lake.current(this.con, operations.quality_measures, tenants=tenants, name="kept_measures")
    settled = this.con.sql(f"""
        select tenant_id from {measures} where measured_on = cast(as_of() as date)
        except select tenant_id from {kept} where not success""").fetchall()
    quiet = {tenant for (tenant,) in settled} - set(due)
    return [tenant for tenant in tenants if tenant not in quiet]


def compare(this: Step, tenants: Sequence[str]) -> list[Verdict]:
    """Judge these tenants' tables against each other, the services' rows and the club's own past."""
    if not tenants:
        return []
    replace(this, tenants=tenants).load_rows([*PEOPLE.values(), scl.payment])
    for name, table in GIVEN.items():
        this.lake.current(this.con, table, tenants=tenants, name=name)
    query = "create or replace temp table judged_tenants as select unnest($tenants) as tenant_id"
    this.con.execute(query, {"tenants": list(tenants)})
    find_disagreements(this.con)
    find_unusual(this.con)
    return [
        *judge_findings(this.con, TABLES_AGREE, "disagreements"),
        *judge_findings(this.con, AS_USUAL, "unusual"),
    ]


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
