"""What no hour shows that can still be asked for leaves the lake: who was deleted long ago, and old versions.

It is one part of the weekly retention; the job is in `forget/retention_job`. How long is `AS_OF_DAYS`, for which past
hours can be asked for. Folding what is then left is the daily upkeep's.
"""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg

from crm_pipeline.assets.metadata import rows_table
from crm_pipeline.resources.lake.compaction import AS_OF_DAYS
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.lake_erasure import drop_long_past
from crm_pipeline.tables.columns import output_metadata, source_metadata
from crm_pipeline.tables.projections import lake_name


@dg.op(description="Rewrite every log without what no hour shows that can still be asked for.")
def drop_past_rows(context: dg.OpExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
    """One table after the other, by the clock: an hour that is pinned is no measure of how long somebody is gone."""
    before = datetime.now(UTC) - timedelta(days=AS_OF_DAYS)
    with closing(lake.connect()) as con:
        tables = (*source_metadata.tables.values(), *output_metadata.tables.values())
        dropped = {lake_name(table): drop_long_past(con, lake, table, before) for table in tables}
    rows = [{"table": name, "versions_dropped": count} for name, count in dropped.items() if count]
    context.add_output_metadata({"tables": rows_table(rows)})
