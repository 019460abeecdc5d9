"""Reading single values: the text or value a service delivered as the declared type, and what is wrong with it alone.

Everything here is a SQL expression over one row, `"<column>$raw"` as delivered and `"<column>$text"` as text. What a
row means among others, and where it is set aside, is in `records`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column

from crm_pipeline.tables.projections import duckdb_type
from crm_pipeline.vocabulary import QuarantineReason as Reason

DAY = r"\d{4}-\d{2}-\d{2}"
TIME = DAY + r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-][01]\d(:?[0-5]\d)?)?"
WHOLE_NUMBER = r"[+-]?\d+(\.0+)?"
NUMBER = r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"
PLAUSIBLE_YEARS = (1900, 2200)
LAST_YEAR = 9999
"""Of any calendar here. A recorded time before its end may be judged by the hour; one after it is no time."""
REPLACEMENT = 0xFFFD


class Fault(NamedTuple):
    """Something that can be wrong with a row: the service's column, the reason, the SQL condition that finds it."""

    column: str
    reason: Reason
    condition: str

    def problem(self, condition: str | None = None) -> str:
        """A SQL expression: `column:REASON` where the condition, or one that stands for it, holds, else null."""
        return f"case when {condition or self.condition} then '{self.column}:{self.reason}' end"


def value_of(column: Column[Any], raw_type: str) -> str:
    """The delivered value, of DuckDB type `raw_type`, in the declared type; null where it cannot be one."""
    text, kind = f'"{column.key}$text"', duckdb_type(column)
    if kind == "VARCHAR":
        # Whose record it is will be told where no NUL can be.
        names_it = column.primary_key or column.key == "tenant_id"
        return f"replace({text}, chr(0), chr({REPLACEMENT}))" if names_it else text
    if raw_type in (kind, {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(kind)):
        return f'"{column.key}$raw"'
    return _parsed(text, kind)


def _parsed(text: str, kind: str) -> str:
    match kind:
        case "DOUBLE":
            return f"case when regexp_full_match({text}, '{NUMBER}') then try_cast({text} as double) end"
        case "BIGINT":
            return f"""case when regexp_full_match({text}, '{WHOLE_NUMBER}')
                then try_cast(split_part({text}, '.', 1) as bigint) end"""
        case "BOOLEAN":
            return f"case lower({text}) when 'true' then true when 'false' then false end"
        case "TIMESTAMPTZ":
            return _time(text)
        case "DATE":
            return f"""case when regexp_full_match({text}, '{DAY}') then try_cast({text} as date)
                else cast(timezone(coalesce(_timezone, 'UTC'), {_time(text)}) as date) end"""
        case _:
            return f"case when regexp_full_match({text}, '{_exactly(kind)}') then try_cast({text} as {kind}) end"


def _exactly(decimal: str) -> str:
    """What a DECIMAL(p,s) can be without rounding. No plus: `+1.5` is a golfer's -1.5, and to anybody else 1.5."""
    scale = decimal.partition(",")[2].rstrip(")")
    return rf"-?\d+(\.\d{{1,{scale}}}0*)?"


def _time(text: str) -> str:
    return f"""case when regexp_full_match({text}, '{TIME}') then try_cast({text} as timestamptz)
        when regexp_full_match({text}, '{DAY}')
        then timezone(coalesce(_timezone, 'UTC'), try_cast({text} as timestamp)) end"""


def value_faults(column: Column[Any]) -> list[Fault]:
    """What can be wrong with a column's value, whatever else is in the row."""
    value, text, kind = column.key, f'"{column.key}$text"', duckdb_type(column)
    faults = [] if column.nullable else [Fault(column.name, _missing(column), f"{text} is null")]
    if kind == "VARCHAR":
        faults += [
            Fault(column.name, Reason.NUL_BYTE, f"contains({text}, chr(0))"),
            Fault(column.name, Reason.TOO_LONG, f"length({text}) > {getattr(column.type, 'length', None)}"),
        ]
    elif is_time(column):
        faults += [
            Fault(column.name, Reason.NOT_A_TIME, f"{text} is not null and ({unless_implausible(column)}) is null")
        ]
    else:
        reason = Reason.NOT_A_BOOLEAN if kind == "BOOLEAN" else Reason.NOT_A_NUMBER
        faults += [Fault(column.name, reason, f"{text} is not null and {value} is null")]
    if allowed := column.info.get("allowed"):
        faults += [Fault(column.name, Reason.UNKNOWN_VALUE, f"{value} not in {_sql_list(allowed)}")]
    if (minimum := column.info.get("minimum")) is not None:
        faults += [Fault(column.name, Reason.NEGATIVE_AMOUNT, f"{value} < {minimum}")]
    return faults


def is_time(column: Column[Any]) -> bool:
    """Whether the column holds a time or a day."""
    return duckdb_type(column) in ("TIMESTAMPTZ", "DATE")


def unless_implausible(column: Column[Any]) -> str:
    """A time, or null where no calendar downstream could hold it."""
    value, kind, (first, last) = column.key, duckdb_type(column), PLAUSIBLE_YEARS
    end = f"'{last + 1}-01-01'" if not column.info.get("recorded") else f"'{LAST_YEAR}-12-31'"
    # Not year(), which knows no era: 4000 BC is 4000 to it.
    return f"case when {value} >= '{first}-01-01'::{kind} and {value} < {end}::{kind} then {value} end"


def _missing(column: Column[Any]) -> Reason:
    if column.key == "tenant_id":
        return Reason.MISSING_TENANT
    return Reason.MISSING_KEY if column.primary_key else Reason.MISSING_VALUE


def _sql_list(values: Sequence[str]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in values) + ")"
