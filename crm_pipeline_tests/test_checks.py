"""The quality gate: what is expected of the published tables, and whose fault each fault is."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import duckdb
import pytest
from sqlalchemy import Table

from crm_pipeline.checks import RULES, Suite, SuiteError, Verdict, _groups, judge
from crm_pipeline.tables.profiles import customer_profiles
from crm_pipeline.tables.timeline import customer_timeline
from crm_pipeline.vocabulary import ChurnBasis, CountsAs, CustomerStatus, EventType, LifecycleStage, Service
from crm_pipeline_tests.resources.warehouses import AS_OF, Row, a_connection, a_row, stage

ID = "00000000-0000-0000-0000-{:012}"
PROFILE = {
    "status": CustomerStatus.ACTIVE,
    "lifecycle_stage": next(iter(LifecycleStage)),
    "engagement_score": 50,
    "churn_risk_score": 10,
    "churn_basis": next(basis for basis in ChurnBasis if basis != "NO_SIGNAL"),
    "messaging_contact_id": "m",
}
EVENT = {"source": Service.SCL, "event_type": EventType.PAYMENT, "counts_as": next(iter(CountsAs))}
PROFILE_FAULTS: Mapping[str, tuple[Row, set[str]]] = {
    "nothing": ({}, set()),
    "score above 100": ({"engagement_score": 101}, {"scores_in_range"}),
    "score below 0": ({"engagement_score": -1}, {"scores_in_range", "engagement_score is at least 0"}),
    "no score": ({"engagement_score": None}, {"scores_in_range", "engagement_score is present"}),
    "risk above 100": ({"churn_risk_score": 101}, {"scores_in_range"}),
    "risk below 0": ({"churn_risk_score": -1}, {"scores_in_range"}),
    "risk without a basis": ({"churn_basis": "NO_SIGNAL"}, {"risk_has_a_basis"}),
    "basis without a risk": ({"churn_risk_score": None}, {"risk_has_a_basis"}),
    "unknown basis": ({"churn_basis": "HUNCH"}, {"churn_basis is known"}),
    "consent of nobody": ({"messaging_contact_id": None}, {"consent_has_a_contact"}),
    "no confidence": ({"identity_confidence": 0.0}, {"confidence_is_a_fraction"}),
    "too much confidence": ({"identity_confidence": 1.01}, {"confidence_is_a_fraction"}),
    "unknown status": ({"status": "FRIENDLY"}, {"status is known"}),
    "no stage": ({"lifecycle_stage": None}, {"lifecycle_stage is present"}),
    "negative money": ({"lifetime_value": -1}, {"lifetime_value is at least 0"}),
    "negative forecast": ({"predicted_value_12m": -1}, {"predicted_value_12m is at least 0"}),
    "no list": ({"tags": None}, {"tags is present"}),
    "no document": ({"field_sources": None}, {"field_sources is present"}),
    "no time": ({"first_seen_at": None}, {"first_seen_at is present"}),
    "no flag": ({"email_opt_in": None}, {"email_opt_in is present"}),
    "the same id": ({"id": ID.format(9)}, {"tenant_id, id is unique"}),
}
EVENT_FAULTS: Mapping[str, tuple[Row, set[str]]] = {
    "nothing": ({}, set()),
    "counts for nothing": ({"counts_as": None}, set()),
    "on the hour itself": ({"occurred_at": AS_OF}, set()),
    "somebody else's profile": ({"profile_id": ID.format(2)}, {"profile_is_published"}),
    "nobody's profile": ({"profile_id": None}, {"profile_is_published", "profile_id is present"}),
    "from the future": ({"occurred_at": AS_OF + timedelta(microseconds=1)}, {"happened_by_as_of"}),
    "at no time": ({"occurred_at": None}, {"happened_by_as_of", "occurred_at is present"}),
    "amount of nothing": ({"amount_cents": 1}, {"amount_has_a_currency"}),
    "currency of nothing": ({"currency": "EUR"}, {"amount_has_a_currency"}),
    "unknown source": ({"source": "HEARSAY"}, {"source is known"}),
    "unknown type": ({"event_type": "BIRTHDAY"}, {"event_type is known"}),
    "unknown count": ({"counts_as": "EVERYTHING"}, {"counts_as is known"}),
    "the same id": ({"event_id": "same"}, {"tenant_id, event_id is unique"}),
}
SOUND_ROWS, FAULTY_ROWS = 1, 2


def profile(tenant: str, number: int, **values: object) -> Row:
    return a_row(customer_profiles, **({"tenant_id": tenant, "id": ID.format(number)} | PROFILE | values))


def event(tenant: str, number: int, **values: object) -> Row:
    keys = {"tenant_id": tenant, "event_id": f"e{number}", "profile_id": ID.format(1)}
    return a_row(customer_timeline, **(keys | EVENT | values))


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A connection that knows the hour, and profile 1 of every faulty tenant and profile 2 of another."""
    con = a_connection()
    con.execute(f"create temp macro as_of() as '{AS_OF.isoformat()}'::timestamptz")
    profiles = [*(profile(tenant, 1) for tenant in (*EVENT_FAULTS, "a", "b")), profile("elsewhere", 2)]
    stage(con, customer_profiles, profiles, 1)
    con.execute("create temp table profiles_to_check as from rows_customer_profiles")
    return con


