"""The quality gate of the published assets: a tenant's rows in the lake are judged, and who fails is not published.

A tenant of which little moved since it held today is judged by the rows that moved; whoever breaks something there is
judged whole. The results are kept in the lake, and Data Docs show them all.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from crm_pipeline.checks.anomalies import STORED_DAYS, find_anomalies
from crm_pipeline.checks.cross_table import find_disagreements
from crm_pipeline.checks.data_docs import DATA_DOCS_FOLDER, write_data_docs
from crm_pipeline.checks.evaluation import ExpectationResult, evaluate_findings, evaluate_rows
from crm_pipeline.checks.expectations import ANOMALY_SUITE, CROSS_TABLE_SUITE, MEANINGS, TABLE_SUITES
from crm_pipeline.domain.ingest import row_validation
from crm_pipeline.resources.lake.rows import build_replaced_rows_query, build_tenant_condition
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingByTenant
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.publish.pending_rows import change_log_name, changes_table_name, lake_view_name
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.outputs import identity, operations, profiles, timeline
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import scl
from crm_pipeline.vocabulary import Service

MAX_FAILED_SHARE = 0.5
MAX_CHANGED_SHARE: Final = 0.1
"""Of a table's rows. Where more moved, the numbers may be unusual too, which only a whole judgement sees."""
PROFILE_COLUMNS: Final = {
    profiles.customer_profiles: "id",
    timeline.customer_timeline: "profile_id",
    identity.customer_identities: "profile_id",
}
"""The compared tables, and the column that says whose a row is."""
RECORD_COLUMNS: Final = {table: (service, "id") for service, table in PERSON_TABLES.items()} | {
    scl.payment: (Service.SCL, "member_id")
}
"""The services' tables they are compared with, and the service and column of the record a row is about."""
RECORD_KEY: Final = "tenant_id, service, service_record_id"
COMPARED_RELATIONS = {
    "compared_profiles": profiles.customer_profiles,
    "compared_timeline": timeline.customer_timeline,
    "compared_identities": identity.customer_identities,
    "history": operations.quality_measures,
}
EVALUATED_TABLES = (profiles.customer_profiles, timeline.customer_timeline)
MAX_LISTED_ITEMS = 3


def find_failed_tenants(verdicts: Sequence[ExpectationResult], tenants: Sequence[str]) -> dict[str, str]:
    """Why each of these tenants is not to be published; all of them, where most fail."""
    broken: dict[str, list[str]] = defaultdict(list)
    for v in verdicts:
        if v.is_critical and not v.success:
            broken[v.tenant_id].append(f"{v.suite}: {v.expectation}" + (f", {v.observed}" if v.observed else ""))
    failed = {tenant: format_short_list(reasons) for tenant, reasons in broken.items()}
    if len(failed) > MAX_FAILED_SHARE * len(tenants):
        return {tenant: failed.get(tenant, "most tenants failed their checks") for tenant in tenants}
    return failed


def update_data_docs(run: RunContext, verdicts: Sequence[ExpectationResult], home: Path) -> None:
    """Write Data Docs of what is known of every tenant, where anything was judged now."""
    if verdicts:
        current = run.lake.current(run.con, operations.data_quality_results, name="present_results")
        run.con.execute(f"create or replace temp table shown_results as from {current}")
        write_data_docs(run.con, "shown_results", run.as_of, home / DATA_DOCS_FOLDER)


class GateResult(NamedTuple):
    """What was judged now: all verdicts, and the tenants that were judged whole."""

    verdicts: list[ExpectationResult]
    whole: list[str]


def evaluate_tenants(run: RunContext, due: PendingByTenant, tenants: Sequence[str]) -> GateResult:
    """Judge what moved of these tenants and keep the verdicts; what did not move keeps its own.

    Where little moved of a tenant and nothing is wrong with that, it keeps its own too. Who is judged whole is not
    looked at again today once `keep_measures` was called, which therefore comes after the verdicts are reported.
    """
    run.define_as_of()
    judged = find_evaluated_today(run, tenants)
    whole = _select_tenants_to_evaluate(run, due, tenants, judged)
    verdicts = [*_evaluate_tables(run, due, whole, judged), *compare_tables(run, whole)]
    if verdicts:
        _store_results(run, verdicts)
    return GateResult(verdicts, whole)


