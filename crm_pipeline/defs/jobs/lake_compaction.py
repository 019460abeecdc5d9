"""The daily upkeep of the lake, as a job of its own: it holds every tenant, so no run writes meanwhile."""

from contextlib import closing

import dagster as dg

from crm_pipeline.defs.metadata import DAILY, build_rows_table
from crm_pipeline.resources.lake.compaction import compact_table, delete_abandoned_spill
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.tables.columns import output_metadata, source_metadata
from crm_pipeline.tables.projections import to_lake_name


@dg.op(description="Compact every log, fold what is new into its base, delete files nobody can need any more.")
def compact_lake(context: dg.OpExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
    """One table after the other; what each says stays the same."""
    delete_abandoned_spill(lake)
    with closing(lake.connect()) as con:
        tables = (*source_metadata.tables.values(), *output_metadata.tables.values())
        done = {to_lake_name(table): upkeep for table in tables if (upkeep := compact_table(con, lake, table))}
    rows = [{"table": name, **upkeep._asdict()} for name, upkeep in done.items()]
    context.add_output_metadata({"tables": build_rows_table(rows)})


@dg.job(description="Keeps reading the lake as cheap as at first.", tags=DAILY.tags)
def lake_upkeep() -> None:
    """See `compact_and_fold`."""
    compact_lake()
