"""The weekly fit: every club's churn model, and the backtest that says what it is worth. Kept in the lake, by version.

The hourly refresh applies the latest version and never fits; fitting by hand is a run of job `fit_churn`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from crm_pipeline.assets.calibration_plot import plot
from crm_pipeline.assets.metadata import WEEKLY, columns_metadata, counted, rows_table
from crm_pipeline.assets.step import Step, step
from crm_pipeline.domain.churn.parameters import POOL
from crm_pipeline.domain.churn.train import SCORED_HORIZON, Lesson, learn_churn, model_rows, verdict_rows
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.timeline.events import PROFILE_TARGETS
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.settings import Settings
from crm_pipeline.tables.outputs import churn, identity, timeline
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.tables.sources import scl

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
        lesson = _learn(this)
        this.con.register("judged", verdict_rows(lesson, this.as_of))
        this.con.register("fitted", model_rows(lesson, this.as_of))
        changes = {
            "churn_backtests": this.replace(churn.churn_backtests, "judged", None, "judged_at = as_of()"),
            "churn_models": this.replace(churn.churn_models, "fitted", None, "fitted_at = as_of()"),
        }
    found = {
        "churn_model": (_parameters(lesson), len(lesson.clubs)),
        "churn_backtest": (_diagnostics(lesson), len(lesson.verdicts)),
    }
    for name, (metadata, rows) in found.items():
        counts = counted({f"{name}s": changes[f"{name}s"]}, rows)
        yield dg.MaterializeResult(asset_key=name, metadata={**counts, **metadata})


def _learn(this: Step) -> Lesson:
    tenants = [tenant.tenant_id for tenant in this.load_everything()]
    for table in (identity.customer_identities, identity.profile_ids):
        this.lake.current(this.con, table, tenants=tenants)
    this.lake.current(this.con, timeline.customer_timeline, tenants=tenants, name="timeline_now")
    this.con.execute(f"create or replace temp table payments_now as from {lake_name(scl.payment)}")
    this.con.execute(PROFILE_TARGETS)
    normalise_people(this.con)
    lesson = learn_churn(this.con, tenants, this.as_of)
    this.define_as_of()
    return lesson


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


fit_churn = dg.define_asset_job(
    "fit_churn",
    selection=dg.AssetSelection.groups(GROUP),
    description="Fit every club's churn model and judge it on the past; the next refresh applies it.",
    tags=WEEKLY.tags,
)
