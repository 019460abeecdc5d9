"""The fit of every club's churn model on the past, stored in the lake by version."""

from crm_pipeline.domain.churn.train import TrainingResult, build_backtest_rows, build_model_rows, train_churn_models
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.timeline.events import CREATE_PROFILE_TARGETS
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import churn, identity, timeline
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import scl


def fit_models(run: RunContext) -> TrainingResult:
    """Fit and judge the models of all tenants from what the lake knows as of the run's hour."""
    tenants = [tenant.tenant_id for tenant in run.load_all_rows()]
    for table in (identity.customer_identities, identity.profile_ids):
        run.lake.current(run.con, table, tenants=tenants)
    run.lake.current(run.con, timeline.customer_timeline, tenants=tenants, name="current_timeline")
    run.con.execute(f"create or replace temp table current_payments as from {to_lake_name(scl.payment)}")
    run.con.execute(CREATE_PROFILE_TARGETS)
    normalise_people(run.con)
    lesson = train_churn_models(run.con, tenants, run.as_of)
    run.define_as_of()
    return lesson


def store_models(run: RunContext, lesson: TrainingResult) -> dict[str, ChangeCounts]:
    """Keep models and backtests under the run's hour; return what changed per table."""
    run.con.register("judged", build_backtest_rows(lesson, run.as_of))
    run.con.register("fitted", build_model_rows(lesson, run.as_of))
    return {
        "churn_backtests": run.replace(churn.churn_backtests, "judged", None, "judged_at = as_of()"),
        "churn_models": run.replace(churn.churn_models, "fitted", None, "fitted_at = as_of()"),
    }
