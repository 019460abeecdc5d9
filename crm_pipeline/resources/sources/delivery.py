"""What every kind of source owes us: declared tables with declared columns, or one clear error; and what it hands over.

How folders and databases are read belongs to their own modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Table

from crm_pipeline.vocabulary import Service


class SourceError(Exception):
    """A service that cannot be read as it should; one line naming service, table and fault, and no data."""


class Horizon(NamedTuple):
    """How far a database was seen: in `origin`, every transaction whose id is below `xid`."""

    origin: str
    xid: int


class ExtractionRequest(NamedTuple):
    """What an extraction wants to know.

    Attributes:
        tenants: whose rows; None for all and those of no tenant.
        since: leave out what was seen already; None for every row.
        is_sweep: with `since`, hand over every key there is as well, so that deleted rows show.
    """

    tenants: Sequence[str] | None = None
    since: Horizon | None = None
    is_sweep: bool = False


class DeliveredTable(NamedTuple):
    """What was delivered of one table.

    Attributes:
        rows: a DuckDB relation with the service's own column names.
        is_whole: it holds every row there is, not only those that may have changed.
        keys: a relation of every `id` there is, where rows are not whole and the keys were asked for.
        undeclared: columns the service has and nobody declared.
    """

    rows: str
    is_whole: bool = True
    keys: str | None = None
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """One consistent reading of a service: its tables by name, and how far it saw; None for a folder."""

    tables: Mapping[str, DeliveredTable]
    horizon: Horizon | None = None


def find_undeclared_columns(service: Service, table: Table, place: str, delivered: Sequence[str]) -> tuple[str, ...]:
    """The delivered columns nobody declared. Raises SourceError where a declared one was not delivered."""
    declared = [column.name for column in table.columns]
    if missing := [name for name in declared if name not in delivered]:
        raise SourceError(f"{service}: {place} has no column {', '.join(missing)}")
    return tuple(name for name in delivered if name not in declared)
