"""Whose a source row is: the column that names the record or profile it is about."""

from typing import Any, Final

from sqlalchemy import Column, Table

from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import find_table_service, source_metadata

PROFILE_REFERENCE = "CustomerProfile"
"""What CRM rows reference; a reference to a profile is validated once profile ids are known."""

PERSONAL_TABLES: Final = tuple(
    table
    for table in source_metadata.tables.values()
    if table in PERSON_TABLES.values() or any(column.info.get("references") for column in table.columns)
)
"""The source tables whose rows are somebody's; all of them make timelines."""


def find_owner_column(table: Table) -> Column[Any]:
    """The column that says whose a row is: on whose timeline."""
    if table in PERSON_TABLES.values():
        return table.c.id
    return next(column for column in table.columns if column.info.get("references"))


def find_owner_service(table: Table) -> str:
    """The service whose record a row is of; empty where the row names a profile."""
    return (
        "" if find_owner_column(table).info.get("references") == PROFILE_REFERENCE else str(find_table_service(table))
    )