def _select_tenants_to_evaluate(
    run: RunContext, due: PendingByTenant, tenants: Sequence[str], judged: Mapping[str, bool]
) -> list[str]:
    """Whose rows are all judged: who last failed, who moved much or to something wrong, and once a day everybody."""
    held = [tenant for tenant in tenants if judged.get(tenant)]
    little = find_barely_changed(due, held)
    spared = set(little) - find_incremental_failures(run, due, little) | set(held) - set(due)
    return [tenant for tenant in tenants if tenant not in spared]


def _evaluate_tables(
    run: RunContext, due: PendingByTenant, tenants: Sequence[str], judged: Mapping[str, bool]
) -> Iterator[ExpectationResult]:
    """Judge the tables of these tenants that moved, and those of whom was not judged today."""
    for table in EVALUATED_TABLES:
        moved = [t for t in tenants if t not in judged or any(rows.table is table for rows in due.get(t, ()))]
        yield from evaluate_rows(run.con, TABLE_SUITES[table], lake_view_name(table), moved)


def _store_results(run: RunContext, verdicts: Sequence[ExpectationResult]) -> None:
    """Those of a suite that was not judged again stay."""
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    run.con.register("verdicts", pd.DataFrame(verdicts))
    run.con.execute(f"""
        create or replace temp table results as
        select *, '{run.as_of.isoformat()}'::timestamptz as checked_at, '{run.run_id}' as run_id from verdicts""")
    judged = sorted({verdict.tenant_id for verdict in verdicts})
    scope = "(tenant_id, suite) in (select (tenant_id, suite) from results)"
    run.replace(operations.data_quality_results, "results", judged, scope)


def find_barely_changed(due: PendingByTenant, tenants: Sequence[str]) -> list[str]:
    """Which of the tenants moved, and only a little, in the tables that are judged or compared."""

    def is_little(tenant: str) -> bool:
        parts = [rows for rows in due[tenant] if rows.table in PROFILE_COLUMNS]
        return all(rows.changes and rows.moved <= MAX_CHANGED_SHARE * rows.content.rows for rows in parts)

    return [tenant for tenant in tenants if tenant in due and is_little(tenant)]


def find_incremental_failures(run: RunContext, due: PendingByTenant, tenants: Sequence[str]) -> set[str]:
    """Which of these tenants break an expectation in rows that changed, or an agreement in profiles that moved."""
    if not tenants:
        return set()
    verdicts = []
    for table, suite in TABLE_SUITES.items():
        moved = [tenant for tenant in tenants if any(rows.table is table for rows in due[tenant])]
        verdicts += evaluate_rows(run.con, suite, f"(from {changes_table_name(table)} where not _is_removed)", moved)
    batch = replace(run, tenants=tenants)
    _find_changed_profiles(batch)
    _create_compared_views(batch)
    verdicts += evaluate_agreements(batch, tenants)
    return {verdict.tenant_id for verdict in verdicts if not verdict.success}


def _find_changed_profiles(batch: RunContext) -> None:
    """Create temp tables `moved_records`, since the last whole judgement, and `moved_profiles`, since the publication.

    Whoever a changed row was about before has moved as well. A result that came out as before keeps its older hour.
    """
    of_tenants = build_tenant_condition(batch.tenants)
    kept = batch.lake.current(batch.con, operations.data_quality_results, tenants=batch.tenants, name="kept_results")
    batch.con.execute(f"""
        create or replace temp table judged_whole as
        select tenant_id, max(checked_at) as judged_at from {kept} group by tenant_id""")
    changed = [
        f"""select tenant_id, '{service}' as service, cast({column} as varchar) as service_record_id
            from {batch.lake.log(batch.con, table)} join judged_whole using (tenant_id)
            where _known_at >= '{batch.as_of:%Y-%m-%d}T00:00:00Z'::timestamptz
                and (_known_at > judged_at or _known_at = as_of())"""
        for table, (service, column) in RECORD_COLUMNS.items()
    ]
    batch.con.execute(
        f"create or replace temp table moved_records as select distinct * from ({_build_union_query(changed)})"
    )
    linked = batch.lake.current(batch.con, identity.customer_identities, tenants=batch.tenants, name="linked")
    moved = [f"select tenant_id, profile_id as id from {linked} semi join moved_records using ({RECORD_KEY})"]
    for table, column in PROFILE_COLUMNS.items():
        moved += [
            f"select tenant_id, {column} as id from {change_log_name(table)} where {of_tenants}",
            f"""select tenant_id, {column} as id from ({build_replaced_rows_query(batch.lake.log(batch.con, table), change_log_name(table))})
                where {of_tenants}""",
        ]
    batch.con.execute(
        f"create or replace temp table moved_profiles as select distinct * from ({_build_union_query(moved)})"
    )


