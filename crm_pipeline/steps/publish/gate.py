"""The quality gate: evaluates expectations on the lake rows of each tenant; a tenant that fails is not published.

Once a day a tenant is fully evaluated. If it passed today and barely changed since, only its changed rows are
evaluated, and a failure there leads to a full evaluation. Results are stored in the lake.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from crm_pipeline.checks.anomalies import STORED_DAYS, find_anomalies
from crm_pipeline.checks.cross_table import find_disagreements
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
"""If more than this share of the tenants fails, none is published."""
MAX_CHANGED_SHARE: Final = 0.1
"""Share of a table's rows. If more changed, totals may be anomalous, which only a full evaluation finds."""
PROFILE_COLUMNS: Final = {
    profiles.customer_profiles: "id",
    timeline.customer_timeline: "profile_id",
    identity.customer_identities: "profile_id",
}
"""The compared tables, each with its column of profile ids."""
RECORD_COLUMNS: Final = {table: (service, "id") for service, table in PERSON_TABLES.items()} | {
    scl.payment: (Service.SCL, "member_id")
}
"""The source tables they are compared with, each with service and column of the person record a row is about."""
COMPARED_RELATIONS = {
    "compared_profiles": profiles.customer_profiles,
    "compared_timeline": timeline.customer_timeline,
    "compared_identities": identity.customer_identities,
    "history": operations.quality_measures,
}
EVALUATED_TABLES = (profiles.customer_profiles, timeline.customer_timeline)
MAX_LISTED_ITEMS = 3


class GateResult(NamedTuple):
    """The new results of this run, and the tenants that were fully evaluated."""

    results: list[ExpectationResult]
    fully_evaluated_tenants: list[str]


def find_failed_tenants(results: Sequence[ExpectationResult], tenants: Sequence[str]) -> dict[str, str]:
    """Returns per tenant that must not be published the reason; all tenants, where most fail."""
    broken: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.is_critical and not result.success:
            observed = f", {result.observed}" if result.observed else ""
            broken[result.tenant_id].append(f"{result.suite}: {result.expectation}{observed}")
    failed = {tenant: format_short_list(reasons) for tenant, reasons in broken.items()}
    if len(failed) > MAX_FAILED_SHARE * len(tenants):
        return {tenant: failed.get(tenant, "most tenants failed their checks") for tenant in tenants}
    return failed


def evaluate_tenants(run: RunContext, pending: PendingByTenant, tenants: Sequence[str]) -> GateResult:
    """Returns the new results of tenants to evaluate; other tenants and tables keep their stored results.

    Store them by `store_results`, and `store_measures` after they are reported: only then does a tenant count as
    evaluated today.
    """
    run.define_as_of()
    evaluated_today = find_evaluated_today(run, tenants)
    fully_evaluated = _select_tenants_to_evaluate(run, pending, tenants, evaluated_today)
    results = [*_evaluate_tables(run, pending, fully_evaluated, evaluated_today), *compare_tables(run, fully_evaluated)]
    return GateResult(results, fully_evaluated)


def find_barely_changed(pending: PendingByTenant, tenants: Sequence[str]) -> list[str]:
    """Returns the tenants with pending rows that changed at most MAX_CHANGED_SHARE of each compared table."""

    def is_barely_changed(tenant: str) -> bool:
        tables = [rows for rows in pending[tenant] if rows.table in PROFILE_COLUMNS]
        return all(
            rows.changes_relation and rows.changed_rows <= MAX_CHANGED_SHARE * rows.fingerprint.rows for rows in tables
        )

    return [tenant for tenant in tenants if tenant in pending and is_barely_changed(tenant)]


def find_incremental_failures(run: RunContext, pending: PendingByTenant, tenants: Sequence[str]) -> set[str]:
    """Returns the tenants with a failed expectation on changed rows, or a failed agreement on changed profiles."""
    if not tenants:
        return set()
    results = []
    for table, suite in TABLE_SUITES.items():
        changed_tenants = [tenant for tenant in tenants if any(rows.table is table for rows in pending[tenant])]
        present_changes = f"(from {changes_table_name(table)} where not _is_removed)"
        results += evaluate_rows(run.con, suite, present_changes, changed_tenants)
    batch = replace(run, tenants=tenants)
    _find_changed_profiles(batch)
    _create_compared_views(batch)
    results += evaluate_agreements(batch, tenants)
    return {result.tenant_id for result in results if not result.success}


