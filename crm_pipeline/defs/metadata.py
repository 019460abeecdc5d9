"""What the UI shows beside an asset: column schemas projected from the declarations, and counts of what changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import dagster as dg
from sqlalchemy import Column, Table

from crm_pipeline.resources.lake.lake import ChangeCounts
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
"""The asset that makes each output table in the lake."""


class Cadence(NamedTuple):
    """How often something is made: the tag to search it by, and from when on the UI calls an asset late."""

    name: str
    late_after: timedelta

    @property
    def tags(self) -> dict[str, str]:
        """The tag."""
        return {"cadence": self.name}

    @property
    def freshness(self) -> dg.FreshnessPolicy:
        """A warning from then on, a failure after as long again."""
        return dg.FreshnessPolicy.time_window(fail_window=2 * self.late_after, warn_window=self.late_after)


HOURLY = Cadence("hourly", timedelta(hours=2))
DAILY = Cadence("daily", timedelta(hours=26))
WEEKLY = Cadence("weekly", timedelta(days=8))


def build_column_schema(*tables: Table) -> dg.TableSchema:
    """The declared columns as Dagster shows them; those of several tables are told apart by the table's name."""
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
    """Definition metadata that shows the columns of these tables, and of an output's what they are made of."""
    schema = {"dagster/column_schema": build_column_schema(*tables)}
    if len(tables) == 1 and tables[0] in COLUMN_LINEAGE:
        return {**schema, "dagster/column_lineage": build_column_lineage(tables[0])}
    return schema


def build_column_lineage(table: Table) -> dg.TableColumnLineage:
    """What each column of an output is made of, by the assets that keep it in the lake."""
    return dg.TableColumnLineage(
        {
            column: list(dict.fromkeys(map(_build_column_dependency, made_of)))
            for column, made_of in COLUMN_LINEAGE[table].items()
        }
    )


def build_published_lineage(table: Table) -> dg.TableColumnLineage:
    """A published table's columns as the lake has them; a change of stage tells of the profile's besides."""
    stage = customer_profiles.c.lifecycle_stage
    tells = {customer_timeline.c.summary, customer_timeline.c.details}
    return dg.TableColumnLineage(
        {
            c.key: [_build_column_dependency(c), *([_build_column_dependency(stage)] if c in tells else [])]
            for c in table.columns
        }
    )


def _build_column_dependency(column: Column[Any]) -> dg.TableColumnDep:
    """Where the lake keeps a column: in a service's snapshot, or in the asset that makes the table."""
    table = column.table
    if table.metadata is source_metadata:
        return dg.TableColumnDep(f"{find_table_service(table).lower()}_snapshot", f"{table.name}.{column.name}")
    return dg.TableColumnDep(ASSETS_BY_TABLE[table.name], column.name)


def build_changes_metadata(changes: Mapping[str, ChangeCounts], rows: int | None = None) -> dict[str, Any]:
    """Materialisation metadata: what changed per table, and the row count where there is one."""
    table = dg.MetadataValue.table(
        records=[dg.TableRecord({"table": name, **change._asdict()}) for name, change in changes.items()],
        schema=dg.TableSchema([dg.TableColumn("table"), *(dg.TableColumn(f, "int") for f in ChangeCounts._fields)]),
    )
    metadata: dict[str, Any] = {"changes": table, "changed_rows": sum(change.total for change in changes.values())}
    return metadata if rows is None else {**metadata, "dagster/row_count": rows}


def sum_changes(parts: Iterable[Mapping[str, ChangeCounts]]) -> dict[str, ChangeCounts]:
    """The changes of all parts of a step together, per table."""
    total: dict[str, ChangeCounts] = {}
    for part in parts:
        for table, changes in part.items():
            total[table] = ChangeCounts(*map(sum, zip(total.get(table, (0, 0, 0)), changes, strict=True)))
    return total


def build_rows_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table of the UI; a row may lack columns that others have."""
    kinds = {bool: "bool", int: "int", float: "float"}
    columns = {name: kinds.get(type(value), "string") for row in rows for name, value in row.items()}
    return dg.MetadataValue.table(
        records=[dg.TableRecord({**dict.fromkeys(columns), **row}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )
