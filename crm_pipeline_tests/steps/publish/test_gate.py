"""The gate: which tenants a failure stops, which are evaluated again, and what Dagster and Data Docs show."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.checks.expectations import MEANINGS
from crm_pipeline.cli.options import override_environment
from crm_pipeline.defs.jobs.alerts import list_failed_checks
from crm_pipeline.incremental.failures import build_for_survivors
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.publishing.publication_state import ContentFingerprint
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingRows
from crm_pipeline.run_context import RunContext
from crm_pipeline.steps.publish import gate
from crm_pipeline.steps.publish.gate import (
    find_barely_changed,
    find_evaluated_today,
    find_failed_tenants,
    store_measures,
    store_results,
)
from crm_pipeline.steps.publish.pending_rows import lake_view_name
from crm_pipeline.tables.outputs.operations import quality_measures
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.histories.moving_services import delivered
from crm_pipeline_tests.fixtures.homes.runs import (
    FYNBOS,
    HEATHER,
    dagster_of,
    evaluations,
    hour,
    keep_in_lake,
    publish_alone,
    said,
)
from crm_pipeline_tests.fixtures.homes.support import AS_OF, ask, clean_environment

WARNINGS = ("customer_profiles", "warning_expectations")
CRITICAL = [("customer_profiles", "critical_expectations"), ("customer_timeline", "critical_expectations")]
GREETED = "'renamed' as display_name"
NOON = hour(AS_OF)
RENAMED = "select tenant_id from crm.customer_profiles where display_name = 'renamed'"
FAILED = """
    select tenant_id, suite, expectation, is_critical, observed from crm.data_quality_results
    where not success order by 1"""


def result_of(tenant: str, *, success: bool = False, is_critical: bool = True, name: str = "x") -> ExpectationResult:
    return ExpectationResult(tenant, "suite", name, success, is_critical, int(not success), 10)


def test_who_breaks_a_critical_expectation_is_stopped_and_a_warning_stops_nobody() -> None:
    results = [result_of("bad"), result_of("odd", is_critical=False), result_of("good", success=True)]
    assert find_failed_tenants(results, ["bad", "odd", "good"]) == {"bad": "suite: x"}


def test_the_reason_names_the_first_three_and_what_was_found() -> None:
    results = [result_of("bad", name=name)._replace(observed=f"{name} of 9") for name in "12345"]
    reason = find_failed_tenants(results, ["bad", "good"])["bad"]
    assert reason == "suite: 1, 1 of 9; suite: 2, 2 of 9; suite: 3, 3 of 9 and 2 more"


@pytest.mark.parametrize(("failing", "stopped"), [(0, 0), (1, 1), (2, 2), (3, 4), (4, 4)])
def test_where_more_than_half_fail_all_are_stopped(failing: int, stopped: int) -> None:
    tenants = ["a", "b", "c", "d"]
    failed = find_failed_tenants([result_of(tenant) for tenant in tenants[:failing]], tenants)
    assert len(failed) == stopped
    assert all(failed[tenant] == "suite: x" for tenant in tenants[:failing])
    assert {failed[tenant] for tenant in tenants[failing:] if tenant in failed} <= {"most tenants failed their checks"}


@pytest.fixture
def at_noon(tmp_path: Path) -> Iterator[RunContext]:
    """A run context on an empty lake."""
    lake = Lake(str(tmp_path / "lake"), tmp_path / "spill")
    with closing(lake.connect()) as con:
        yield RunContext(con, lake, NOON, "run", None)


def measured(run: RunContext, value: float, *tenants: str) -> None:
    """Stores a measure of these tenants as of this run."""
    query = "select unnest($tenants) as tenant_id, 'profiles' as measure, $value::double as value"
    run.con.execute(f"create or replace temp table measured as {query}", {"tenants": list(tenants), "value": value})
    store_measures(run, tenants)


def store(run: RunContext, results: list[ExpectationResult]) -> None:
    """Stores all of these results."""
    store_results(run, results, sorted({result.tenant_id for result in results}))


def results_of(tenant: str, *, failing: str = "") -> list[ExpectationResult]:
    """Returns the results of a full evaluation."""
    return [
        ExpectationResult(tenant, suite, name, name != failing, suite != "as_usual", int(name == failing), 10)
        for suite, name in MEANINGS
    ]


def to_evaluate(run: RunContext, tenants: list[str], **pending: list[PendingRows]) -> list[str]:
    run.define_as_of()
    return gate._select_tenants_to_evaluate(run, pending, tenants, find_evaluated_today(run, tenants))


ALL_OF_IT = PendingRows(customer_profiles, "", ContentFingerprint(10, 0), 1, "a lake")


def test_tenants_that_failed_or_changed_much_are_evaluated_and_all_once_a_day(at_noon: RunContext) -> None:
    clubs = ["failing", "moved", "new", "quiet"]
    measured(at_noon, 10, "failing", "moved", "quiet")
    store(at_noon, [*results_of("failing", failing="profiles"), *results_of("moved")])
    store(at_noon, results_of("quiet"))
    assert to_evaluate(at_noon, clubs, moved=[ALL_OF_IT]) == ["failing", "moved", "new"]
    assert to_evaluate(replace(at_noon, as_of=NOON + timedelta(hours=11)), clubs) == ["failing", "new"]
    assert to_evaluate(replace(at_noon, as_of=NOON + timedelta(hours=12)), clubs) == clubs


def test_a_club_that_recovers_has_new_results_also_where_another_cannot_be_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = Hours(tmp_path, delivered(tmp_path / "services", tenants=3, people=30, events=90, until=NOON))
    hours.refresh(NOON)
    compare_tables = gate.compare_tables

    def compare_or_fail(run: RunContext, tenants: Sequence[str]) -> list[ExpectationResult]:
        if broken in tenants:
            raise ValueError
        return compare_tables(run, tenants)

    monkeypatch.setattr(gate, "compare_tables", compare_or_fail)
    with closing(hours.lake.connect()) as con:
        run = RunContext(con, hours.lake, NOON, "run", None)
        recovered, broken, quiet = clubs = run.load_tenant_ids()
        measured(run, 10, *clubs)
        store(run, [*results_of(recovered, failing="profiles"), *results_of(broken, failing="profiles")])
        store(run, results_of(quiet))
        for table in gate.EVALUATED_TABLES:
            hours.lake.create_current_view(con, table, name=lake_view_name(table))
        result, reasons = build_for_survivors(partial(gate.evaluate_tenants, run, {}), clubs)
    assert list(reasons) == [broken]
    assert result.fully_evaluated_tenants == [recovered]
    assert {each.tenant_id for each in result.results} == {recovered}


@pytest.mark.parametrize(("changed_rows", "is_barely_changed"), [(0, True), (10, True), (11, False)])
def test_more_than_a_tenth_is_not_barely_changed(changed_rows: int, is_barely_changed: bool) -> None:
    rows = PendingRows(
        customer_profiles,
        "",
        ContentFingerprint(100, 0),
        1,
        "a lake",
        "pending_changes_customer_profiles",
        changed_rows,
    )
    assert find_barely_changed({"club": [rows]}, ["club"]) == (["club"] if is_barely_changed else [])


def test_new_or_removed_expectations_are_a_full_evaluation(at_noon: RunContext) -> None:
    measured(at_noon, 10, "before", "now", "later")
    before, *others = results_of("before")
    store(at_noon, [before._replace(expectation="renamed since"), *others])
    store(at_noon, results_of("now"))
    store(at_noon, results_of("later")[:-1])
    assert to_evaluate(at_noon, ["before", "now", "later"]) == ["before", "later"]


def test_of_a_day_the_last_measurement_stays_and_of_the_days_sixty(at_noon: RunContext) -> None:
    def kept() -> list[tuple[Any, ...]]:
        view = at_noon.lake.create_current_view(at_noon.con, quality_measures)
        return at_noon.con.sql(f"select measured_on, tenant_id, value from {view} order by all").fetchall()

    measured(at_noon, 10, "a", "b")
    measured(replace(at_noon, as_of=NOON + timedelta(hours=1)), 11, "a")
    assert kept() == [(date(2026, 3, 31), "a", 11.0), (date(2026, 3, 31), "b", 10.0)]
    measured(replace(at_noon, as_of=NOON + timedelta(days=60)), 12, "a", "b")
    assert len(kept()) == 4
    measured(replace(at_noon, as_of=NOON + timedelta(days=61)), 13, "a")
    assert kept() == [
        (date(2026, 3, 31), "b", 10.0),
        (date(2026, 5, 30), "a", 12.0),
        (date(2026, 5, 30), "b", 12.0),
        (date(2026, 5, 31), "a", 13.0),
    ]


def tenant_evaluations(home: Path, run_id: str) -> dict[tuple[str, str, str], Any]:
    """Returns the evaluations per table, check and tenant that a run reported to Dagster."""
    return {(name, check, tenant): e for (name, check, tenant), e in evaluations(home, run_id).items() if tenant}


@contextmanager
def usually(home: Path, tenant: str, profiles: int) -> Iterator[None]:
    """Stores ten days on which the club had so many profiles, and deletes them afterwards."""
    days = [NOON.date() - timedelta(days=n) for n in range(1, 11)]

    def remember(query: str, known_at: datetime) -> None:
        with clean_environment(), closing(open_lake(override_environment(home)).connect()) as con:
            con.execute(f"create temp table past as {query}")
            condition = f"measured_on < date '{NOON:%Y-%m-%d}'"
            open_lake(override_environment(home)).replace(
                con, quality_measures, "past", tenants=[tenant], known_at=known_at, condition=condition
            )

    rows = ", ".join(f"('{tenant}', date '{day}', 'profiles', {profiles}.0)" for day in days)
    remember(f"from (values {rows}) t(tenant_id, measured_on, measure, value)", NOON)
    yield
    remember("from (select '' as tenant_id, current_date as measured_on, '' as measure, 0.0 as value) limit 0", NOON)


def test_one_club_is_stopped_another_is_warned_of_and_both_are_shown_until_mended(refreshed: Path) -> None:
    (profiles,) = ask(refreshed, f"select count(*) from crm.customer_profiles where tenant_id = '{HEATHER}'")[0]
    disagree = "tables_agree: lifetime_value_adds_up"
    with usually(refreshed, HEATHER, 10 * profiles):
        keep_in_lake(refreshed, {FYNBOS: f"{GREETED}, lifetime_value + 1 as lifetime_value", HEATHER: GREETED})
        for _ in range(2):  # the second time nothing has changed at Heather Moor
            result = publish_alone(refreshed)
            assert said(result) == f"not published, last published data kept: {FYNBOS} ({disagree})"
            assert {tenant for tenant, *_ in ask(refreshed, RENAMED)} == {HEATHER}
            observed = f"{profiles}; usually {9 * profiles} to {11 * profiles} over 10 days"
            assert ask(refreshed, FAILED) == [
                (FYNBOS, "tables_agree", "lifetime_value_adds_up", True, None),
                (HEATHER, "as_usual", "profiles", False, observed),
            ]
            _assert_tenant_evaluations(tenant_evaluations(refreshed, result.run_id), observed)
            _assert_combined_evaluations(evaluations(refreshed, result.run_id), observed)
            with dagster_of(refreshed) as instance:
                assert list_failed_checks(instance, result.run_id) == []  # the failure itself says it
            assert observed in (refreshed / "data_docs" / "index.html").read_text(encoding="utf-8")
        alone = evaluations(refreshed, publish_alone(refreshed, only=HEATHER).run_id)[*WARNINGS, HEATHER]
        assert (alone.passed, alone.severity) == (False, dg.AssetCheckSeverity.WARN)
    keep_in_lake(refreshed, {FYNBOS: "lifetime_value - 1 as lifetime_value"})
    result = publish_alone(refreshed)
    assert result.success
    assert [e.passed for e in tenant_evaluations(refreshed, result.run_id).values()] == [True] * 4
    assert ask(refreshed, FAILED) == []


def test_of_several_clubs_the_check_as_a_whole_warns_while_one_of_them_is_warned_of(refreshed: Path) -> None:
    (profiles,) = ask(refreshed, f"select count(*) from crm.customer_profiles where tenant_id = '{HEATHER}'")[0]
    with usually(refreshed, HEATHER, 10 * profiles):
        keep_in_lake(refreshed, {HEATHER: GREETED})
        for _ in range(2):  # the second time nothing has changed
            result = publish_alone(refreshed)
            assert result.success
            found = evaluations(refreshed, result.run_id)
            whole = found[*WARNINGS, None]
            assert (whole.passed, whole.severity) == (False, dg.AssetCheckSeverity.WARN)
            assert f"\n| {HEATHER} | The club has about as many profiles as usual. |" in whole.description
            assert whole.metadata["clubs_that_break_one"].value == 1
            assert all(found[*check, None].passed for check in CRITICAL)
            with dagster_of(refreshed) as instance:
                assert list_failed_checks(instance, result.run_id) == []  # nobody is called for a warning
    keep_in_lake(refreshed, {HEATHER: "'renamed again' as display_name"})
    assert evaluations(refreshed, publish_alone(refreshed).run_id)[*WARNINGS, None].passed


def _assert_tenant_evaluations(found: Mapping[tuple[str, str, str], Any], observed: str) -> None:
    """Asserts evaluations of the two clubs alone, each with what is broken in a sentence and in a table."""
    assert set(found) == {(*check, club) for check in (CRITICAL[0], WARNINGS) for club in (FYNBOS, HEATHER)}
    stopped, warned = found[*CRITICAL[0], FYNBOS], found[*WARNINGS, HEATHER]
    assert (stopped.passed, stopped.severity, stopped.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert (warned.passed, warned.severity, warned.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert found[*CRITICAL[0], HEATHER].passed
    assert warned.description.endswith(" Broken: The club has about as many profiles as usual.")
    (row,) = warned.metadata["broken"].records
    assert row.data["observed"] == observed


def _assert_combined_evaluations(found: Mapping[tuple[str, str, str | None], Any], observed: str) -> None:
    """Asserts that the failed run says on the first page of each check what is broken for whom."""
    critical, timeline, warning = (found[*check, None] for check in (*CRITICAL, WARNINGS))
    assert [critical.passed, timeline.passed, warning.passed] == [False, True, False]
    assert f"\n| {FYNBOS} | A profile's lifetime value is the sum of " in critical.description
    assert HEATHER not in critical.description
    assert f"| {HEATHER} | The club has about as many profiles as usual. | {observed} |" in warning.description
    assert timeline.description.endswith(" expectations hold for 3 clubs.")
    assert [critical.metadata[name].value for name in ("clubs", "clubs_that_break_one")] == [3, 1]