def find_evaluated_today(run: RunContext, tenants: Sequence[str]) -> dict[str, list[str]]:
    """Returns the suites that failed, none if all passed, per tenant fully evaluated today by the present suites."""
    stored_view = run.lake.create_current_view(
        run.con, operations.data_quality_results, tenants=tenants, name="stored_results"
    )
    measures_view = run.lake.create_current_view(
        run.con, operations.quality_measures, tenants=tenants, name="stored_measures"
    )
    found = run.con.sql(f"""
        select tenant_id, coalesce(list(distinct suite) filter (not success), []), list((suite, expectation))
        from {stored_view} semi join (from {measures_view} where measured_on = cast(as_of() as date)) using (tenant_id)
        group by tenant_id""").fetchall()
    return {tenant: failed for tenant, failed, names in found if sorted(names) == sorted(MEANINGS)}


def compare_tables(run: RunContext, tenants: Sequence[str]) -> list[ExpectationResult]:
    """Returns the results of comparing the tenants' tables with each other, source rows and past measures."""
    if not tenants:
        return []
    replace(run, tenants=tenants).load_rows([*PERSON_TABLES.values(), scl.payment])
    for name, table in COMPARED_RELATIONS.items():
        run.lake.create_current_view(run.con, table, tenants=tenants, name=name)
    disagreements = evaluate_agreements(run, tenants)
    find_anomalies(run.con)
    return [*disagreements, *evaluate_findings(run.con, ANOMALY_SUITE, "anomalies")]


def evaluate_agreements(run: RunContext, tenants: Sequence[str]) -> list[ExpectationResult]:
    """Returns the results of the agreements between tables for these tenants.

    Reads: the relations of COMPARED_RELATIONS and the valid source rows of RECORD_COLUMNS.
    """
    query = "create or replace temp table evaluated_tenants as select unnest($tenants) as tenant_id"
    run.con.execute(query, {"tenants": list(tenants)})
    for table in (identity.withheld_consents, identity.profile_ids):
        run.lake.create_current_view(run.con, table, tenants=tenants)
    find_disagreements(run.con)
    return evaluate_findings(run.con, CROSS_TABLE_SUITE, "disagreements")


def store_results(run: RunContext, results: Sequence[ExpectationResult], tenants: Sequence[str]) -> None:
    """Stores the results of these tenants; those of suites that were not evaluated again stay."""
    import pandas as pd  # noqa: PLC0415  a second only runs should pay

    run.con.register("expectation_results", pd.DataFrame(results, columns=ExpectationResult._fields))
    run.con.execute(f"""
        create or replace temp table new_results as
        select *, '{run.as_of.isoformat()}'::timestamptz as checked_at, '{run.run_id}' as run_id
        from expectation_results where {build_tenant_condition(tenants)}""")
    condition = "(tenant_id, suite) in (select (tenant_id, suite) from new_results)"
    run.replace(operations.data_quality_results, "new_results", tenants, condition)


def store_measures(run: RunContext, tenants: Sequence[str]) -> None:
    """Stores the measures of these tenants as today's, and deletes those older than STORED_DAYS days.

    Reads: `measured`, which `compare_tables` creates.
    """
    if not tenants:
        return
    today = f"date '{run.as_of:%Y-%m-%d}'"
    run.con.execute(f"""
        create or replace temp view measured_today as
        select tenant_id, {today} as measured_on, measure, value from measured
        where {build_tenant_condition(tenants)}""")
    condition = f"(measured_on = {today} or measured_on < {today} - {STORED_DAYS})"
    run.replace(operations.quality_measures, "measured_today", tenants, condition)


def load_stored_results(run: RunContext, tenants: Sequence[str]) -> dict[tuple[str, str], list[ExpectationResult]]:
    """Returns the stored results of these tenants, by tenant and suite."""
    current = run.lake.create_current_view(
        run.con, operations.data_quality_results, tenants=tenants, name="stored_results"
    )
    stored_results: dict[tuple[str, str], list[ExpectationResult]] = defaultdict(list)
    for row in run.con.sql(f"select {', '.join(ExpectationResult._fields)} from {current} order by all").fetchall():
        stored_results[row[0], row[1]].append(ExpectationResult(*row))
    return stored_results


def format_short_list(reasons: Sequence[str]) -> str:
    """Returns the first MAX_LISTED_ITEMS reasons and the number of others."""
    more = len(reasons) - MAX_LISTED_ITEMS
    return "; ".join(reasons[:MAX_LISTED_ITEMS]) + (f" and {more} more" if more > 0 else "")