def judged(con: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[Row], tenants: Sequence[str]) -> list[Verdict]:
    return judge(con, Suite(table), stage(con, table, rows, 1).relation, tenants)


def broken(verdicts: Sequence[Verdict]) -> dict[str, dict[str, int]]:
    """Per tenant the expectations that did not hold, with the rows that broke them."""
    found: dict[str, dict[str, int]] = {verdict.tenant_id: {} for verdict in verdicts}
    for verdict in verdicts:
        if not verdict.success:
            found[verdict.tenant_id][verdict.expectation] = verdict.unexpected_count
    return found


def test_the_suite_is_the_declaration() -> None:
    assert [name for name, _ in Suite(customer_timeline).expectations()] == [
        "tenant_id is present",
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
        "profile_is_published",
        "happened_by_as_of",
        "amount_has_a_currency",
    ]


def test_the_profiles_suite_knows_minima_sets_and_what_may_be_empty() -> None:
    expectations = dict(Suite(customer_profiles).expectations())
    assert {"lifetime_value is at least 0", "lifetime_value is present", "tags is present"} <= expectations.keys()
    assert "email is present" not in expectations
    assert set(expectations["status is known"].value_set) == set(CustomerStatus)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("table", "faults", "make"),
    [(customer_profiles, PROFILE_FAULTS, profile), (customer_timeline, EVENT_FAULTS, event)],
    ids=["profiles", "timeline"],
)
def test_each_fault_is_caught_in_its_tenant_and_nowhere_else(
    con: duckdb.DuckDBPyConnection, table: Table, faults: Mapping[str, tuple[Row, set[str]]], make: Callable[..., Row]
) -> None:
    rows = [make(tenant, n, **fault) for tenant, (fault, _) in faults.items() for n in range(2, 2 + FAULTY_ROWS)]
    sound = [make(tenant, 1) for tenant in faults]
    verdicts = judged(con, table, [*sound, *rows], list(faults))
    assert broken(verdicts) == {t: dict.fromkeys(names, FAULTY_ROWS) for t, (_, names) in faults.items()}
    assert {verdict.rows for verdict in verdicts} == {SOUND_ROWS + FAULTY_ROWS}
    assert {verdict.suite for verdict in verdicts} == {table.name}


def test_every_rule_has_a_fault_above() -> None:
    planted = {name for faults in (PROFILE_FAULTS, EVENT_FAULTS) for _, names in faults.values() for name in names}
    assert {rule for rules in RULES.values() for rule in rules} <= planted


def test_a_tenant_without_rows_is_sound(con: duckdb.DuckDBPyConnection) -> None:
    verdicts = judged(con, customer_timeline, [event("a", 1)], ["a", "b"])
    assert broken(verdicts) == {"a": {}, "b": {}}
    assert {verdict.rows for verdict in verdicts if verdict.tenant_id == "b"} == {0}


def test_rows_of_tenants_that_were_not_asked_for_do_not_count(con: duckdb.DuckDBPyConnection) -> None:
    rows = [event("a", 1), event("b", 1, source="HEARSAY")]
    assert broken(judged(con, customer_timeline, rows, ["a"])) == {"a": {}}
    assert judged(con, customer_timeline, rows, []) == []


def test_tenants_are_judged_together_up_to_a_number_of_rows() -> None:
    rows = {"a": 300_000, "b": 200_000, "c": 1, "giant": 2_000_000, "d": 1}
    assert list(_groups([*rows, "empty"], rows)) == [["a", "b"], ["c"], ["giant"], ["d", "empty"]]


def test_groups_do_not_change_a_verdict(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [event("a", 1), event("b", 1), event("b", 2, source="HEARSAY"), event("b", 3, source="HEARSAY")]
    together = judged(con, customer_timeline, rows, ["a", "b"])
    monkeypatch.setattr("crm_pipeline.checks.MOST_ROWS", 1)
    assert sorted(judged(con, customer_timeline, rows, ["a", "b"])) == sorted(together)


def test_an_expectation_that_cannot_be_evaluated_is_nobodys_fault(con: duckdb.DuckDBPyConnection) -> None:
    relation = stage(con, customer_profiles, [profile("a", 1, predicted_value_12m=5)], 1).relation
    con.execute(f"alter table {relation} alter predicted_value_12m type varchar")
    with pytest.raises(SuiteError, match="customer_profiles: predicted_value_12m is at least 0 cannot be evaluated: "):
        judge(con, Suite(customer_profiles), relation, ["a"])
