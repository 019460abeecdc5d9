"""Whose a source row is: the column that names the record or profile it is about."""

from typing import Any, Final

from sqlalchemy import Column, Table

from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.columns import service_of, source_metadata

PROFILE = "CustomerProfile"
"""What CRM rows reference; a reference to a profile is validated once profile ids are known."""

OF_SOMEBODY: Final = tuple(
    table
    for table in source_metadata.tables.values()
    if table in PEOPLE.values() or any(column.info.get("references") for column in table.columns)
)
"""The source tables whose rows are somebody's; all of them make timelines."""


def own_column(table: Table) -> Column[Any]:
    """The column that says whose a row is: on whose timeline."""
    if table in PEOPLE.values():
        return table.c.id
    return next(column for column in table.columns if column.info.get("references"))


def owner_of(table: Table) -> str:
    """The service whose record a row is of; empty where the row names a profile."""
    return "" if own_column(table).info.get("references") == PROFILE else str(service_of(table))
