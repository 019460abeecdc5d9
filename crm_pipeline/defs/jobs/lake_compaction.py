"""The daily job that compacts the lake. It locks every tenant, so no run writes at the same time."""

from contextlib import closing

import dagster as dg

from crm_pipeline.defs.dagster_context import report_errors
from crm_pipeline.defs.jobs.people_retention import finish_erasures
from crm_pipeline.defs.metadata import DAILY, build_rows_table
from crm_pipeline.resources.lake.compaction import compact_table, delete_abandoned_spill, delete_retired_tables
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.tables import LAKE_TABLES
from crm_pipeline.tables.projections import to_lake_name


@dg.op(
    name="compact_and_fold",
    description="Compact every log, merge new changes into its base, delete files that are no longer needed.",
)
@report_errors()
def compact_lake(context: dg.OpExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
    """Compacts one table after the other; their contents do not change."""
    delete_abandoned_spill(lake)
    delete_retired_tables(lake)
    with closing(lake.connect()) as con:
        compactions = {
            to_lake_name(table): compaction for table in LAKE_TABLES if (compaction := compact_table(con, lake, table))
        }
    rows = [{"table": name, **compaction._asdict()} for name, compaction in compactions.items()]
    context.add_output_metadata({"tables": build_rows_table(rows)})


@dg.job(
    description="Compact the lake, so that reading it stays as fast as at first, and finish open erasures.",
    tags=DAILY.tags,
)
def lake_upkeep() -> None:
    """A job of two ops; neither waits for the other."""
    compact_lake()
    finish_erasures()
