"""What every kind of source owes us: declared tables with declared columns, or one clear error."""

from collections.abc import Sequence

from sqlalchemy import Table

from crm_pipeline.vocabulary import Service


class SourceError(Exception):
    """A service that cannot be read as it should; one line naming service, table and fault, and no data."""


def require_columns(service: Service, table: Table, place: str, delivered: Sequence[str]) -> None:
    """Raise SourceError where a declared column was not delivered; columns nobody declared are nobody's harm."""
    if missing := [column.name for column in table.columns if column.name not in delivered]:
        raise SourceError(f"{service}: {place} has no column {', '.join(missing)}")
