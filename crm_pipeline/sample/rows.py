"""Rows to write to a file: numpy columns by key, with NULL for missing numbers, and the text of each declared type.

A column's name in the file, its position and its type come from the declaration.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BigInteger, Column, Date, DateTime, Numeric, Table

from crm_pipeline.sample.chance import DAY, Flags, Ints

NULL: Final = np.iinfo(np.int64).min
_TENTHS: Final = 10.0

Columns = Mapping[str, Ints | Flags | pa.Array | str]


@dataclass(frozen=True, slots=True)
class EventRows:
    """Rows of one event table, and the person of each as a position in the block."""

    table: Table
    person: Ints
    columns: Columns


def format_record_ids(table: Table, numbers: Ints) -> pa.Array:
    """Returns record ids of a table: numbers where the declared id is a number, else text such as `player-1001`."""
    plain = pa.array(numbers, mask=numbers == NULL)
    if isinstance(table.c.id.type, BigInteger):
        return plain
    return pc.binary_join_element_wise(f"{table.name.lower()}-", plain.cast(pa.string()), "")


def decode_categories(choices: Sequence[str | None], codes: Ints) -> pa.Array:
    """Returns the chosen word for each code."""
    return pa.array(choices).take(pa.array(codes))


def as_file_rows(table: Table, columns: Columns) -> pa.Table:
    """Returns all columns of the table, in its order; those not given are empty.

    Raises: ValueError where a column is unknown to the table.
    """
    unknown = set(columns) - set(table.c.keys())
    if unknown:
        raise ValueError(f"{table.name} has no columns {sorted(unknown)}")
    [key] = table.primary_key
    count = len(columns[key.key])
    return pa.table({column.name: _format_column(column, columns.get(column.key), count) for column in table.c})


def _format_column(column: Column[Any], values: Ints | Flags | pa.Array | str | None, count: int) -> pa.Array:
    if values is None or isinstance(values, str):
        return pa.repeat(pa.scalar(values, pa.string()), count)
    if not isinstance(values, np.ndarray) or values.dtype == np.bool_:
        return pa.array(values)
    numbers = values.astype(np.int64, copy=False)
    if column.key == "id":
        return format_record_ids(column.table, numbers)
    if referenced := column.info.get("references"):
        return format_record_ids(column.table.metadata.tables[referenced], numbers)
    return _format_numeric_column(column, numbers)


def _format_numeric_column(column: Column[Any], values: Ints) -> pa.Array:
    missing = values == NULL
    if isinstance(column.type, Numeric):
        return pa.array(values / _TENTHS, mask=missing)
    if not isinstance(column.type, DateTime | Date):
        return pa.array(values, mask=missing)
    day, second = np.divmod(values, DAY)
    on = _list_dates().take(pa.array(day, mask=missing))
    return (
        on
        if isinstance(column.type, Date)
        else pc.binary_join_element_wise(on, _list_clock_times().take(pa.array(second)), "")
    )


@cache
def _list_dates() -> pa.Array:
    """Returns the dates from 1970 to 2100; a lookup is many times faster than formatting."""
    days = np.arange(np.datetime64("1970-01-01"), np.datetime64("2101-01-01"))
    return pa.array(np.datetime_as_string(days))


@cache
def _list_clock_times() -> pa.Array:
    return pa.array([f"T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}Z" for at in range(DAY)])
