"""The contract of every kind of source: what is requested, what is delivered, and the error for anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb
from sqlalchemy import Table

from crm_pipeline.domain.ingest.text_cleaning import build_blank_condition
from crm_pipeline.vocabulary import Service


class SourceError(Exception):
    """A service that cannot be read; the message is one line with service, table and fault, and has no data."""


class Horizon(NamedTuple):
    """How far a database was read: in `origin`, every transaction whose id is below `xid`."""

    origin: str
    xid: int


class ExtractionRequest(NamedTuple):
    """The rows an extraction asks for.

    Attributes:
        tenants: their rows only; None for all rows, also those without a tenant.
        since: leave out rows read up to this horizon; None for every row.
        is_sweep: with `since`, deliver every existing key as well, so that deleted rows show.
    """

    tenants: Sequence[str] | None = None
    since: Horizon | None = None
    is_sweep: bool = False


class DeliveredTable(NamedTuple):
    """The rows delivered of one table.

    Attributes:
        relation: a DuckDB relation with the service's own column names.
        is_full: whether the relation has every row, or only those that may have changed.
        key_relation: a relation of every existing `id`, if the table is not full and keys were requested.
        undeclared_columns: columns the service has that `crm_pipeline/tables` does not declare.
        ignored_rows: the number of rows left out because no declared column of them has a value.
    """

    relation: str
    is_full: bool = True
    key_relation: str | None = None
    undeclared_columns: tuple[str, ...] = ()
    ignored_rows: int = 0


@dataclass(frozen=True)
class Delivery:
    """One consistent snapshot of a service: its tables by name, and its horizon, None for a folder."""

    tables: Mapping[str, DeliveredTable]
    horizon: Horizon | None = None


def find_undeclared_columns(service: Service, table: Table, place: str, delivered: Sequence[str]) -> tuple[str, ...]:
    """Returns the delivered columns that are not declared.

    Raises:
        SourceError: a declared column was not delivered.
    """
    declared = [column.name for column in table.columns]
    if missing := [name for name in declared if name not in delivered]:
        raise SourceError(f"{service}: {place} has no column {', '.join(missing)}")
    return tuple(name for name in delivered if name not in declared)


def delete_empty_rows(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Deletes the rows of `relation` that are null, empty or white space throughout; returns how many there were.

    Spreadsheets export them below the last row. They say nothing, so nobody has to be told of each.
    """
    columns = [(f'"{name}"', kind) for name, kind, *_ in con.execute(f"describe {relation}").fetchall()]
    conditions = [
        f"({name} is null or {build_blank_condition(name)})" if kind == "VARCHAR" else f"{name} is null"
        for name, kind in columns
    ]
    [(count,)] = con.execute(f"delete from {relation} where {' and '.join(conditions)}").fetchall()
    return int(count)