def _select_tenants_to_evaluate(
    run: RunContext, pending: PendingByTenant, tenants: Sequence[str], evaluated_today: Mapping[str, Sequence[str]]
) -> list[str]:
    """Returns the tenants to evaluate fully: not passed today, changed much, or with failures in changed rows."""
    passed = [tenant for tenant in tenants if tenant in evaluated_today and not evaluated_today[tenant]]
    barely_changed = find_barely_changed(pending, passed)
    skipped = set(barely_changed) - find_incremental_failures(run, pending, barely_changed) | set(passed) - set(pending)
    return [tenant for tenant in tenants if tenant not in skipped]


def _evaluate_tables(
    run: RunContext, pending: PendingByTenant, tenants: Sequence[str], evaluated_today: Mapping[str, Sequence[str]]
) -> Iterator[ExpectationResult]:
    """Yields the results of tables that changed or failed, and of all tables of tenants not evaluated today."""
    for table in EVALUATED_TABLES:
        changed_tenants = [
            tenant
            for tenant in tenants
            if table.name in evaluated_today.get(tenant, [table.name])
            or any(rows.table is table for rows in pending.get(tenant, ()))
        ]
        yield from evaluate_rows(run.con, TABLE_SUITES[table], lake_view_name(table), changed_tenants)


def _find_changed_profiles(batch: RunContext) -> None:
    """Creates temp tables `changed_records` and `changed_profiles`: present and former owners of changed rows.

    Records changed since the last full evaluation; profiles since the publication, or with a changed record.
    """
    of_tenants = build_tenant_condition(batch.tenants)
    stored_view = batch.lake.create_current_view(
        batch.con, operations.data_quality_results, tenants=batch.tenants, name="stored_results"
    )
    batch.con.execute(f"""
        create or replace temp table full_evaluations as
        select tenant_id, max(checked_at) as evaluated_at from {stored_view} group by tenant_id""")
    # An unchanged result keeps its older checked_at, so evaluated_at may be too early; it is never too late.
    record_queries = [
        f"""select tenant_id, '{service}' as service, cast({column} as varchar) as service_record_id
            from {batch.lake.create_log_view(batch.con, table)} join full_evaluations using (tenant_id)
            where _known_at >= '{batch.as_of:%Y-%m-%d}T00:00:00Z'::timestamptz
                and (_known_at > evaluated_at or _known_at = as_of())"""
        for table, (service, column) in RECORD_COLUMNS.items()
    ]
    batch.con.execute(
        f"create or replace temp table changed_records as select distinct * from ({_build_union_query(record_queries)})"
    )
    linked_view = batch.lake.create_current_view(
        batch.con, identity.customer_identities, tenants=batch.tenants, name="linked_records"
    )
    profile_queries = [
        f"select tenant_id, profile_id as id from {linked_view} semi join changed_records using ({identity.RECORD_KEY})"
    ]
    for table, column in PROFILE_COLUMNS.items():
        log_view = batch.lake.create_log_view(batch.con, table)
        profile_queries += [
            f"select tenant_id, {column} as id from {change_log_name(table)} where {of_tenants}",
            f"""select tenant_id, {column} as id
                from ({build_replaced_rows_query(log_view, change_log_name(table))}) where {of_tenants}""",
        ]
    batch.con.execute(f"""
        create or replace temp table changed_profiles as
        select distinct * from ({_build_union_query(profile_queries)})""")


def _create_compared_views(batch: RunContext) -> None:
    """Creates what `evaluate_agreements` reads, only of changed profiles, their records and changed records.

    Reads: `changed_profiles` and `changed_records`, to which the records of changed profiles are added.
    """
    for name, table in COMPARED_RELATIONS.items():
        if column := PROFILE_COLUMNS.get(table):
            stored_view = batch.lake.create_current_view(
                batch.con, table, tenants=batch.tenants, name=f"stored_{table.name}"
            )
            batch.con.execute(f"""
                create or replace temp view {name} as
                from {stored_view} s semi join changed_profiles c on c.id = s.{column}""")
    batch.con.execute(f"insert into changed_records select {identity.RECORD_KEY} from compared_identities")
    for table, (service, column) in RECORD_COLUMNS.items():
        name = to_lake_name(table)
        present_view = batch.lake.create_current_view(batch.con, table, tenants=batch.tenants, name=f"present_{name}")
        batch.con.execute(f"""
            create or replace temp view compared_{name} as
            from {present_view} p semi join changed_records c
            on c.service = '{service}' and c.tenant_id = p.tenant_id
                and c.service_record_id = cast(p.{column} as varchar)""")
        row_validation.validate_rows(batch.con, table, f"compared_{name}", batch.as_of)


def _build_union_query(queries: Sequence[str]) -> str:
    return " union all ".join(queries)
