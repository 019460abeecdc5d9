"""How suites are evaluated: whose fault each fault is, and what is nobody's."""

import pytest

from crm_pipeline.checks import evaluation
from crm_pipeline.checks.evaluation import ExpectationResult, SuiteError, evaluate_findings, evaluate_rows
from crm_pipeline.checks.expectations import CROSS_TABLE_SUITE, TABLE_SUITES, Suite
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.vocabulary import CustomerStatus
from crm_pipeline_tests.fixtures.servers.warehouses import a_connection
from crm_pipeline_tests.fixtures.worlds.checked_clubs import Club, changed, sound, staged

TIMELINE = TABLE_SUITES[customer_timeline]


def named(suite: Suite) -> dict[str, str]:
    return {expected.name: expected.meaning for expected in suite.expected}


def events_of(clubs: dict[str, Club], *tenants: str) -> list[ExpectationResult]:
    return evaluate_rows(staged(clubs), TIMELINE, "compared_timeline", tenants)


def failures(verdicts: list[ExpectationResult]) -> dict[tuple[str, str], int]:
    return {(v.tenant_id, v.expectation): v.unexpected_count for v in verdicts if not v.success}


@pytest.fixture
def clubs() -> dict[str, Club]:
    """Club a is sound; two events of club b come from nowhere."""
    found = {"a": sound("a"), "b": sound("b")}
    changed("compared_timeline", rows=(0, 1), source="HEARSAY")(found["b"])
    return found


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
    verdicts = events_of(clubs, "a", "b", "without rows")
    assert failures(verdicts) == {("b", "source is known"): 2}
    assert {(v.tenant_id, v.rows) for v in verdicts} == {("a", 20), ("b", 20), ("without rows", 0)}


def test_rows_of_tenants_that_were_not_asked_for_do_not_count(clubs: dict[str, Club]) -> None:
    assert failures(events_of(clubs, "a")) == {}
    assert events_of(clubs) == []


def test_groups_do_not_change_a_verdict(clubs: dict[str, Club], monkeypatch: pytest.MonkeyPatch) -> None:
    together = events_of(clubs, "a", "b")
    monkeypatch.setattr(evaluation, "MAX_EVALUATED_ROWS", 1)
    assert sorted(events_of(clubs, "a", "b"), key=repr) == sorted(together, key=repr)


def test_an_expectation_nobody_looked_for_is_not_one_that_holds() -> None:
    con = a_connection()
    query = "select 'a' as tenant_id, 'money_equals_scl' as expectation, 0 as broken, 1 as rows, null as observed"
    con.execute(f"create table findings as {query}")
    with pytest.raises(SuiteError, match="tables_agree: event_has_a_profile cannot be evaluated: "):
        evaluate_findings(con, CROSS_TABLE_SUITE, "findings")
