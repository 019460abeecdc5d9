"""What a suite of expectations is, and the four there are. Nothing here is evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Table

from crm_pipeline.checks.anomalies import MEASURES
from crm_pipeline.checks.cross_table import AGREEMENTS
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.projections import key_columns

IS_UNIQUE: Final = "is_unique"
"""Column of the judged frame: whether no other row has the key."""


class Expected(NamedTuple):
    """One expectation: a class of Great Expectations with its arguments."""

    name: str
    meaning: str
    kind: str
    arguments: Mapping[str, Any]


class Rule(NamedTuple):
    """SQL that holds for every sound row of a table, and its meaning in words."""

    sql: str
    meaning: str


@dataclass(frozen=True)
class Suite:
    """Expectations that are judged together."""

    name: str
    told_at: Table
    """The published table whose check tells of it."""
    is_critical: bool
    """Whether a tenant that breaks one is not published."""
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class TableSuite(Suite):
    """The suite of one table, which looks at every row."""

    rules: Mapping[str, Rule] = field(default_factory=dict)

    def frame_query(self, relation: str) -> str:
        """The kinds of rows that the expectations can tell apart, per tenant, and how many `rows` are of each.

        A column is reduced to what is expected of it, each rule and the key's uniqueness are columns of their own.
        """
        looked_at = [
            f"{_as_judged(column, expected)} as {column.key}"
            for column in self.told_at.columns
            if (expected := _of_column(column))
        ]
        rules = [f"coalesce({rule.sql}, false) as {name}" for name, rule in self.rules.items()]
        key = ", ".join(key_columns(self.told_at))
        doubled = f"({key}) not in (select ({key}) from {relation} group by all having count(*) > 1) as {IS_UNIQUE}"
        told_apart = ", ".join([*looked_at, *rules, doubled])
        return f"select tenant_id, {told_apart}, count(*) as rows from {relation} group by all"


PROFILE_RULES = {
    "scores_in_range": Rule(
        "engagement_score between 0 and 100 and coalesce(churn_risk_score between 0 and 100, true)",
        "Scores lie between 0 and 100.",
    ),
    "risk_has_a_basis": Rule(
        "(churn_risk_score is null) = (churn_basis = 'NO_SIGNAL')",
        "A churn risk is empty where there is no signal, and nowhere else.",
    ),
    "consent_has_a_contact": Rule(
        "messaging_contact_id is not null or not (email_opt_in or sms_opt_in or push_opt_in or whatsapp_opt_in)",
        "Nobody without a contact in Messaging has agreed to anything.",
    ),
    "confidence_is_a_fraction": Rule(
        "identity_confidence > 0 and identity_confidence <= 1",
        "Identity confidence is above 0 and at most 1.",
    ),
}
TIMELINE_RULES = {
    "happened_by_as_of": Rule("occurred_at <= as_of()", "No event lies after the hour the run speaks of."),
    "amount_has_a_currency": Rule(
        "(amount_cents is null) = (currency is null)", "An amount has a currency, and a currency an amount."
    ),
}


def _of_column(column: Column[Any]) -> list[Expected]:
    """What the declaration of a column promises; rows are judged by tenant, so that one is always there."""
    name, info = column.key, column.info
    found: list[Expected] = []
    if not column.nullable and name != "tenant_id":
        found.append(Expected(f"{name} is present", f"{name} is never empty.", "NotBeNull", {"column": name}))
    if allowed := info.get("allowed"):
        meaning = f"{name} is one of {', '.join(allowed)}."
        found.append(Expected(f"{name} is known", meaning, "BeInSet", {"column": name, "value_set": list(allowed)}))
    if (least := info.get("minimum")) is not None:
        arguments = {"column": name, "min_value": least}
        found.append(Expected(f"{name} is at least {least}", f"{name} is {least} or more.", "BeBetween", arguments))
    return found


def _as_judged(column: Column[Any], expected: Sequence[Expected]) -> str:
    """SQL of what the expectations look at in the column: its values, how low they go, or whether there is one."""
    name, kinds = column.key, {each.kind for each in expected}
    if "BeInSet" in kinds:
        return name
    if "BeBetween" in kinds:
        return f"if({name} > {column.info['minimum']}, {column.info['minimum']}, {name})"
    return f"nullif({name} is not null, false)"


def _table_suite(table: Table, rules: Mapping[str, Rule]) -> TableSuite:
    """What the declaration promises, in the order of the columns and the key, and the rules between columns."""
    keys = list(key_columns(table))
    unique = Expected(
        f"{', '.join(keys)} is unique",
        f"No two rows have the same {' and '.join(keys)}.",
        "BeInSet",
        {"column": IS_UNIQUE, "value_set": [True]},
    )
    between = [
        Expected(name, rule.meaning, "BeInSet", {"column": name, "value_set": [True]}) for name, rule in rules.items()
    ]
    columns = [expected for column in table.columns for expected in _of_column(column)]
    return TableSuite(table.name, table, True, (*columns, unique, *between), rules)


def _found_nowhere(name: str, meaning: str) -> Expected:
    """That a tenant's count of what breaks it is 0."""
    return Expected(name, meaning, "BeInSet", {"column": name, "value_set": [0]})


TABLE_SUITES = {
    customer_profiles: _table_suite(customer_profiles, PROFILE_RULES),
    customer_timeline: _table_suite(customer_timeline, TIMELINE_RULES),
}
TABLES_AGREE = Suite(
    "tables_agree",
    customer_profiles,
    is_critical=True,
    expected=tuple(_found_nowhere(name, agreement.meaning) for name, agreement in AGREEMENTS.items()),
)
AS_USUAL = Suite(
    "as_usual",
    customer_profiles,
    is_critical=False,
    expected=tuple(_found_nowhere(name, measure.meaning) for name, measure in MEASURES.items()),
)
SUITES: tuple[Suite, ...] = (*TABLE_SUITES.values(), TABLES_AGREE, AS_USUAL)
MEANINGS: Mapping[tuple[str, str], str] = {
    (suite.name, expected.name): expected.meaning for suite in SUITES for expected in suite.expected
}
