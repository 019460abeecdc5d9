"""Incremental models: what each reads and writes, and how the rows of a tenant batch are built and stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.run_context import RunContext

Summary = TypeVar("Summary")


class BatchResult(NamedTuple, Generic[Summary]):
    """The result of one tenant batch: changed rows per table, and a summary for Dagster."""

    changes: dict[str, ChangeCounts]
    summary: Summary


def restore_nothing(_run: RunContext, _tenants: Sequence[str]) -> list[str]:
    """Returns no tenant: a model whose commits count one by one has nothing to restore."""
    return []


@dataclass(frozen=True)
class IncrementalModel(Generic[Summary]):
    """A model as `materialize` refreshes it.

    Attributes:
        name: the asset that materializes it; watermarks and failures are stored under this name.
        upstream: the assets whose failure for a tenant stops this model for that tenant.
        reads: the tables whose changes affect its rows.
        rebuild_on: the tables whose changes are a full refresh of the tenant.
        writes: the tables that are stored batch by batch, with one version for all batches.
        build_all: builds and stores all rows of a batch. Reads: `tenants` and `known_tenants`, see
            `RunContext.load_tenants`.
        build_affected: builds and stores the rows affected since the watermarks of a batch's tenants. It also reads
            `watermarks`, see `plan_refresh`. None: every refresh is full.
        restore: takes back what a run that ended half-way has stored of these tenants; returns those it had left.
    """

    name: str
    upstream: tuple[str, ...]
    reads: tuple[Table, ...]
    rebuild_on: tuple[Table, ...]
    writes: tuple[Table, ...]
    build_all: Callable[[RunContext], BatchResult[Summary]]
    build_affected: Callable[[RunContext], BatchResult[Summary]] | None = None
    restore: Callable[[RunContext, Sequence[str]], list[str]] = restore_nothing
