"""What a week teaches about churn: every club's model as of an hour, and how the same method fared on the past.

Here: the order of the steps, and falling back. Not here: the steps (`hindsight`, `churn_fit`, `backtest`), and keeping
what was learned, which the asset does.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn.backtest import BACKTEST_HORIZONS, BacktestResult, evaluate_forecast
from crm_pipeline.domain.churn.fit import fit_members, fit_spend, fit_visits, forecast_churn
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID, TenantModel
from crm_pipeline.domain.churn.point_in_time import find_current_facts, find_past_facts
from crm_pipeline.domain.churn.training_data import VisitorArrays, read_members, read_seasons, read_visitors
from crm_pipeline.tables.outputs.churn import churn_backtests, churn_models
from crm_pipeline.tables.projections import to_arrow_schema

SCORED_HORIZON: Final = 365
"""The horizon of the churn score: its backtest decides whether a club's own fit is good enough."""


class TrainedModel(NamedTuple):
    """A club's model, whether its visits are the pool's, and what it was fitted to."""

    model: TenantModel
    is_fallback: bool
    visitors: int
    repeaters: int
    rounds: int
    members_a_year_ago: int
    lapses: int


class TrainingResult(NamedTuple):
    """By tenant, `POOL` being all of them: what was learned; by tenant and horizon: how it would have fared."""

    clubs: dict[str, TrainedModel]
    verdicts: dict[tuple[str, int], BacktestResult]


def train_churn_models(con: DuckDBPyConnection, tenants: Sequence[str], as_of: datetime) -> TrainingResult:
    """Fit every tenant's model to what was known at `as_of`; reads what `find_facts_of_today` says it reads."""
    find_current_facts(con, as_of)
    seasons = read_seasons(con)
    visitors = read_visitors(con, "facts_0", seasons, SCORED_HORIZON)
    verdicts = {key: verdict for days in BACKTEST_HORIZONS for key, verdict in _backtest_horizon(con, as_of, days)}
    fits, spend = fit_visits(visitors), fit_spend(visitors)
    members, tiers = read_members(con)
    renewals = fit_members(members, tiers)
    sizes = {
        "visitors": _add_pool_total({name: each.age.size for name, each in visitors.items()}),
        "repeaters": _add_pool_total({name: each.repeaters for name, each in spend.items()}),
        "rounds": _add_pool_total({name: each.rounds for name, each in seasons.items()}),
        "members_a_year_ago": _add_pool_total({name: each.has_lapsed.size for name, each in members.items()}),
        "lapses": _add_pool_total({name: int(each.has_lapsed.sum()) for name, each in members.items()}),
    }
    clubs = {}
    for tenant in (POOLED_TENANT_ID, *tenants):
        judged = verdicts.get((tenant, SCORED_HORIZON))
        is_fallback = bool(tenant != POOLED_TENANT_ID and judged and not judged.beats_base_rate)
        model = TenantModel(
            fits[POOLED_TENANT_ID] if is_fallback else fits.get(tenant, fits[POOLED_TENANT_ID]),
            spend[tenant].params if tenant in spend else None,
            seasons[tenant].clock if tenant in seasons else None,
            *renewals.get(tenant, renewals[POOLED_TENANT_ID]),
        )
        clubs[tenant] = TrainedModel(
            model, is_fallback, **{what: count.get(tenant, 0) for what, count in sizes.items()}
        )
    return TrainingResult(clubs, verdicts)


def _add_pool_total(of_clubs: Mapping[str, int]) -> dict[str, int]:
    return {**of_clubs, POOLED_TENANT_ID: sum(of_clubs.values())}


def _backtest_horizon(
    con: DuckDBPyConnection, as_of: datetime, days: int
) -> Iterator[tuple[tuple[str, int], BacktestResult]]:
    """Forecast as of that many days ago, knowing nothing later, and judge it by now."""
    find_past_facts(con, as_of, days)
    visitors = read_visitors(con, f"facts_{days}", read_seasons(con), days)
    risks = forecast_churn(visitors, fit_visits(visitors))
    for tenant, each in visitors.items():
        if verdict := evaluate_forecast(risks[tenant], each.quiet_days, each.has_left):
            yield (tenant, days), verdict
    if visitors:
        every = VisitorArrays(*(np.concatenate(parts) for parts in zip(*visitors.values(), strict=True)))
        risk = np.concatenate([risks[name] for name in visitors])
        if verdict := evaluate_forecast(risk, every.quiet_days, every.has_left):
            yield (POOLED_TENANT_ID, days), verdict


def build_model_rows(lesson: TrainingResult, as_of: datetime) -> pa.Table:
    """The rows of churn_models."""
    rows = [
        {"tenant_id": tenant, "fitted_at": as_of, **club.model.values(), **club._asdict()}
        for tenant, club in lesson.clubs.items()
    ]
    return pa.Table.from_pylist(rows, schema=to_arrow_schema(churn_models))


def build_backtest_rows(lesson: TrainingResult, as_of: datetime) -> pa.Table:
    """The rows of churn_backtests."""
    rows = [
        {"tenant_id": tenant, "judged_at": as_of, "horizon_days": days, **_to_backtest_row(verdict)}
        for (tenant, days), verdict in lesson.verdicts.items()
    ]
    return pa.Table.from_pylist(rows, schema=to_arrow_schema(churn_backtests))


def _to_backtest_row(verdict: BacktestResult) -> dict[str, Any]:
    known = {name: None if value != value else value for name, value in verdict._asdict().items()}  # noqa: PLR0124  NaN
    return {**known, "calibration": json.dumps([each._asdict() for each in verdict.calibration])}
