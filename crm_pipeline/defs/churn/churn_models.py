"""The weekly fit: every club's churn model, and the backtest that says what it is worth. Kept in the lake, by version.

The hourly refresh applies the latest version and never fits; fitting by hand is a run of job `fit_churn`.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import step
from crm_pipeline.defs.metadata import WEEKLY, columns_metadata, counted, rows_table
from crm_pipeline.domain.churn.backtest import Verdict
from crm_pipeline.domain.churn.parameters import POOL
from crm_pipeline.domain.churn.train import SCORED_HORIZON, Lesson
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.steps.churn_fit import fit_models, store_models
from crm_pipeline.tables.outputs import churn

GROUP = "churn"
MOST_SHOWN = 100
ENOUGH_GOLFERS = 200


def _spec(name: str, description: str, table: Any) -> dg.AssetSpec:  # noqa: ANN401
    return dg.AssetSpec(
        name,
        deps=["customer_identities", "timeline_events"],
        description=description,
        group_name=GROUP,
        kinds={"deltalake", "duckdb", "scipy"},
        owners=["team:data"],
        tags=WEEKLY.tags,
        freshness_policy=WEEKLY.freshness,
        metadata=columns_metadata(table),
        code_version="1",
    )


@dg.multi_asset(
    name="churn",
    specs=[
        _spec(
            "churn_model", "Churn parameters per club, pooled over all clubs; every version stays.", churn.churn_models
        ),
        _spec("churn_backtest", "How the forecasts of 90 and 365 days ago turned out.", churn.churn_backtests),
    ],
)
def churn_assets(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> Iterator[dg.MaterializeResult]:
    """Fit and judge the models of all tenants as of the run's hour, and keep both under it.

    Of all tenants in a run of one, too: what they share is part of each one's model.
    """
    with step(context, lake, settings) as run:
        this = replace(run, tenants=None)
        lesson = fit_models(this)
        changes = store_models(this, lesson)
    found = {
        "churn_model": (_parameters(lesson), len(lesson.clubs)),
        "churn_backtest": (_diagnostics(lesson), len(lesson.verdicts)),
    }
    for name, (metadata, rows) in found.items():
        counts = counted({f"{name}s": changes[f"{name}s"]}, rows)
        yield dg.MaterializeResult(asset_key=name, metadata={**counts, **metadata})


def _parameters(lesson: Lesson) -> dict[str, Any]:
    """The pool's parameters and those of the clubs with most visitors, as a table."""
    largest = sorted(lesson.clubs.items(), key=lambda item: (-item[1].visitors, item[0]))[:MOST_SHOWN]
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
    return {"parameters": rows_table(rows), "fallen_back_to_pool": fallen_back, "clubs": len(lesson.clubs) - 1}


def _diagnostics(lesson: Lesson) -> dict[str, Any]:
    """The measures as a table, the pool's first; in how many larger clubs the rivals were beaten; the plot."""
    largest = sorted(lesson.verdicts.items(), key=lambda item: (item[0][0] != POOL, -item[1].golfers, item[0]))
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
        for (tenant, days), verdict in largest[:MOST_SHOWN]
    ]
    larger = [
        verdict
        for (tenant, days), verdict in lesson.verdicts.items()
        if tenant != POOL and days == SCORED_HORIZON and verdict.golfers >= ENOUGH_GOLFERS
    ]
    pooled = {days: verdict for (tenant, days), verdict in lesson.verdicts.items() if tenant == POOL}
    found = {"larger_clubs": len(larger), "larger_clubs_that_beat_both": sum(v.beats_both for v in larger)}
    return {**found, "measures": rows_table(rows), **({"calibration": plot(pooled)} if pooled else {})}


INCHES, DOTS = 6.0, 90


def plot(verdicts: Mapping[int, Verdict]) -> dg.MarkdownMetadataValue:
    """A picture, one line per horizon in days; a forecast that means what it says lies on the diagonal."""
    # A second that only the weekly fit should pay; not pyplot, which keeps figures and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(INCHES, INCHES), dpi=DOTS, layout="tight")
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
