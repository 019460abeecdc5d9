"""The weekly assets: every club's churn model, and the backtest that measures it. Stored in the lake, by version.

The hourly refresh applies the latest version and never fits. To fit by hand, run job `fit_churn`.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import open_run_context
from crm_pipeline.defs.metadata import WEEKLY, build_changes_metadata, build_columns_metadata, build_rows_table
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


def _build_spec(name: str, description: str, table: Any) -> dg.AssetSpec:  # noqa: ANN401
    return dg.AssetSpec(
        name,
        deps=["customer_identities", "timeline_events"],
        description=description,
        group_name=CHURN_GROUP,
        kinds={"deltalake", "duckdb", "scipy"},
        owners=["team:data"],
        tags=WEEKLY.tags,
        freshness_policy=WEEKLY.freshness,
        metadata=build_columns_metadata(table),
        code_version="1",
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
        yield dg.MaterializeResult(asset_key=name, metadata={**counts, **metadata})


def _build_parameter_metadata(result: TrainingResult) -> dict[str, Any]:
    """Returns the parameters of the pool and of the clubs with most visitors, as a table, and who fell back to what."""
    largest = sorted(result.models.items(), key=lambda item: (-item[1].visitors, item[0]))[:MAX_SHOWN_ROWS]
    pool = result.models[POOLED_TENANT_ID]
    rows = [
        {
            "club": tenant or "all clubs",
            "visits_from": _name_visits_source(tenant, club, pool),
            **_judge_own_fit(result.backtests.get((tenant, SCORED_HORIZON))),
            **{name: round(value, 4) for name, value in club.model.visits._asdict().items()},
            **{name: value for name, value in club._asdict().items() if name != "model"},
            "has_season": club.model.season is not None,
        }
        for tenant, club in largest
    ]
    fallen_back = sum(club.is_fallback for tenant, club in result.models.items() if tenant != POOLED_TENANT_ID)
    return {
        "parameters": build_rows_table(rows),
        "fallen_back_to_pool": fallen_back,
        "pool_is_the_stated_prior": pool.is_fallback,
        "clubs": len(result.models) - 1,
    }


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
    """Returns the measures as a table, the pool first; the larger clubs that beat both simpler forecasts; the plot."""
    largest = sorted(
        result.backtests.items(), key=lambda item: (item[0][0] != POOLED_TENANT_ID, -item[1].golfers, item[0])
    )
    rows = [
        {
            "club": tenant or "all clubs",
            "horizon_days": days,
            **{
                name: round(value, 4)
                for name, value in backtest._asdict().items()
                if name != "calibration" and value == value  # noqa: PLR0124  NaN
            },
        }
        for (tenant, days), backtest in largest[:MAX_SHOWN_ROWS]
    ]
    larger = [
        backtest
        for (tenant, days), backtest in result.backtests.items()
        if tenant != POOLED_TENANT_ID and days == SCORED_HORIZON and backtest.golfers >= MIN_GOLFERS
    ]
    pool_backtests = {
        days: backtest for (tenant, days), backtest in result.backtests.items() if tenant == POOLED_TENANT_ID
    }
    return {
        "larger_clubs": len(larger),
        "larger_clubs_that_beat_both": sum(backtest.is_better_than_both for backtest in larger),
        "measures": build_rows_table(rows),
        **({"calibration": plot_calibration(pool_backtests)} if pool_backtests else {}),
    }


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
    axes.set(xlabel="risk foretold", ylabel="share who left", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    picture = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(picture, format="png")
    encoded = base64.b64encode(picture.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![calibration: risk foretold against share who left](data:image/png;base64,{encoded})")
