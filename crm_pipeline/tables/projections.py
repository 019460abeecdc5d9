"""Projections of a declared table: its types in DuckDB, Arrow and PostgreSQL, its key, and its name in the lake."""

import re
from typing import Any

import pyarrow as pa
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Dialect, Double, Numeric, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from crm_pipeline.tables.columns import find_table_service, source_metadata, to_snake_case

POSTGRESQL_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
LAKE_TYPES: dict[type[Any], tuple[pa.DataType, str]] = {
    BigInteger: (pa.int64(), "BIGINT"),
    Boolean: (pa.bool_(), "BOOLEAN"),
    Date: (pa.date32(), "DATE"),
    DateTime: (pa.timestamp("us", tz="UTC"), "TIMESTAMPTZ"),
    Double: (pa.float64(), "DOUBLE"),
    ARRAY: (pa.list_(pa.string()), "VARCHAR[]"),
}
"""Per declared type, the type in Arrow and in DuckDB."""
TEXT_TYPES = (pa.string(), "VARCHAR")
"""The same for text, and for every type that is text in the lake."""
JSON_TYPES: dict[type[Any], str] = {BigInteger: "integer", Boolean: "boolean", Double: "number"}


def to_arrow_type(column: Column[Any]) -> pa.DataType:
    """Returns the Arrow type of a column; uuid and JSON are strings."""
    return _find_lake_types(column)[0]


def to_copy_arrow_type(column: Column[Any]) -> pa.DataType:
    """Returns the Arrow type that PostgreSQL's binary COPY needs for this column; uuid and JSON keep their types."""
    exact_types = {UUID: pa.uuid(), JSONB: pa.json_()}
    return exact_types.get(type(column.type), to_arrow_type(column))


def to_duckdb_type(column: Column[Any]) -> str:
    """Returns the DuckDB type of a column."""
    return _find_lake_types(column)[1]


def to_postgres_type(column: Column[Any]) -> str:
    """Returns the PostgreSQL type of a column; text without length, since longer values are quarantined before."""
    return re.sub(r"VARCHAR(\(\d+\))?", "TEXT", column.type.compile(POSTGRESQL_DIALECT))


def to_json_schema(column: Column[Any]) -> dict[str, Any]:
    """Returns the JSON Schema of a column's values, times in ISO 8601, with its description."""
    name = JSON_TYPES.get(type(column.type), "string")
    schema: dict[str, Any] = {"description": column.comment}
    if isinstance(column.type, DateTime):
        schema["format"] = "date-time"
    if allowed := column.info.get("allowed"):
        schema["enum"] = [*allowed, *([None] if column.nullable else [])]
    return {"type": [name, "null"] if column.nullable else name, **schema}


def to_arrow_schema(table: Table) -> pa.Schema:
    """Returns the declared columns as an Arrow schema, named in snake_case."""
    return pa.schema(
        [pa.field(column.key, to_arrow_type(column), nullable=bool(column.nullable)) for column in table.columns]
    )


def list_key_columns(table: Table) -> tuple[str, ...]:
    """Returns the columns of the table's key."""
    return tuple(column.key for column in table.primary_key.columns)


def list_hashed_columns(table: Table) -> tuple[str, ...]:
    """Returns the columns that are part of the row's hash."""
    return tuple(column.key for column in table.columns if column.info.get("hashed", True))


def to_lake_name(table: Table) -> str:
    """Returns the table's name in the lake and in SQL: `scl_member`, `customer_profiles`."""
    return (
        f"{find_table_service(table).lower()}_{to_snake_case(table.name)}"
        if table.metadata is source_metadata
        else table.name
    )


def find_source_table(name: str) -> Table:
    """Returns the source table with the name that a column references."""
    return source_metadata.tables[name]


def _find_lake_types(column: Column[Any]) -> tuple[pa.DataType, str]:
    if isinstance(column.type, Numeric) and not isinstance(column.type, Double):
        precision, scale = column.type.precision, column.type.scale
        return pa.decimal128(precision, scale), f"DECIMAL({precision},{scale})"
    return LAKE_TYPES.get(type(column.type), TEXT_TYPES)
