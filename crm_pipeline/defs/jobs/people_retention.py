"""The weekly job that removes rows deleted long ago, old versions and inactive casual golfers. It locks every tenant.

A past hour can be requested for `LOG_RETENTION_DAYS`; rows that no such hour shows are removed from the lake.
"""

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg

from crm_pipeline.defs.dagster_context import report_errors
from crm_pipeline.defs.metadata import WEEKLY, build_rows_table
from crm_pipeline.privacy.erase import ErasureOpenError
from crm_pipeline.privacy.inactive_golfers import erase_inactive_golfers
from crm_pipeline.privacy.request import read_pending_requests
from crm_pipeline.resources.lake.compaction import LOG_RETENTION_DAYS
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy import schema as privacy_schema
from crm_pipeline.resources.privacy.lake_erasure import delete_old_versions
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import SettingError, Settings
from crm_pipeline.tables import LAKE_TABLES
from crm_pipeline.tables.projections import to_lake_name


@dg.op(description="Rewrite every log without the rows that no hour shows which can still be requested.")
@report_errors()
def drop_past_rows(context: dg.OpExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
    """Rewrites one table after the other, by the clock; a pinned hour does not extend how long rows are stored."""
    before = datetime.now(UTC) - timedelta(days=LOG_RETENTION_DAYS)
    with closing(lake.connect()) as con:
        dropped = {to_lake_name(table): delete_old_versions(con, lake, table, before) for table in LAKE_TABLES}
    rows = [{"table": name, "versions_dropped": count} for name, count in dropped.items() if count]
    context.add_output_metadata({"tables": build_rows_table(rows)})


@dg.op(description="Erase the casual golfers who have been inactive for as many months as their club has set.")
@report_errors()
def remove_casual_golfers(
    context: dg.OpExecutionContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Erases the inactive golfers of the clubs that have set a retention; does nothing if no club has.

    Raises: Failure where this process may not do what `forget` does.
    """
    with warehouse.engine().connect() as connection:
        months = privacy_schema.read_retention_months(connection)
    _erase_people(context, lake, settings, warehouse, months)


@dg.op(description="Go on with what `forget` or retention could not finish; fails until nothing is left.")
@report_errors()
def finish_erasures(
    context: dg.OpExecutionContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Executes the erasure requests that are open, and no others.

    Raises: Failure where something is left, or this process may not do what `forget` does.
    """
    _erase_people(context, lake, settings, warehouse, {})


def _erase_people(
    context: dg.OpExecutionContext, lake: Lake, settings: Settings, warehouse: Warehouse, months: Mapping[str, int]
) -> None:
    if not months and not any(read_pending_requests(lake)):
        return
    try:
        removed = erase_inactive_golfers(settings, lake, warehouse, months, context.log.info)
    except (SettingError, ErasureOpenError) as error:
        raise dg.Failure(f"people who are to be forgotten are still there: {error}", allow_retries=False) from None
    rows = [{"tenant": tenant, "golfers_removed": count} for tenant, count in removed.items()]
    context.add_output_metadata({"tenants": build_rows_table(rows)})


@dg.job(
    description="People deleted at the source, versions replaced long ago and inactive casual golfers leave the lake.",
    executor_def=dg.in_process_executor,
    tags=WEEKLY.tags,
)
def people_retention() -> None:
    """A job of two ops; neither waits for the other."""
    drop_past_rows()
    remove_casual_golfers()
