"""Evaluation of the suites: each fault counts for its own tenant, and a missing result is an error."""

import pytest

from crm_pipeline.checks import evaluation
from crm_pipeline.checks.evaluation import ExpectationResult, SuiteError, evaluate_findings, evaluate_rows
from crm_pipeline.checks.expectations import CROSS_TABLE_SUITE, TABLE_SUITES, Suite
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.vocabulary import CustomerStatus
from crm_pipeline_tests.fixtures.servers.warehouses import a_connection
from crm_pipeline_tests.fixtures.worlds.checked_clubs import Club, changed, connect_clubs, valid_club

TIMELINE = TABLE_SUITES[customer_timeline]


def named(suite: Suite) -> dict[str, str]:
    return {expected.name: expected.meaning for expected in suite.expectations}


def events_of(clubs: dict[str, Club], *tenants: str) -> list[ExpectationResult]:
    return evaluate_rows(connect_clubs(clubs), TIMELINE, "compared_timeline", tenants)


def failures(results: list[ExpectationResult]) -> dict[tuple[str, str], int]:
    return {(result.tenant_id, result.expectation): result.unexpected_count for result in results if not result.success}


@pytest.fixture
def clubs() -> dict[str, Club]:
    """Club a is valid; two events of club b have an unknown source."""
    both_clubs = {"a": valid_club("a"), "b": valid_club("b")}
    changed("compared_timeline", rows=(0, 1), source="HEARSAY")(both_clubs["b"])
    return both_clubs


def test_a_tables_suite_is_its_declaration() -> None:
    assert list(named(TIMELINE)) == [
        "event_id is present",
        "profile_id is present",
        "occurred_at is present",
        "source is present",
        "source is known",
        "event_type is present",
        "event_type is known",
        "service_record_id is present",
        "counts_as is known",
        "summary is present",
        "details is present",
        "visit_kind is known",
        "tenant_id, event_id is unique",
        "happened_by_as_of",
        "amount_has_a_currency",
    ]


def test_the_words_of_an_expectation_come_from_the_declaration_too() -> None:
    meanings = named(TABLE_SUITES[customer_profiles])
    assert meanings["lifetime_value is at least 0"] == "lifetime_value is 0 or more."
    assert meanings["tags is present"] == "tags is never empty."
    assert meanings["status is known"] == f"status is one of {', '.join(CustomerStatus)}."
    assert "email is present" not in meanings


def test_a_fault_is_its_own_tenants(clubs: dict[str, Club]) -> None:
    results = events_of(clubs, "a", "b", "without rows")
    assert failures(results) == {("b", "source is known"): 2}
    assert {(result.tenant_id, result.rows) for result in results} == {("a", 20), ("b", 20), ("without rows", 0)}


def test_rows_of_tenants_that_were_not_asked_for_do_not_count(clubs: dict[str, Club]) -> None:
    assert failures(events_of(clubs, "a")) == {}
    assert events_of(clubs) == []


def test_batches_do_not_change_a_result(clubs: dict[str, Club], monkeypatch: pytest.MonkeyPatch) -> None:
    together = events_of(clubs, "a", "b")
    monkeypatch.setattr(evaluation, "MAX_EVALUATED_ROWS", 1)
    assert sorted(events_of(clubs, "a", "b"), key=repr) == sorted(together, key=repr)


def test_an_expectation_without_findings_is_an_error() -> None:
    con = a_connection()
    query = "select 'a' as tenant_id, 'money_equals_scl' as expectation, 0 as broken, 1 as rows, null as observed"
    con.execute(f"create table findings as {query}")
    with pytest.raises(SuiteError, match="tables_agree: event_has_a_profile cannot be evaluated: "):
        evaluate_findings(con, CROSS_TABLE_SUITE, "findings")
