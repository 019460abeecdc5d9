"""What Dagster is told of a publication: an event per tenant, and which tenants were not published."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from crm_pipeline.assets.gate import CHECK, JUDGED
from crm_pipeline.resources.lake import Changes


def results(
    context: dg.AssetExecutionContext,
    changes: dict[str, dict[str, Changes]],
    rows: dict[tuple[str, str], int],
    unpublished: dict[str, str],
) -> Iterator[dg.MaterializeResult]:
    """All good: one result per asset, with metadata per tenant. Some bad: the good ones' events, then Failure.

    A run of the whole graph has no partitions for Dagster to mark, and gets the good ones' events too.
    """
    one_by_one = unpublished or not (context.has_partition_key or context.has_partition_key_range)
    for table in JUDGED:
        for tenant, changed in changes.items():
            metadata = _metadata(changed.get(table.name), rows.get((table.name, tenant)))
            if one_by_one:
                context.log_event(dg.AssetMaterialization(table.name, partition=tenant, metadata=metadata))
            else:
                context.add_asset_metadata(metadata, asset_key=table.name, partition_key=tenant)
        if not unpublished:
            yield dg.MaterializeResult(
                asset_key=table.name,
                metadata=_metadata(None),  # of closed tenants, which belong to the run and have no part in it
                check_results=[dg.AssetCheckResult(check_name=CHECK, passed=True, asset_key=table.name)],
            )
    if unpublished:
        reasons = "; ".join(f"{tenant} ({reason})" for tenant, reason in sorted(unpublished.items()))
        raise dg.Failure(
            f"not published, last published data kept: {reasons}",
            metadata={"unpublished": dg.MetadataValue.json(unpublished)},
            allow_retries=False,
        )


def _metadata(changes: Changes | None, rows: int | None = None) -> dict[str, Any]:
    added, changed, removed = changes or Changes(0, 0, 0)
    counts = {"rows_added": added, "rows_changed": changed, "rows_removed": removed}
    return counts if rows is None else {**counts, "dagster/row_count": rows}
