"""The weekly retention, a job that holds every tenant: who was deleted long ago, old versions, inactive casual golfers.

It is here and not with the other jobs since removing somebody is what `forget` does.
"""

import dagster as dg

from crm_pipeline.assets.metadata import WEEKLY, rows_table
from crm_pipeline.assets.retention import drop_past_rows
from crm_pipeline.assets.schedules import schedule
from crm_pipeline.forget.inactive import remove_inactive
from crm_pipeline.forget.order import pending
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy import schema
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import SettingError, Settings


@dg.op(description="Forget the casual golfers who have not come for as long as their club said.")
def remove_casual_golfers(
    context: dg.OpExecutionContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Nobody where no club has said so. Raises Failure where this process may not do what `forget` does."""
    with warehouse.engine().connect() as connection:
        months = schema.months_kept(connection)
    if not months and not any(pending(lake)):
        return
    try:
        removed = remove_inactive(settings, lake, warehouse, months, context.log.info)
    except SettingError as error:
        raise dg.Failure(f"whom retention is to remove is still there: {error}", allow_retries=False) from None
    rows = [{"tenant": tenant, "golfers_removed": count} for tenant, count in removed.items()]
    context.add_output_metadata({"tenants": rows_table(rows)})


@dg.job(
    description="People deleted at the source, versions replaced long ago and inactive casual golfers leave the lake.",
    executor_def=dg.in_process_executor,
    tags=WEEKLY.tags,
)
def people_retention() -> None:
    """See its two ops; neither waits for the other."""
    drop_past_rows()
    remove_casual_golfers()


weekly_retention = schedule("weekly_retention", people_retention, "30 1 * * 0", WEEKLY, "Sundays, before the upkeep.")