def _create_compared_views(batch: RunContext) -> None:
    """Create what `judge_agreements` reads, of no more than these profiles and the records that are theirs or moved."""
    for name, table in COMPARED_RELATIONS.items():
        if column := PROFILE_COLUMNS.get(table):
            whole = batch.lake.current(batch.con, table, tenants=batch.tenants, name=f"whole_{table.name}")
            batch.con.execute(f"""
                create or replace temp view {name} as
                from {whole} w semi join moved_profiles m on m.id = w.{column}""")
    batch.con.execute(f"insert into moved_records select {RECORD_KEY} from compared_identities")
    for table, (service, column) in RECORD_COLUMNS.items():
        name = to_lake_name(table)
        present = batch.lake.current(batch.con, table, tenants=batch.tenants, name=f"present_{name}")
        batch.con.execute(f"""
            create or replace temp view moved_{name} as
            from {present} p semi join moved_records m
            on m.service = '{service}' and m.tenant_id = p.tenant_id
                and m.service_record_id = cast(p.{column} as varchar)""")
        row_validation.validate_rows(batch.con, table, f"moved_{name}", batch.as_of)


def _build_union_query(queries: Sequence[str]) -> str:
    return " union all ".join(queries)


def find_evaluated_today(run: RunContext, tenants: Sequence[str]) -> dict[str, bool]:
    """Who of the tenants was judged whole today, by the suites as they are; whether all that is kept of it held."""
    kept = run.lake.current(run.con, operations.data_quality_results, tenants=tenants, name="kept_results")
    measures = run.lake.current(run.con, operations.quality_measures, tenants=tenants, name="kept_measures")
    found = run.con.sql(f"""
        select tenant_id, bool_and(success), list((suite, expectation)) from {kept}
        semi join (from {measures} where measured_on = cast(as_of() as date)) using (tenant_id)
        group by tenant_id""").fetchall()
    return {tenant: held for tenant, held, names in found if sorted(names) == sorted(MEANINGS)}


def compare_tables(run: RunContext, tenants: Sequence[str]) -> list[ExpectationResult]:
    """Judge these tenants' tables against each other, the services' rows and the club's own past."""
    if not tenants:
        return []
    replace(run, tenants=tenants).load_rows([*PERSON_TABLES.values(), scl.payment])
    for name, table in COMPARED_RELATIONS.items():
        run.lake.current(run.con, table, tenants=tenants, name=name)
    disagreements = evaluate_agreements(run, tenants)
    find_anomalies(run.con)
    return [*disagreements, *evaluate_findings(run.con, ANOMALY_SUITE, "unusual")]


def evaluate_agreements(run: RunContext, tenants: Sequence[str]) -> list[ExpectationResult]:
    """Judge what is given of these tenants, in relations called as `GIVEN` and the services' rows are."""
    query = "create or replace temp table evaluated_tenants as select unnest($tenants) as tenant_id"
    run.con.execute(query, {"tenants": list(tenants)})
    find_disagreements(run.con)
    return evaluate_findings(run.con, CROSS_TABLE_SUITE, "disagreements")


def store_measures(run: RunContext, tenants: Sequence[str]) -> None:
    """Keep what `compare` measured of these tenants as today's, and let the days leave that are too long ago."""
    if not tenants:
        return
    today = f"date '{run.as_of:%Y-%m-%d}'"
    run.con.execute(f"""
        create or replace temp view measured_today as
        select tenant_id, {today} as measured_on, measure, value from measured""")
    scope = f"(measured_on = {today} or measured_on < {today} - {STORED_DAYS})"
    run.replace(operations.quality_measures, "measured_today", tenants, scope)


def load_stored_results(run: RunContext, tenants: Sequence[str]) -> dict[tuple[str, str], list[ExpectationResult]]:
    """What is known of these tenants, by tenant and suite."""
    current = run.lake.current(run.con, operations.data_quality_results, tenants=tenants, name="known_results")
    known: dict[tuple[str, str], list[ExpectationResult]] = defaultdict(list)
    for row in run.con.sql(f"select {', '.join(ExpectationResult._fields)} from {current} order by all").fetchall():
        known[row[0], row[1]].append(ExpectationResult(*row))
    return known


def format_short_list(reasons: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(reasons) - MAX_LISTED_ITEMS
    return "; ".join(reasons[:MAX_LISTED_ITEMS]) + (f" and {more} more" if more > 0 else "")
