"""The owner of a source row: the column with the record or profile that the row is about."""

from typing import Any, Final

from sqlalchemy import Column, Table

from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import find_table_service, source_metadata

PROFILE_REFERENCE = "CustomerProfile"
"""What CRM rows reference; references to profiles are validated once profile ids are known."""

PERSONAL_TABLES: Final = tuple(
    table
    for table in source_metadata.tables.values()
    if table in PERSON_TABLES.values() or any(column.info.get("references") for column in table.columns)
)
"""The source tables whose rows have an owner; timelines are made of all of them."""


def list_id_columns(table: Table) -> list[Column[Any]]:
    """Returns the columns with ids of records and profiles: the row's own, and those it names."""
    return [c for c in table.columns if c.primary_key or c.info.get("references") or c.info.get("service_column")]


def find_owner_column(table: Table) -> Column[Any]:
    """Returns the column with a row's owner, on whose timeline the row is."""
    if table in PERSON_TABLES.values():
        return table.c.id
    return next(column for column in table.columns if column.info.get("references"))


def find_owner_service(table: Table) -> str:
    """Returns the service of the record that owns a row; empty where a profile owns it."""
    return (
        "" if find_owner_column(table).info.get("references") == PROFILE_REFERENCE else str(find_table_service(table))
    )
