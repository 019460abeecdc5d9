"""What a model makes of one tenant batch."""

from typing import Generic, NamedTuple, TypeVar

from crm_pipeline.resources.lake.lake import ChangeCounts

Summary = TypeVar("Summary")


class BatchResult(NamedTuple, Generic[Summary]):
    """What came of one tenant batch: rows changed per table, and a summary for Dagster."""

    changes: dict[str, ChangeCounts]
    summary: Summary
