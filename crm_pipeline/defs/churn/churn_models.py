"""The weekly assets: every club's churn model, and the backtest that measures it. Stored in the lake, by version.

The hourly refresh applies the latest version and never fits. To fit by hand, run job `fit_churn`.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from math import isnan
from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context
from crm_pipeline.defs.metadata import (
    WEEKLY,
    build_asset_options,
    build_changes_metadata,
    build_optional_table,
    build_rows_table,
)
from crm_pipeline.domain.churn.backtest import BacktestResult
from crm_pipeline.domain.churn.parameters import POOLED_TENANT_ID
from crm_pipeline.domain.churn.train import SCORED_HORIZON, TrainedModel, TrainingResult
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.churn_fit import fit_models, store_models
from crm_pipeline.tables.outputs import churn

CHURN_GROUP = "churn"
MAX_SHOWN_ROWS = 100
MIN_GOLFERS = 200
FIGURE_INCHES, FIGURE_DPI = 6.0, 90
CALIBRATION_TITLE = "Churn foretold and churn seen, all clubs"
PARAMETERS = ("r", "alpha", "a", "b")
SIZES = {
    "visitors": "visitors",
    "repeaters": "repeaters",
    "rounds": "rounds",
    "members": "members_a_year_ago",
    "lapses": "lapses",
}
"""How many of what a model was fitted to: columns of the table, each with the model's."""
MEASURES = {
    "brier": {
        "golfers": "golfers",
        "left": "left_since",
        "forecast": "brier",
        "base_rate": "brier_base_rate",
        "recency": "brier_recency",
    },
    "auc": {"forecast": "auc", "recency": "auc_recency"},
}
"""Tables of the backtest's measures: their columns, each with the measure it shows."""


def _build_spec(name: str, description: str, table: Any) -> dg.AssetSpec:  # noqa: ANN401
    return dg.AssetSpec(
        name,
        deps=["customer_identities", "timeline_events"],
        description=description,
        group_name=CHURN_GROUP,
        kinds={"deltalake", "duckdb", "scipy"},
        **build_asset_options(WEEKLY, table),
    )


