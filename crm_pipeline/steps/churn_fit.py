"""The churn models of all tenants: fitted to the past, backtested, and stored in the lake."""

from crm_pipeline.domain.churn.train import TrainingResult, build_backtest_rows, build_model_rows, train_churn_models
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.timeline.events import CREATE_PROFILE_TARGETS
from crm_pipeline.incremental.required_rows import IDENTITY_COLUMNS
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import churn, timeline
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import scl


def fit_models(run: RunContext) -> TrainingResult:
    """Returns the fitted models of all tenants and their backtests, as of the run's hour.

    Reads: all source tables, the tables of IDENTITY_COLUMNS and customer_timeline of the lake.
    """
    tenants = run.load_all_rows()
    for table in IDENTITY_COLUMNS:
        run.lake.create_current_view(run.con, table, tenants=tenants)
    run.lake.create_current_view(run.con, timeline.customer_timeline, tenants=tenants, name="current_timeline")
    run.con.execute(f"create or replace temp table current_payments as from {to_lake_name(scl.payment)}")
    run.lake.create_log_view(run.con, scl.member)
    run.con.execute(CREATE_PROFILE_TARGETS)
    # Not the stored people: a fit may come before a new release has stored those of every club.
    normalise_people(run.con)
    result = train_churn_models(run.con, tenants, run.as_of)
    run.define_as_of()
    return result


def store_models(run: RunContext, result: TrainingResult) -> dict[str, ChangeCounts]:
    """Stores models and backtests under the run's hour; returns the changes per table."""
    run.con.register("new_backtests", build_backtest_rows(result, run.as_of))
    run.con.register("new_models", build_model_rows(result, run.as_of))
    return {
        "churn_backtests": run.replace(churn.churn_backtests, "new_backtests", None, "judged_at = as_of()"),
        "churn_models": run.replace(churn.churn_models, "new_models", None, "fitted_at = as_of()"),
    }
