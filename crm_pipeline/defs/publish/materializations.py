"""Materializations of a publication: an event per tenant, and a failure that names the tenants not published."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from crm_pipeline.defs.publish.check_results import to_check_result
from crm_pipeline.defs.publish.freshness_check import TENANT_FRESHNESS_CHECK
from crm_pipeline.defs.publish.published_specs import WHOLE_TABLES, build_published_key
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.resources.dagster_storage.purge import restore_check_results
from crm_pipeline.resources.lake.lake import NO_CHANGES, ChangeCounts
from crm_pipeline.resources.warehouse.publishing.publisher import PublishCost
from crm_pipeline.steps.publish.gate import EVALUATED_TABLES
from crm_pipeline.tables.outputs.profiles import customer_profiles

UNPUBLISHED_KEY = "unpublished"
"""The failure's metadata that maps each tenant that was not published to its reason."""


def report_materializations(
    context: dg.AssetExecutionContext,
    changes: dict[str, dict[str, ChangeCounts]],
    rows: dict[tuple[str, str], int],
    costs: dict[str, PublishCost],
    unpublished: dict[str, str],
    evaluations: Sequence[dg.AssetCheckEvaluation],
) -> Iterator[dg.MaterializeResult]:
    """Yields one result per selected asset, with metadata per tenant and the evaluations of its selected checks.

    If some tenants were not published, or the run has no partitions that Dagster could mark, it logs an event per
    published tenant. If some were not published, it logs the evaluations of all tenants too.
    Raises: Failure if some tenants were not published, after the events of the others.
    """
    is_logged_per_tenant = unpublished or not (context.has_partition_key or context.has_partition_key_range)
    for table in EVALUATED_TABLES:
        total = sum(count for (name, _), count in rows.items() if name == table.name)
        for tenant, tenant_changes in changes.items():
            table_changes = tenant_changes.get(table.name)
            cost = costs.get(tenant) if table_changes else None
            metadata = _build_metadata(total, table_changes, rows.get((table.name, tenant)), cost)
            if is_logged_per_tenant:
                context.log_event(dg.AssetMaterialization(table.name, partition=tenant, metadata=metadata))
            else:
                _add_metadata(context, table.name, tenant, metadata)
        if not unpublished and dg.AssetKey(table.name) in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=table.name,
                metadata=_build_metadata(total),  # of the asset as a whole, in a run without partitions
                check_results=[
                    to_check_result(each)
                    for each in evaluations
                    if each.asset_key.path == [table.name] and each.asset_check_key in context.selected_asset_check_keys
                ],
            )
    yield from _report_whole_tables(context, rows, has_failed=bool(unpublished))
    for evaluation in evaluations if unpublished else ():
        # The failure itself names the clubs that are not fresh.
        if evaluation.partition is None and evaluation.check_name != TENANT_FRESHNESS_CHECK:
            context.log_event(evaluation)
    restore_check_results(context.instance, context.run.run_id)
    if unpublished:
        raise dg.Failure(
            _format_unpublished(unpublished, rows),
            metadata={UNPUBLISHED_KEY: dg.MetadataValue.json(unpublished)},
            allow_retries=False,
        )


def _report_whole_tables(
    context: dg.AssetExecutionContext, rows: Mapping[tuple[str, str], int], *, has_failed: bool
) -> Iterator[dg.MaterializeResult]:
    """Yields one result per selected asset without partitions; logs an event instead in a run that has failed."""
    for table in WHOLE_TABLES:
        key = build_published_key(table)
        metadata = {"dagster/row_count": sum(count for (name, _), count in rows.items() if name == table.name)}
        if key not in context.selected_asset_keys:
            continue
        if has_failed:
            context.log_event(dg.AssetMaterialization(key, metadata=metadata))
        else:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)


def _format_unpublished(unpublished: Mapping[str, str], rows: Mapping[tuple[str, str], int]) -> str:
    """Returns the tenants that were not published and the reasons, those that keep older tables first."""
    groups: dict[str, list[str]] = {"not published, last published data kept": [], "never published": []}
    stale, never_published = groups.values()
    for tenant, reason in sorted(unpublished.items()):
        group = stale if (customer_profiles.name, tenant) in rows else never_published
        group.append(f"{escape_invisible_characters(tenant)} ({reason})")
    return "; ".join(f"{words}: {'; '.join(tenants)}" for words, tenants in groups.items() if tenants)


def _add_metadata(context: dg.AssetExecutionContext, asset: str, tenant: str, metadata: dict[str, Any]) -> None:
    """Adds metadata as `context.add_asset_metadata` does, without its query of all partitions at every call."""
    step = context.op_execution_context.get_step_execution_context()
    step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(  # noqa: SLF001
        dg.AssetKey(asset), tenant, metadata
    )


def _build_metadata(
    total_rows: int, changes: ChangeCounts | None = None, rows: int | None = None, cost: PublishCost | None = None
) -> dict[str, Any]:
    added, changed, removed = changes or NO_CHANGES
    counts = {
        "dagster/row_count": total_rows,
        "rows_added": added,
        "rows_changed": changed,
        "rows_removed": removed,
    }
    if rows is not None:
        counts["dagster/partition_row_count"] = rows
    return counts if cost is None else {**counts, "publish_seconds": cost.seconds, "publish_wal_bytes": cost.wal_bytes}
