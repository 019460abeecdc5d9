"""The weekly training of the churn models: every club's model as of an hour, and a backtest of the same method."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn.backtest import BACKTEST_HORIZONS, BacktestResult, evaluate_forecast
from crm_pipeline.domain.churn.fit import SpendFit, fit_members, fit_spend, fit_visits, forecast_churn
from crm_pipeline.domain.churn.mbg_nbd import PRIOR
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID, RULES_VERSION, TenantModel
from crm_pipeline.domain.churn.point_in_time import find_current_facts, find_past_facts
from crm_pipeline.domain.churn.renewal_fit import MemberArrays
from crm_pipeline.domain.churn.training_data import SeasonFit, VisitorArrays, read_members, read_seasons, read_visitors
from crm_pipeline.tables.outputs.churn import churn_backtests, churn_models
from crm_pipeline.tables.projections import to_arrow_schema

SCORED_HORIZON: Final = 365
"""The horizon of the churn score: its backtest decides whether a club's own fit is good enough."""


class TrainedModel(NamedTuple):
    """A club's model, whether its own visits are set aside, and what it was fitted to.

    Set aside are those of a fit that did not beat the base rate: a club then has the pool's, and the pool the prior.
    """

    model: TenantModel
    is_fallback: bool
    visitors: int
    repeaters: int
    rounds: int
    members_a_year_ago: int
    lapses: int


class TrainingResult(NamedTuple):
    """Models by tenant, `POOLED_TENANT_ID` being all of them, and backtests by tenant and horizon in days."""

    models: dict[str, TrainedModel]
    backtests: dict[tuple[str, int], BacktestResult]


def train_churn_models(con: DuckDBPyConnection, tenants: Sequence[str], as_of: datetime) -> TrainingResult:
    """Returns the models of every tenant fitted to what was known at `as_of`, and their backtests.

    Fits are set aside as `TrainedModel` says.
    Reads: what `find_current_facts` reads.
    """
    find_current_facts(con, as_of)
    seasons = read_seasons(con)
    visitors = read_visitors(con, "facts_0", seasons, SCORED_HORIZON)
    backtests = dict(item for days in BACKTEST_HORIZONS for item in _backtest_horizon(con, as_of, days))
    fits, spend = fit_visits(visitors), fit_spend(visitors)
    members, tiers = read_members(con, seasons)
    renewals = fit_members(members, tiers)
    sizes = _count_training_rows(visitors, spend, seasons, members)
    set_aside = {
        tenant
        for (tenant, days), backtest in backtests.items()
        if days == SCORED_HORIZON and not backtest.is_better_than_base_rate
    }
    pool = PRIOR if POOLED_TENANT_ID in set_aside else fits[POOLED_TENANT_ID]
    models = {}
    for tenant in (POOLED_TENANT_ID, *tenants):
        is_fallback = tenant in set_aside
        model = TenantModel(
            pool if is_fallback else fits.get(tenant, pool),
            spend[tenant].params if tenant in spend else None,
            seasons[tenant].month_factors if tenant in seasons else None,
            *renewals.get(tenant, renewals[POOLED_TENANT_ID]),
        )
        models[tenant] = TrainedModel(
            model, is_fallback, **{column: counts.get(tenant, 0) for column, counts in sizes.items()}
        )
    return TrainingResult(models, backtests)


def _count_training_rows(
    visitors: Mapping[str, VisitorArrays],
    spend: Mapping[str, SpendFit],
    seasons: Mapping[str, SeasonFit],
    members: Mapping[str, MemberArrays],
) -> dict[str, dict[str, int]]:
    """Returns by column of `TrainedModel` the number of rows of every tenant, and of all of them."""
    return {
        "visitors": _add_pool_total({name: each.age.size for name, each in visitors.items()}),
        "repeaters": _add_pool_total({name: each.repeaters for name, each in spend.items()}),
        "rounds": _add_pool_total({name: each.rounds for name, each in seasons.items()}),
        "members_a_year_ago": _add_pool_total({name: each.has_lapsed.size for name, each in members.items()}),
        "lapses": _add_pool_total({name: int(each.has_lapsed.sum()) for name, each in members.items()}),
    }


def _add_pool_total(counts: Mapping[str, int]) -> dict[str, int]:
    return {**counts, POOLED_TENANT_ID: sum(counts.values())}


def _backtest_horizon(
    con: DuckDBPyConnection, as_of: datetime, days: int
) -> Iterator[tuple[tuple[str, int], BacktestResult]]:
    """Yields the backtests of forecasts made that many days ago from what was known then."""
    find_past_facts(con, as_of, days)
    visitors = read_visitors(con, f"facts_{days}", read_seasons(con), days)
    risks = forecast_churn(visitors, fit_visits(visitors))
    for tenant, each in visitors.items():
        if backtest := evaluate_forecast(risks[tenant], each.quiet_days, each.has_left):
            yield (tenant, days), backtest
    if visitors:
        all_visitors = VisitorArrays(*(np.concatenate(parts) for parts in zip(*visitors.values(), strict=True)))
        risk = np.concatenate([risks[name] for name in visitors])
        if backtest := evaluate_forecast(risk, all_visitors.quiet_days, all_visitors.has_left):
            yield (POOLED_TENANT_ID, days), backtest


def build_model_rows(result: TrainingResult, as_of: datetime) -> pa.Table:
    """Returns the rows of churn_models."""
    rows = [
        {
            "tenant_id": tenant,
            "fitted_at": as_of,
            "rules_version": RULES_VERSION,
            **trained.model.to_columns(),
            **trained._asdict(),
        }
        for tenant, trained in result.models.items()
    ]
    return pa.Table.from_pylist(rows, schema=to_arrow_schema(churn_models))


def build_backtest_rows(result: TrainingResult, as_of: datetime) -> pa.Table:
    """Returns the rows of churn_backtests."""
    rows = [
        {"tenant_id": tenant, "judged_at": as_of, "horizon_days": days, **_to_backtest_row(backtest)}
        for (tenant, days), backtest in result.backtests.items()
    ]
    return pa.Table.from_pylist(rows, schema=to_arrow_schema(churn_backtests))


def _to_backtest_row(backtest: BacktestResult) -> dict[str, Any]:
    known = {name: None if value != value else value for name, value in backtest._asdict().items()}  # noqa: PLR0124  NaN
    return {**known, "calibration": json.dumps([each._asdict() for each in backtest.calibration])}
