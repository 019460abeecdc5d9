"""The result type that every incremental model returns per tenant batch."""

from typing import Generic, NamedTuple, TypeVar

from crm_pipeline.resources.lake.lake import ChangeCounts

Summary = TypeVar("Summary")


class BatchResult(NamedTuple, Generic[Summary]):
    """The result of one tenant batch: changed rows per table, and a summary for Dagster."""

    changes: dict[str, ChangeCounts]
    summary: Summary