@dg.multi_asset(
    name="churn",
    description="Fits every club's churn model and backtests it.",
    specs=[
        _build_spec(
            "churn_model", "Churn parameters per club, pooled over all clubs; every version stays.", churn.churn_models
        ),
        _build_spec("churn_backtest", "How the forecasts of 90 and 365 days ago turned out.", churn.churn_backtests),
    ],
)
def churn_assets(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> Iterator[dg.MaterializeResult]:
    """Returns the models of all tenants and their backtests as of the run's hour, stored in the lake.

    A run of one tenant fits all tenants too: each model depends on the pool of all.
    Reads: what `fit_models` reads.
    """
    with open_run_context(context, lake, settings) as run:
        all_tenants_run = replace(run, tenants=None)
        result = fit_models(all_tenants_run)
        changes = store_models(all_tenants_run, result)
    asset_rows = {
        "churn_model": (_build_parameter_metadata(result), len(result.models)),
        "churn_backtest": (_build_backtest_metadata(result), len(result.backtests)),
    }
    for name, (metadata, rows) in asset_rows.items():
        counts = build_changes_metadata({f"{name}s": changes[f"{name}s"]}, rows)
        yield dg.MaterializeResult(asset_key=name, metadata={**metadata, **counts})


def _build_parameter_metadata(result: TrainingResult) -> dict[str, Any]:
    """Returns where the models of the pool and of the clubs with most visitors come from, and their parameters."""
    largest = sorted(result.models.items(), key=lambda item: (-item[1].visitors, item[0]))[:MAX_SHOWN_ROWS]
    pool = result.models[POOLED_TENANT_ID]
    parameter_rows = [{"club": tenant or "all clubs", **_round_parameters(club)} for tenant, club in largest]
    size_rows = [{"club": tenant or "all clubs", **_list_sizes(club)} for tenant, club in largest]
    fallen_back = sum(club.is_fallback for tenant, club in result.models.items() if tenant != POOLED_TENANT_ID)
    return {
        "models": build_rows_table(_list_model_rows(result, largest)),
        "parameters": build_rows_table(parameter_rows),
        "fitted_to": build_rows_table(size_rows),
        "fallen_back_to_pool": fallen_back,
        "pool_is_the_stated_prior": pool.is_fallback,
        "clubs": len(result.models) - 1,
        **{f"all_clubs/{name}": value for name, value in {**_round_parameters(pool), **_list_sizes(pool)}.items()},
    }


def _list_model_rows(result: TrainingResult, models: Iterable[tuple[str, TrainedModel]]) -> list[dict[str, Any]]:
    """Returns per model where its forecast of visits comes from, how its own fit did, and whether it has a season."""
    pool = result.models[POOLED_TENANT_ID]
    return [
        {
            "club": tenant or "all clubs",
            "visits_from": _name_visits_source(tenant, club, pool),
            **_judge_own_fit(result.backtests.get((tenant, SCORED_HORIZON))),
            "season": club.model.season is not None,
        }
        for tenant, club in models
    ]


def _round_parameters(club: TrainedModel) -> dict[str, float]:
    return {name: round(getattr(club.model.visits, name), 4) for name in PARAMETERS}


def _list_sizes(club: TrainedModel) -> dict[str, int]:
    return {column: getattr(club, name) for column, name in SIZES.items()}


def _name_visits_source(tenant: str, club: TrainedModel, pool: TrainedModel) -> str:
    if not club.is_fallback:
        return "own fit"
    return "stated prior" if tenant == POOLED_TENANT_ID or pool.is_fallback else "all clubs"


def _judge_own_fit(backtest: BacktestResult | None) -> dict[str, str]:
    """Returns whether its own fit did better than each simpler forecast; "unknown" where nobody was forecast."""
    words = {True: "yes", False: "no"}
    return {
        "beats_base_rate": words[backtest.is_better_than_base_rate] if backtest else "unknown",
        "beats_recency": words[backtest.is_better_than_recency] if backtest else "unknown",
    }


def _build_backtest_metadata(result: TrainingResult) -> dict[str, Any]:
    """Returns the measures as tables, the pool first; the plot; the larger clubs that beat both simpler forecasts."""
    largest = sorted(
        result.backtests.items(), key=lambda item: (item[0][0] != POOLED_TENANT_ID, -item[1].golfers, item[0])
    )[:MAX_SHOWN_ROWS]
    larger = [
        backtest
        for (tenant, days), backtest in result.backtests.items()
        if tenant != POOLED_TENANT_ID and days == SCORED_HORIZON and backtest.golfers >= MIN_GOLFERS
    ]
    pool_backtests = {
        days: backtest for (tenant, days), backtest in result.backtests.items() if tenant == POOLED_TENANT_ID
    }
    return {
        **{name: build_optional_table(_list_measures(largest, columns)) for name, columns in MEASURES.items()},
        **({"calibration": plot_calibration(pool_backtests)} if pool_backtests else {}),
        "larger_clubs": len(larger),
        "larger_clubs_that_beat_both": sum(backtest.is_better_than_both for backtest in larger),
        **_build_measure_metrics(pool_backtests),
    }


def _list_measures(
    backtests: Iterable[tuple[tuple[str, int], BacktestResult]], columns: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Returns a row per club and horizon, with the measures of `columns`."""
    return [
        {
            "club": tenant or "all clubs",
            "days": days,
            **{
                column: value
                for column, name in columns.items()
                if (value := _round_measure(backtest, name)) is not None
            },
        }
        for (tenant, days), backtest in backtests
    ]


def _build_measure_metrics(pool_backtests: Mapping[int, BacktestResult]) -> dict[str, float]:
    """Returns each measure of all clubs together as a number of its own, which the UI plots over time."""
    return {
        f"{name}/{days}_days": value
        for days, backtest in pool_backtests.items()
        for columns in MEASURES.values()
        for name in columns.values()
        if (value := _round_measure(backtest, name)) is not None
    }


def _round_measure(backtest: BacktestResult, name: str) -> float | None:
    """Returns the measure with four decimals; None for an AUC that there is none of."""
    value: float = getattr(backtest, name)
    return None if isnan(value) else round(value, 4)


def plot_calibration(backtests: Mapping[int, BacktestResult]) -> dg.MarkdownMetadataValue:
    """Returns a plot, one line per horizon in days; a calibrated forecast lies on the diagonal."""
    # Imported here, since it takes a second; pyplot would keep figures and look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(FIGURE_INCHES, FIGURE_INCHES), dpi=FIGURE_DPI, layout="tight")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for days, backtest in sorted(backtests.items()):
        bins = backtest.calibration
        axes.plot([b.forecast for b in bins], [b.left for b in bins], marker="o", label=f"{days} days")
    axes.set(xlabel="risk foretold", ylabel="share who left", xlim=(0, 1), ylim=(0, 1), title=CALIBRATION_TITLE)
    axes.legend(loc="upper left")
    picture = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(picture, format="png")
    encoded = base64.b64encode(picture.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![calibration: risk foretold against share who left](data:image/png;base64,{encoded})")
