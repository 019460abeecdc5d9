"""Declarations of the four suites of expectations: one per published table, agreements, anomalies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Table

from crm_pipeline.checks.anomalies import MEASURES
from crm_pipeline.checks.cross_table import AGREEMENTS
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.projections import list_key_columns

IS_UNIQUE: Final = "is_unique"
"""Column of the evaluated frame: whether no other row has the same key."""


class ExpectationSpec(NamedTuple):
    """One expectation: a class of Great Expectations with its arguments."""

    name: str
    meaning: str
    kind: str
    arguments: Mapping[str, Any]


class RowRule(NamedTuple):
    """SQL that holds for every valid row of a table, and its meaning in words."""

    sql: str
    meaning: str


@dataclass(frozen=True)
class Suite:
    """Expectations that are evaluated together."""

    name: str
    checked_table: Table
    """The published table whose check reports the suite."""
    is_critical: bool
    """Whether a tenant that breaks one of them is kept from being published."""
    expectations: tuple[ExpectationSpec, ...]


@dataclass(frozen=True)
class TableSuite(Suite):
    """A suite on every row of one table."""

    rules: Mapping[str, RowRule] = field(default_factory=dict)

    def frame_query(self, relation: str) -> str:
        """Returns SQL of the distinct rows as the expectations see them, per tenant, with the number of `rows` of each.

        A column is reduced to what is expected of it; each rule, and whether the key is unique, is a column of its own.
        """
        column_sql = [
            f"{_build_column_sql(column, expectations)} as {column.key}"
            for column in self.checked_table.columns
            if (expectations := _build_column_expectations(column))
        ]
        rule_sql = [f"coalesce({rule.sql}, false) as {name}" for name, rule in self.rules.items()]
        key = ", ".join(list_key_columns(self.checked_table))
        key_is_unique_sql = (
            f"({key}) not in (select ({key}) from {relation} group by all having count(*) > 1) as {IS_UNIQUE}"
        )
        group_columns = ", ".join([*column_sql, *rule_sql, key_is_unique_sql])
        return f"select tenant_id, {group_columns}, count(*) as rows from {relation} group by all"


PROFILE_RULES = {
    "scores_in_range": RowRule(
        "engagement_score between 0 and 100 and coalesce(churn_risk_score between 0 and 100, true)",
        "Scores lie between 0 and 100.",
    ),
    "risk_has_a_basis": RowRule(
        "(churn_risk_score is null) = (churn_basis = 'NO_SIGNAL')",
        "A churn risk is empty where there is no signal, and nowhere else.",
    ),
    "consent_has_a_contact": RowRule(
        "messaging_contact_id is not null or not (email_opt_in or sms_opt_in or push_opt_in or whatsapp_opt_in)",
        "Nobody without a contact in Messaging has agreed to anything.",
    ),
    "confidence_is_a_fraction": RowRule(
        "identity_confidence > 0 and identity_confidence <= 1",
        "Identity confidence is above 0 and at most 1.",
    ),
}
TIMELINE_RULES = {
    "happened_by_as_of": RowRule("occurred_at <= as_of()", "No event lies after the hour the run speaks of."),
    "amount_has_a_currency": RowRule(
        "(amount_cents is null) = (currency is null)", "An amount has a currency, and a currency an amount."
    ),
}


def _build_column_expectations(column: Column[Any]) -> list[ExpectationSpec]:
    """Returns the expectations declared by a column; tenant_id is skipped, since rows are evaluated by tenant."""
    name, info = column.key, column.info
    expectations: list[ExpectationSpec] = []
    if not column.nullable and name != "tenant_id":
        expectations.append(
            ExpectationSpec(f"{name} is present", f"{name} is never empty.", "NotBeNull", {"column": name})
        )
    if allowed := info.get("allowed"):
        meaning = f"{name} is one of {', '.join(allowed)}."
        expectations.append(
            ExpectationSpec(f"{name} is known", meaning, "BeInSet", {"column": name, "value_set": list(allowed)})
        )
    if (minimum := info.get("minimum")) is not None:
        arguments = {"column": name, "min_value": minimum}
        expectations.append(
            ExpectationSpec(f"{name} is at least {minimum}", f"{name} is {minimum} or more.", "BeBetween", arguments)
        )
    return expectations


def _build_column_sql(column: Column[Any], expectations: Sequence[ExpectationSpec]) -> str:
    """Returns SQL of what the expectations see of the column: its values, those capped at the minimum, or presence."""
    name, kinds = column.key, {spec.kind for spec in expectations}
    if "BeInSet" in kinds:
        return name
    if "BeBetween" in kinds:
        return f"if({name} > {column.info['minimum']}, {column.info['minimum']}, {name})"
    return f"nullif({name} is not null, false)"


def _build_table_suite(table: Table, rules: Mapping[str, RowRule]) -> TableSuite:
    """Returns the table's suite: expectations of the columns in order, of the key, and the rules between columns."""
    keys = list(list_key_columns(table))
    unique = ExpectationSpec(
        f"{', '.join(keys)} is unique",
        f"No two rows have the same {' and '.join(keys)}.",
        "BeInSet",
        {"column": IS_UNIQUE, "value_set": [True]},
    )
    between = [
        ExpectationSpec(name, rule.meaning, "BeInSet", {"column": name, "value_set": [True]})
        for name, rule in rules.items()
    ]
    columns = [spec for column in table.columns for spec in _build_column_expectations(column)]
    return TableSuite(table.name, table, True, (*columns, unique, *between), rules)


def _build_zero_expectation(name: str, meaning: str) -> ExpectationSpec:
    """Returns the expectation that a tenant's count of violations is 0."""
    return ExpectationSpec(name, meaning, "BeInSet", {"column": name, "value_set": [0]})


TABLE_SUITES = {
    customer_profiles: _build_table_suite(customer_profiles, PROFILE_RULES),
    customer_timeline: _build_table_suite(customer_timeline, TIMELINE_RULES),
}
CROSS_TABLE_SUITE = Suite(
    "tables_agree",
    customer_profiles,
    is_critical=True,
    expectations=tuple(_build_zero_expectation(name, agreement.meaning) for name, agreement in AGREEMENTS.items()),
)
ANOMALY_SUITE = Suite(
    "as_usual",
    customer_profiles,
    is_critical=False,
    expectations=tuple(_build_zero_expectation(name, measure.meaning) for name, measure in MEASURES.items()),
)
SUITES: tuple[Suite, ...] = (*TABLE_SUITES.values(), CROSS_TABLE_SUITE, ANOMALY_SUITE)
MEANINGS: Mapping[tuple[str, str], str] = {
    (suite.name, spec.name): spec.meaning for suite in SUITES for spec in suite.expectations
}
