"""What a suite of expectations is, and the four there are. Nothing here is evaluated."""

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
"""Column of the judged frame: whether no other row has the key."""


class ExpectationSpec(NamedTuple):
    """One expectation: a class of Great Expectations with its arguments."""

    name: str
    meaning: str
    kind: str
    arguments: Mapping[str, Any]


class RowRule(NamedTuple):
    """SQL that holds for every sound row of a table, and its meaning in words."""

    sql: str
    meaning: str


@dataclass(frozen=True)
class Suite:
    """Expectations that are judged together."""

    name: str
    checked_table: Table
    """The published table whose check tells of it."""
    is_critical: bool
    """Whether a tenant that breaks one is not published."""
    expected: tuple[ExpectationSpec, ...]


@dataclass(frozen=True)
class TableSuite(Suite):
    """The suite of one table, which looks at every row."""

    rules: Mapping[str, RowRule] = field(default_factory=dict)

    def frame_query(self, relation: str) -> str:
        """The kinds of rows that the expectations can tell apart, per tenant, and how many `rows` are of each.

        A column is reduced to what is expected of it, each rule and the key's uniqueness are columns of their own.
        """
        looked_at = [
            f"{_build_column_sql(column, expected)} as {column.key}"
            for column in self.checked_table.columns
            if (expected := _build_column_expectations(column))
        ]
        rules = [f"coalesce({rule.sql}, false) as {name}" for name, rule in self.rules.items()]
        key = ", ".join(list_key_columns(self.checked_table))
        doubled = f"({key}) not in (select ({key}) from {relation} group by all having count(*) > 1) as {IS_UNIQUE}"
        told_apart = ", ".join([*looked_at, *rules, doubled])
        return f"select tenant_id, {told_apart}, count(*) as rows from {relation} group by all"


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
    """What the declaration of a column promises; rows are judged by tenant, so that one is always there."""
    name, info = column.key, column.info
    found: list[ExpectationSpec] = []
    if not column.nullable and name != "tenant_id":
        found.append(ExpectationSpec(f"{name} is present", f"{name} is never empty.", "NotBeNull", {"column": name}))
    if allowed := info.get("allowed"):
        meaning = f"{name} is one of {', '.join(allowed)}."
        found.append(
            ExpectationSpec(f"{name} is known", meaning, "BeInSet", {"column": name, "value_set": list(allowed)})
        )
    if (least := info.get("minimum")) is not None:
        arguments = {"column": name, "min_value": least}
        found.append(
            ExpectationSpec(f"{name} is at least {least}", f"{name} is {least} or more.", "BeBetween", arguments)
        )
    return found


def _build_column_sql(column: Column[Any], expected: Sequence[ExpectationSpec]) -> str:
    """SQL of what the expectations look at in the column: its values, how low they go, or whether there is one."""
    name, kinds = column.key, {each.kind for each in expected}
    if "BeInSet" in kinds:
        return name
    if "BeBetween" in kinds:
        return f"if({name} > {column.info['minimum']}, {column.info['minimum']}, {name})"
    return f"nullif({name} is not null, false)"


def _build_table_suite(table: Table, rules: Mapping[str, RowRule]) -> TableSuite:
    """What the declaration promises, in the order of the columns and the key, and the rules between columns."""
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
    columns = [expected for column in table.columns for expected in _build_column_expectations(column)]
    return TableSuite(table.name, table, True, (*columns, unique, *between), rules)


def _build_zero_expectation(name: str, meaning: str) -> ExpectationSpec:
    """That a tenant's count of what breaks it is 0."""
    return ExpectationSpec(name, meaning, "BeInSet", {"column": name, "value_set": [0]})


TABLE_SUITES = {
    customer_profiles: _build_table_suite(customer_profiles, PROFILE_RULES),
    customer_timeline: _build_table_suite(customer_timeline, TIMELINE_RULES),
}
CROSS_TABLE_SUITE = Suite(
    "tables_agree",
    customer_profiles,
    is_critical=True,
    expected=tuple(_build_zero_expectation(name, agreement.meaning) for name, agreement in AGREEMENTS.items()),
)
ANOMALY_SUITE = Suite(
    "as_usual",
    customer_profiles,
    is_critical=False,
    expected=tuple(_build_zero_expectation(name, measure.meaning) for name, measure in MEASURES.items()),
)
SUITES: tuple[Suite, ...] = (*TABLE_SUITES.values(), CROSS_TABLE_SUITE, ANOMALY_SUITE)
MEANINGS: Mapping[tuple[str, str], str] = {
    (suite.name, expected.name): expected.meaning for suite in SUITES for expected in suite.expected
}
