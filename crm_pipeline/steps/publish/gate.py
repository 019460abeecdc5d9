"""The quality gate of the published assets: a tenant's rows in the lake are judged, and who fails is not published.

A tenant of which little moved since it held today is judged by the rows that moved; whoever breaks something there is
judged whole. The results are kept in the lake, and Data Docs show them all.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from crm_pipeline.checks.anomalies import DAYS_KEPT, find_unusual
from crm_pipeline.checks.cross_table import find_disagreements
from crm_pipeline.checks.data_docs import DATA_DOCS, write_data_docs
from crm_pipeline.checks.evaluation import Verdict, judge_findings, judge_rows
from crm_pipeline.checks.expectations import AS_USUAL, MEANINGS, TABLE_SUITES, TABLES_AGREE
from crm_pipeline.domain.ingest import row_validation
from crm_pipeline.resources.lake.rows import replaced, tenant_filter
from crm_pipeline.resources.warehouse.publishing.table_publication import Due
from crm_pipeline.run_context import Step
from crm_pipeline.steps.publish.pending_rows import changes_of, lake_rows, log_of
from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service

SHARE_THAT_STOPS_ALL = 0.5
MOST_MOVED: Final = 0.1
"""Of a table's rows. Where more moved, the numbers may be unusual too, which only a whole judgement sees."""
PROFILE_OF: Final = {
    profiles.customer_profiles: "id",
    timeline.customer_timeline: "profile_id",
    identity.customer_identities: "profile_id",
}
"""The compared tables, and the column that says whose a row is."""
RECORD_OF: Final = {table: (service, "id") for service, table in PEOPLE.items()} | {
    scl.payment: (Service.SCL, "member_id")
}
"""The services' tables they are compared with, and the service and column of the record a row is about."""
RECORD: Final = "tenant_id, service, service_record_id"
GIVEN = {
    "given_profiles": profiles.customer_profiles,
    "given_timeline": timeline.customer_timeline,
    "given_identities": identity.customer_identities,
    "history": operations.quality_measures,
}
JUDGED = (profiles.customer_profiles, timeline.customer_timeline)
MOST_NAMED = 3


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


class Judged(NamedTuple):
    """What was judged now: all verdicts, and the tenants that were judged whole."""

    verdicts: list[Verdict]
    whole: list[str]


def check(this: Step, due: Due, tenants: Sequence[str]) -> Judged:
    """Judge what moved of these tenants and keep the verdicts; what did not move keeps its own.

    Where little moved of a tenant and nothing is wrong with that, it keeps its own too. Who is judged whole is not
    looked at again today once `keep_measures` was called, which therefore comes after the verdicts are reported.
    """
    this.define_as_of()
    judged = judged_today(this, tenants)
    whole = _tenants_to_judge(this, due, tenants, judged)
    verdicts = [*_judge_tables(this, due, whole, judged), *compare(this, whole)]
    if verdicts:
        _keep_verdicts(this, verdicts)
    return Judged(verdicts, whole)


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


def little_moved(due: Due, tenants: Sequence[str]) -> list[str]:
    """Which of the tenants moved, and only a little, in the tables that are judged or compared."""

    def is_little(tenant: str) -> bool:
        parts = [rows for rows in due[tenant] if rows.table in PROFILE_OF]
        return all(rows.changes and rows.moved <= MOST_MOVED * rows.content.rows for rows in parts)

    return [tenant for tenant in tenants if tenant in due and is_little(tenant)]


def broken_in_part(this: Step, due: Due, tenants: Sequence[str]) -> set[str]:
    """Which of these tenants break an expectation in rows that changed, or an agreement in profiles that moved."""
    if not tenants:
        return set()
    verdicts = []
    for table, suite in TABLE_SUITES.items():
        moved = [tenant for tenant in tenants if any(rows.table is table for rows in due[tenant])]
        verdicts += judge_rows(this.con, suite, f"(from {changes_of(table)} where not _is_gone)", moved)
    part = replace(this, tenants=tenants)
    _find_moved(part)
    _give_moved(part)
    verdicts += judge_agreements(part, tenants)
    return {verdict.tenant_id for verdict in verdicts if not verdict.success}


def _find_moved(part: Step) -> None:
    """Create temp tables `moved_records`, since the last whole judgement, and `moved_profiles`, since the publication.

    Whoever a changed row was about before has moved as well. A result that came out as before keeps its older hour.
    """
    of_tenants = tenant_filter(part.tenants)
    kept = part.lake.current(part.con, operations.data_quality_results, tenants=part.tenants, name="kept_results")
    part.con.execute(f"""
        create or replace temp table judged_whole as
        select tenant_id, max(checked_at) as judged_at from {kept} group by tenant_id""")
    changed = [
        f"""select tenant_id, '{service}' as service, cast({column} as varchar) as service_record_id
            from {part.lake.log(part.con, table)} join judged_whole using (tenant_id)
            where _known_at >= '{part.as_of:%Y-%m-%d}T00:00:00Z'::timestamptz
                and (_known_at > judged_at or _known_at = as_of())"""
        for table, (service, column) in RECORD_OF.items()
    ]
    part.con.execute(f"create or replace temp table moved_records as select distinct * from ({_union(changed)})")
    linked = part.lake.current(part.con, identity.customer_identities, tenants=part.tenants, name="linked")
    moved = [f"select tenant_id, profile_id as id from {linked} semi join moved_records using ({RECORD})"]
    for table, column in PROFILE_OF.items():
        moved += [
            f"select tenant_id, {column} as id from {log_of(table)} where {of_tenants}",
            f"""select tenant_id, {column} as id from ({replaced(part.lake.log(part.con, table), log_of(table))})
                where {of_tenants}""",
        ]
    part.con.execute(f"create or replace temp table moved_profiles as select distinct * from ({_union(moved)})")


def _give_moved(part: Step) -> None:
    """Create what `judge_agreements` reads, of no more than these profiles and the records that are theirs or moved."""
    for name, table in GIVEN.items():
        if column := PROFILE_OF.get(table):
            whole = part.lake.current(part.con, table, tenants=part.tenants, name=f"whole_{table.name}")
            part.con.execute(f"""
                create or replace temp view {name} as
                from {whole} w semi join moved_profiles m on m.id = w.{column}""")
    part.con.execute(f"insert into moved_records select {RECORD} from given_identities")
    for table, (service, column) in RECORD_OF.items():
        name = lake_name(table)
        present = part.lake.current(part.con, table, tenants=part.tenants, name=f"present_{name}")
        part.con.execute(f"""
            create or replace temp view moved_{name} as
            from {present} p semi join moved_records m
            on m.service = '{service}' and m.tenant_id = p.tenant_id
                and m.service_record_id = cast(p.{column} as varchar)""")
        row_validation.judge_rows(part.con, table, f"moved_{name}", part.as_of)


def _union(queries: Sequence[str]) -> str:
    return " union all ".join(queries)


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


def kept_verdicts(this: Step, tenants: Sequence[str]) -> dict[tuple[str, str], list[Verdict]]:
    """What is known of these tenants, by tenant and suite."""
    current = this.lake.current(this.con, operations.data_quality_results, tenants=tenants, name="known_results")
    known: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for row in this.con.sql(f"select {', '.join(Verdict._fields)} from {current} order by all").fetchall():
        known[row[0], row[1]].append(Verdict(*row))
    return known


def listed(reasons: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(reasons) - MOST_NAMED
    return "; ".join(reasons[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
