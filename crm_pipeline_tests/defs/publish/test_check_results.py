"""What a check says on its first page, from results written by hand."""

from collections.abc import Sequence

import dagster as dg

from crm_pipeline.checks.evaluation import ExpectationResult
from crm_pipeline.defs.publish import check_results
from crm_pipeline.defs.publish.check_results import GATE_CHECKS, MAX_SHOWN_ROWS, GateCheck
from crm_pipeline.tables.outputs.profiles import customer_profiles

CRITICAL, WARNINGS = GateCheck(customer_profiles, is_critical=True), GateCheck(customer_profiles, is_critical=False)
RANGE, UNIQUE, ADDS_UP = "scores_in_range", "tenant_id, id is unique", "lifetime_value_adds_up"


def build_result(
    tenant: str, expectation: str, *, suite: str = "customer_profiles", broken: int = 0, rows: int = 1200
) -> ExpectationResult:
    observed = "9; usually 1 to 5" if broken and suite == "as_usual" else None
    return ExpectationResult(tenant, suite, expectation, not broken, suite != "as_usual", broken, rows, observed)


def evaluate_together(check: GateCheck, results: Sequence[ExpectationResult]) -> dg.AssetCheckEvaluation:
    return check_results._build_combined_evaluation(check, sorted({r.tenant_id for r in results}), _store(results))


def _store(results: Sequence[ExpectationResult]) -> dict[tuple[str, str], list[ExpectationResult]]:
    stored: dict[tuple[str, str], list[ExpectationResult]] = {}
    for result in results:
        stored.setdefault((result.tenant_id, result.suite), []).append(result)
    return stored


def test_there_is_a_check_per_table_and_severity_that_has_expectations() -> None:
    assert [(check.table.name, check.name, [suite.name for suite in check.suites]) for check in GATE_CHECKS] == [
        ("customer_profiles", "critical_expectations", ["customer_profiles", "tables_agree"]),
        ("customer_profiles", "warning_expectations", ["as_usual"]),
        ("customer_timeline", "critical_expectations", ["customer_timeline"]),
    ]


def test_where_all_holds_the_check_says_of_how_many_clubs() -> None:
    results = [build_result(club, name) for club in ("downs", "heath", "links") for name in (RANGE, UNIQUE)]
    evaluation = evaluate_together(CRITICAL, results)
    assert evaluation.passed
    assert evaluation.description == "2 of 2 expectations hold for 3 clubs."
    assert {name: value.value for name, value in evaluation.metadata.items()} == {
        "clubs": 3,
        "clubs_that_break_one": 0,
        "broken_expectations": 0,
        "broken_rows": 0,
    }


def test_what_is_broken_is_listed_with_the_club_the_meaning_and_the_rows() -> None:
    results = [
        build_result("downs", RANGE),
        build_result("downs", ADDS_UP, suite="tables_agree", broken=1),
        build_result("heath", RANGE, broken=1100),
        build_result("heath", ADDS_UP, suite="tables_agree"),
    ]
    evaluation = evaluate_together(CRITICAL, results)
    assert (evaluation.passed, evaluation.severity, evaluation.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    adds_up = "A profile's lifetime value is the sum of the amounts on its timeline, or 0 where that is less."
    assert str(evaluation.description).splitlines() == [
        "0 of 2 expectations hold for 2 clubs.",
        "",
        "| tenant | expectation | rows |",
        "| --- | --- | --- |",
        f"| downs | {adds_up} | 1 of 1,200 |",
        "| heath | Scores lie between 0 and 100. | 1,100 of 1,200 |",
    ]
    assert {name: value.value for name, value in evaluation.metadata.items()} == {
        "clubs": 2,
        "clubs_that_break_one": 2,
        "broken_expectations": 2,
        "broken_rows": 1101,
    }


def test_a_club_alone_has_what_is_broken_in_a_sentence_and_a_table() -> None:
    stored = _store([build_result("heath", RANGE, broken=7), build_result("heath", UNIQUE)])
    evaluation = check_results._build_tenant_evaluation(CRITICAL, "heath", stored)
    assert evaluation.partition == "heath"
    assert evaluation.description == "1 of 2 expectations hold. Broken: Scores lie between 0 and 100."
    broken = evaluation.metadata["broken"]
    assert isinstance(broken, dg.TableMetadataValue)
    assert [record.data for record in broken.records] == [
        {
            "expectation": "Scores lie between 0 and 100.",
            "broken_rows": 7,
            "of_rows": 1200,
            "observed": "",
            "name": "customer_profiles: scores_in_range",
        }
    ]


def test_an_unusual_measure_has_what_was_found_and_no_rows() -> None:
    results = [build_result("heath", "profiles", suite="as_usual", broken=1, rows=8)]
    evaluation = evaluate_together(WARNINGS, results)
    assert (evaluation.passed, evaluation.severity, evaluation.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert str(evaluation.description).splitlines()[2:] == [
        "| tenant | expectation | observed |",
        "| --- | --- | --- |",
        "| heath | The club has about as many profiles as usual. | 9; usually 1 to 5 |",
    ]


def test_before_a_week_is_known_it_is_too_early_to_call_anything_usual() -> None:
    days = {"downs": 6, "heath": 7, "links": 0}
    results = [build_result(club, "profiles", suite="as_usual", rows=count) for club, count in days.items()]
    description = "1 of 1 expectations hold for 3 clubs. Too early to say for 2 clubs: the usual is known after 7 days."
    assert evaluate_together(WARNINGS, results).description == description


def test_a_long_list_is_cut_and_a_club_without_results_says_so() -> None:
    results = [build_result(f"club-{number:03}", RANGE, broken=1) for number in range(MAX_SHOWN_ROWS + 5)]
    evaluation = evaluate_together(CRITICAL, results)
    lines = str(evaluation.description).splitlines()
    assert (lines[-1], len([line for line in lines if line.startswith("| club-")])) == ("and 5 more", MAX_SHOWN_ROWS)
    assert evaluation.metadata["clubs_that_break_one"].value == MAX_SHOWN_ROWS + 5
    assert evaluate_together(CRITICAL, []).description == "Nothing was evaluated."
