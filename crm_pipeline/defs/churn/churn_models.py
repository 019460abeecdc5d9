"""The weekly fit: every club's churn model, and the backtest that says what it is worth. Kept in the lake, by version.

The hourly refresh applies the latest version and never fits; fitting by hand is a run of job `fit_churn`.
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
from crm_pipeline.domain.churn.train import SCORED_HORIZON, TrainingResult
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.churn_fit import fit_models, store_models
from crm_pipeline.tables.outputs import churn

CHURN_GROUP = "churn"
MAX_SHOWN_ROWS = 100
MIN_GOLFERS = 200


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
    """Fit and judge the models of all tenants as of the run's hour, and keep both under it.

    Of all tenants in a run of one, too: what they share is part of each one's model.
    """
    with open_run_context(context, lake, settings) as run:
        this = replace(run, tenants=None)
        lesson = fit_models(this)
        changes = store_models(this, lesson)
    found = {
        "churn_model": (_build_parameter_metadata(lesson), len(lesson.clubs)),
        "churn_backtest": (_build_backtest_metadata(lesson), len(lesson.verdicts)),
    }
    for name, (metadata, rows) in found.items():
        counts = build_changes_metadata({f"{name}s": changes[f"{name}s"]}, rows)
        yield dg.MaterializeResult(asset_key=name, metadata={**counts, **metadata})


def _build_parameter_metadata(lesson: TrainingResult) -> dict[str, Any]:
    """The pool's parameters and those of the clubs with most visitors, as a table."""
    largest = sorted(lesson.clubs.items(), key=lambda item: (-item[1].visitors, item[0]))[:MAX_SHOWN_ROWS]
    rows = [
        {
            "club": tenant or "all clubs",
            **{name: round(value, 4) for name, value in club.model.visits._asdict().items()},
            **{name: value for name, value in club._asdict().items() if name != "model"},
            "has_season": club.model.season is not None,
        }
        for tenant, club in largest
    ]
    fallen_back = sum(club.is_fallback for club in lesson.clubs.values())
    return {"parameters": build_rows_table(rows), "fallen_back_to_pool": fallen_back, "clubs": len(lesson.clubs) - 1}


def _build_backtest_metadata(lesson: TrainingResult) -> dict[str, Any]:
    """The measures as a table, the pool's first; in how many larger clubs the rivals were beaten; the plot."""
    largest = sorted(
        lesson.verdicts.items(), key=lambda item: (item[0][0] != POOLED_TENANT_ID, -item[1].golfers, item[0])
    )
    rows = [
        {
            "club": tenant or "all clubs",
            "horizon_days": days,
            **{
                name: round(value, 4)
                for name, value in verdict._asdict().items()
                if name != "calibration" and value == value  # noqa: PLR0124  NaN
            },
        }
        for (tenant, days), verdict in largest[:MAX_SHOWN_ROWS]
    ]
    larger = [
        verdict
        for (tenant, days), verdict in lesson.verdicts.items()
        if tenant != POOLED_TENANT_ID and days == SCORED_HORIZON and verdict.golfers >= MIN_GOLFERS
    ]
    pooled = {days: verdict for (tenant, days), verdict in lesson.verdicts.items() if tenant == POOLED_TENANT_ID}
    found = {"larger_clubs": len(larger), "larger_clubs_that_beat_both": sum(v.beats_both for v in larger)}
    return {
        **found,
        "measures": build_rows_table(rows),
        **({"calibration": plot_calibration(pooled)} if pooled else {}),
    }


FIGURE_INCHES, FIGURE_DPI = 6.0, 90


def plot_calibration(verdicts: Mapping[int, BacktestResult]) -> dg.MarkdownMetadataValue:
    """A picture, one line per horizon in days; a forecast that means what it says lies on the diagonal."""
    # A second that only the weekly fit should pay; not pyplot, which keeps figures and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(FIGURE_INCHES, FIGURE_INCHES), dpi=FIGURE_DPI, layout="tight")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for days, verdict in sorted(verdicts.items()):
        bins = verdict.calibration
        axes.plot([b.forecast for b in bins], [b.left for b in bins], marker="o", label=f"{days} days")
    axes.set(xlabel="risk foretold", ylabel="share who left", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    picture = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(picture, format="png")
    encoded = base64.b64encode(picture.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![calibration: risk foretold against share who left](data:image/png;base64,{encoded})")
