"""The quality gate: Great Expectations suites projected from the declared tables, judged per tenant.

Belongs here: which expectations there are and how a result is told apart by tenant. What happens to a tenant that
fails is the published assets' business.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.tables.profiles import customer_profiles
from crm_pipeline.tables.projections import duckdb_type, key_columns
from crm_pipeline.tables.timeline import customer_timeline

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
"""Great Expectations reads it when it is imported, and would otherwise tell its makers about every run."""

MOST_ROWS = 500_000
"""Rows judged at once; tenants are taken together up to this."""

RULES: dict[str, dict[str, str]] = {
    customer_profiles.name: {
        "scores_in_range": "engagement_score between 0 and 100 and coalesce(churn_risk_score between 0 and 100, true)",
        "risk_has_a_basis": "(churn_risk_score is null) = (churn_basis = 'NO_SIGNAL')",
        "consent_has_a_contact": "messaging_contact_id is not null"
        " or not (email_opt_in or sms_opt_in or push_opt_in or whatsapp_opt_in)",
        "confidence_is_a_fraction": "identity_confidence > 0 and identity_confidence <= 1",
    },
    customer_timeline.name: {
        "profile_is_published": "exists (select 1 from profiles_to_check p"
        " where p.tenant_id = t.tenant_id and p.id = t.profile_id)",
        "happened_by_as_of": "occurred_at <= as_of()",
        "amount_has_a_currency": "(amount_cents is null) = (currency is null)",
    },
}
"""Rules between columns, as SQL that holds for every sound row; a name is the expectation's."""


class Verdict(NamedTuple):
    """One expectation's result for one tenant."""

    tenant_id: str
    suite: str
    expectation: str
    success: bool
    is_critical: bool
    unexpected_count: int
    rows: int


class SuiteError(Exception):
    """A suite that could not be evaluated; this is no tenant's fault."""


@dataclass(frozen=True)
class Suite:
    """The expectations of one published table."""

    table: Table

    def expectations(self) -> Iterator[tuple[str, "Expectation"]]:
        """Names and expectations, in the order of the columns, the key and the rules."""
        from great_expectations import expectations as gxe  # noqa: PLC0415  five seconds only runs should pay

        for column in self.table.columns:
            if not column.nullable:
                yield f"{column.key} is present", gxe.ExpectColumnValuesToNotBeNull(column=column.key)
            if allowed := column.info.get("allowed"):
                yield (
                    f"{column.key} is known",
                    gxe.ExpectColumnValuesToBeInSet(column=column.key, value_set=list(allowed)),
                )
            if (least := column.info.get("minimum")) is not None:
                yield (
                    f"{column.key} is at least {least}",
                    gxe.ExpectColumnValuesToBeBetween(column=column.key, min_value=least),
                )
        keys = list(key_columns(self.table))
        yield f"{', '.join(keys)} is unique", gxe.ExpectCompoundColumnsToBeUnique(column_list=keys)
        for rule in RULES[self.table.name]:
            yield rule, gxe.ExpectColumnValuesToBeInSet(column=rule, value_set=[True])

    def frame_query(self, relation: str) -> str:
        """What the expectations look at: the scalar columns they name, and each rule as a column of its own."""
        looked_at = [
            column.key
            if duckdb_type(column) != "VARCHAR[]"
            else f"nullif({column.key} is not null, false) as {column.key}"
            for column in self.table.columns
            if not column.nullable or column.info.get("allowed") or column.info.get("minimum") is not None
        ]
        rules = [f"coalesce({sql}, false) as {name}" for name, sql in RULES[self.table.name].items()]
        return f"select {', '.join([*looked_at, *rules])} from {relation} t"


def judge(con: DuckDBPyConnection, suite: Suite, relation: str, tenants: Sequence[str]) -> list[Verdict]:
    """Every expectation's verdict on every tenant's rows in `relation`; SuiteError where one can't be evaluated."""
    counts = dict(con.sql(f"select tenant_id, count(*) from {relation} group by tenant_id").fetchall())
    verdicts = []
    for group in _groups(tenants, counts):
        frame = con.sql(
            f"{suite.frame_query(relation)} where tenant_id in (select unnest($group))", params={"group": group}
        ).df()
        verdicts += _verdicts(suite, frame, {tenant: counts.get(tenant, 0) for tenant in group})
    return verdicts


def _groups(tenants: Sequence[str], counts: dict[str, int]) -> Iterator[list[str]]:
    group: list[str] = []
    rows = 0
    for tenant in tenants:
        if group and rows + counts.get(tenant, 0) > MOST_ROWS:
            yield group
            group, rows = [], 0
        group.append(tenant)
        rows += counts.get(tenant, 0)
    if group:
        yield group


def _verdicts(suite: Suite, frame: pd.DataFrame, rows: dict[str, int]) -> list[Verdict]:
    names, results = _validate(suite, frame)
    verdicts = []
    for name, result in zip(names, results, strict=True):
        if complaint := _complaint(result.exception_info):
            raise SuiteError(f"{suite.table.name}: {name} cannot be evaluated: {complaint}")
        unexpected = pd.Series(
            [row["tenant_id"] for row in result.result.get("unexpected_index_list") or []], dtype=object
        )
        broken = unexpected.value_counts()
        verdicts += [
            Verdict(tenant, suite.table.name, name, tenant not in broken, True, int(broken.get(tenant, 0)), count)
            for tenant, count in rows.items()
        ]
    return verdicts


def _complaint(exception_info: dict[str, Any]) -> str | None:
    """What an expectation that raised has to say; Great Expectations keeps it per metric, or flat where none raised."""
    per_metric = [exception_info] if "raised_exception" in exception_info else exception_info.values()
    return next((str(said["exception_message"]) for said in per_metric if said["raised_exception"]), None)


def _validate(suite: Suite, frame: pd.DataFrame) -> tuple[list[str], list[Any]]:
    import great_expectations as gx  # noqa: PLC0415  five seconds only runs should pay
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    names, expectations = zip(*suite.expectations(), strict=True)
    validation = context.data_sources.pandas_default.read_dataframe(frame).validate(
        gx.ExpectationSuite(name=suite.table.name, expectations=list(expectations)),
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["tenant_id"]},
    )
    order = {_identity(expectation.configuration): place for place, expectation in enumerate(expectations)}
    return list(names), sorted(validation.results, key=lambda r: order[_identity(r.expectation_config)])


def _identity(configuration: "ExpectationConfiguration") -> tuple[str, str]:
    kwargs = {key: value for key, value in configuration.kwargs.items() if key != "batch_id"}
    return configuration.type, repr(sorted(kwargs.items(), key=lambda item: item[0]))
