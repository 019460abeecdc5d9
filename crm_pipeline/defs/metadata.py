"""Metadata of assets in the UI: column schemas and lineage from the declarations, counts of changes, cadences."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypedDict

import dagster as dg
from sqlalchemy import Column, Table

from crm_pipeline.domain.freshness import LATE_AFTER
from crm_pipeline.incremental.model import Materialization
from crm_pipeline.incremental.watermarks import compute_code_hash
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.columns import find_table_service, source_metadata
from crm_pipeline.tables.lineage import COLUMN_LINEAGE
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.projections import to_duckdb_type

ASSETS_BY_TABLE = {
    "customer_identities": "customer_identities",
    "customer_timeline": "timeline_events",
    "churn_models": "churn_model",
    "customer_profiles": "profile_scores",
}
"""The asset that builds each output table in the lake."""


class Cadence(NamedTuple):
    """How often something is built: the tag to search it by, and when the UI starts to call an asset late."""

    name: str
    late_after: timedelta

    @property
    def tags(self) -> dict[str, str]:
        """Returns the tag of the cadence."""
        return {"cadence": self.name}

    @property
    def freshness(self) -> dg.FreshnessPolicy:
        """Returns a policy that warns after `late_after`, and fails after twice that time."""
        return dg.FreshnessPolicy.time_window(fail_window=2 * self.late_after, warn_window=self.late_after)


HOURLY = Cadence("hourly", LATE_AFTER)
DAILY = Cadence("daily", timedelta(hours=26))
WEEKLY = Cadence("weekly", timedelta(days=8))


class AssetOptions(TypedDict):
    """What every asset that a run makes says of itself, as arguments of its decorator or spec."""

    owners: list[str]
    tags: dict[str, str]
    freshness_policy: dg.FreshnessPolicy
    metadata: dict[str, Any]
    code_version: str


def build_asset_options(cadence: Cadence, *tables: Table) -> AssetOptions:
    """Returns owner, cadence, code version and the columns of these tables."""
    return AssetOptions(
        owners=["team:data"],
        tags=cadence.tags,
        freshness_policy=cadence.freshness,
        metadata=build_columns_metadata(*tables),
        code_version=compute_code_hash(),
    )


def build_column_schema(*tables: Table) -> dg.TableSchema:
    """Returns the declared columns as Dagster shows them; with several tables, names start with the table's."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                f"{table.name}.{column.name}" if len(tables) > 1 else column.name,
                to_duckdb_type(column),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for table in tables
            for column in table.columns
        ]
    )


def build_columns_metadata(*tables: Table) -> dict[str, Any]:
    """Returns definition metadata with the columns of these tables, and the column lineage of an output table."""
    schema = {"dagster/column_schema": build_column_schema(*tables)}
    if len(tables) == 1 and tables[0] in COLUMN_LINEAGE:
        return {**schema, "dagster/column_lineage": build_column_lineage(tables[0])}
    return schema


def build_column_lineage(table: Table) -> dg.TableColumnLineage:
    """Returns the source columns of each column of an output, by the assets that store them in the lake."""
    return dg.TableColumnLineage(
        {
            column: list(dict.fromkeys(map(_build_column_dependency, made_of)))
            for column, made_of in COLUMN_LINEAGE[table].items()
        }
    )


def build_published_lineage(table: Table) -> dg.TableColumnLineage:
    """Returns the lineage of a published table from the lake; stage changes also depend on the profile's stage."""
    stage = customer_profiles.c.lifecycle_stage
    stage_columns = {customer_timeline.c.summary, customer_timeline.c.details}
    return dg.TableColumnLineage(
        {
            c.key: [_build_column_dependency(c), *([_build_column_dependency(stage)] if c in stage_columns else [])]
            for c in table.columns
        }
    )


def _build_column_dependency(column: Column[Any]) -> dg.TableColumnDep:
    """Returns where the lake stores a column: in a service's snapshot, or in the asset that builds the table."""
    table = column.table
    if table.metadata is source_metadata:
        return dg.TableColumnDep(f"{find_table_service(table).lower()}_snapshot", f"{table.name}.{column.name}")
    return dg.TableColumnDep(ASSETS_BY_TABLE[table.name], column.name)


def build_changes_metadata(changes: Mapping[str, ChangeCounts], rows: int | None = None) -> dict[str, Any]:
    """Returns materialisation metadata: the changes per table, and the row count if given."""
    rows_by_table = [{"table": name, **change._asdict()} for name, change in changes.items()]
    metadata: dict[str, Any] = {
        "changes": build_optional_table(rows_by_table),
        "changed_rows": sum(change.total for change in changes.values()),
    }
    return metadata if rows is None else {**metadata, "dagster/row_count": rows}


def build_model_metadata(
    run: RunContext, asset: str, materialization: Materialization[Any], rows: int
) -> dict[str, Any]:
    """Returns materialisation metadata of a model: what it quarantined and changed, and the row count."""
    reasons = run.count_quarantined(asset)
    return {
        "quarantined": build_counts_table("reason", reasons),
        **build_changes_metadata(_sum_changes(batch.changes for batch in materialization.batches), rows),
        **build_count_metrics("quarantined", reasons),
    }


def build_counts_table(column: str, counts: Mapping[str, int]) -> dg.TableMetadataValue | dg.TextMetadataValue:
    """Returns counts as a table of `column` and `rows`, the largest first; the word `none` where there are none."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return build_optional_table([{column: name, "rows": count} for name, count in largest])


def build_count_metrics(name: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Returns a number of its own for each count, as `name/key`: the UI plots such numbers over time."""
    return {f"{name}/{key}": count for key, count in counts.items()}


def format_markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Returns rows, which all have the same columns, as a table in Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[text.replace("|", "\\|").replace("\n", " ") for text in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _sum_changes(batch_changes: Iterable[Mapping[str, ChangeCounts]]) -> dict[str, ChangeCounts]:
    """Returns the changes of all batches together, per table."""
    total: dict[str, ChangeCounts] = {}
    for changes_by_table in batch_changes:
        for table, changes in changes_by_table.items():
            total[table] = ChangeCounts(*map(sum, zip(total.get(table, (0, 0, 0)), changes, strict=True)))
    return total


def build_rows_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Returns rows as a table for the UI; a row may lack columns that others have."""
    kinds = {bool: "bool", int: "int", float: "float"}
    columns = {name: kinds.get(type(value), "string") for row in rows for name, value in row.items()}
    return dg.MetadataValue.table(
        records=[dg.TableRecord({**dict.fromkeys(columns), **row}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )


def build_optional_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue | dg.TextMetadataValue:
    """Returns rows as a table for the UI, or the word `none` where there are none."""
    return build_rows_table(rows) if rows else dg.MetadataValue.text("none")
