"""The fit of every club's churn model on the past, stored in the lake by version."""

from crm_pipeline.domain.churn.train import Lesson, learn_churn, model_rows, verdict_rows
from crm_pipeline.domain.contact_keys.person_records import normalise_people
from crm_pipeline.domain.timeline.events import PROFILE_TARGETS
from crm_pipeline.resources.lake.lake import Changes
from crm_pipeline.run_context import Step
from crm_pipeline.tables.outputs import churn, identity, timeline
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.tables.sources import scl


def fit_models(this: Step) -> Lesson:
    """Fit and judge the models of all tenants from what the lake knows as of the run's hour."""
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


def store_models(this: Step, lesson: Lesson) -> dict[str, Changes]:
    """Keep models and backtests under the run's hour; return what changed per table."""
    this.con.register("judged", verdict_rows(lesson, this.as_of))
    this.con.register("fitted", model_rows(lesson, this.as_of))
    return {
        "churn_backtests": this.replace(churn.churn_backtests, "judged", None, "judged_at = as_of()"),
        "churn_models": this.replace(churn.churn_models, "fitted", None, "fitted_at = as_of()"),
    }
