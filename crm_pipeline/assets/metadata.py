"""What the UI shows beside an asset: column schemas projected from the declarations, and counts of what changed."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from sqlalchemy import Table

from crm_pipeline.resources.lake import Changes
from crm_pipeline.tables.projections import duckdb_type


def column_schema(*tables: Table) -> dg.TableSchema:
    """The declared columns as Dagster shows them; those of several tables are told apart by the table's name."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                f"{table.name}.{column.name}" if len(tables) > 1 else column.name,
                duckdb_type(column),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for table in tables
            for column in table.columns
        ]
    )


def columns_metadata(*tables: Table) -> dict[str, Any]:
    """Definition metadata that shows the columns of these tables."""
    return {"dagster/column_schema": column_schema(*tables)}


def counted(changes: Mapping[str, Changes], rows: int | None = None) -> dict[str, Any]:
    """Materialisation metadata: what changed per table, and the row count where there is one."""
    table = dg.MetadataValue.table(
        records=[dg.TableRecord({"table": name, **change._asdict()}) for name, change in changes.items()],
        schema=dg.TableSchema([dg.TableColumn("table"), *(dg.TableColumn(f, "int") for f in Changes._fields)]),
    )
    metadata: dict[str, Any] = {"changes": table, "changed_rows": sum(change.total for change in changes.values())}
    return metadata if rows is None else {**metadata, "dagster/row_count": rows}


def rows_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table of the UI; a row may lack columns that others have."""
    kinds = {bool: "bool", int: "int", float: "float"}
    columns = {name: kinds.get(type(value), "string") for row in rows for name, value in row.items()}
    return dg.MetadataValue.table(
        records=[dg.TableRecord({**dict.fromkeys(columns), **row}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )
