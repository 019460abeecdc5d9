"""Parsing of single values: the delivered value as the declared type, and the validation rules of the value alone.

All results are SQL expressions over one row with `"<column>$raw"` as delivered and `"<column>$text"` as text.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column

from crm_pipeline.tables.projections import to_duckdb_type
from crm_pipeline.vocabulary import QuarantineReason as Reason

DAY_PATTERN = r"\d{4}-\d{2}-\d{2}"
TIME_PATTERN = DAY_PATTERN + r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-][01]\d(:?[0-5]\d)?)?"
WHOLE_NUMBER_PATTERN = r"[+-]?\d+(\.0+)?"
NUMBER_PATTERN = r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"
PLAUSIBLE_YEARS = (1900, 2200)
MAX_RECORDED_YEAR = 9999
"""The last year of a recorded time. Until its end a time is compared with the hour; after it, it is no time."""
REPLACEMENT_CODE_POINT = 0xFFFD
NO_END = "'infinity'::timestamptz"
"""How an open end is written until the row is stored, where it is none: a time, so that it is no fault."""


class ValidationRule(NamedTuple):
    """Something that can be wrong with a row: the service's column, the reason, the SQL condition that finds it."""

    column: str
    reason: Reason
    condition: str

    def build_problem_sql(self, condition: str | None = None) -> str:
        """Returns SQL for `column:REASON` where the rule's condition holds, else null.

        `condition` may name a column that already holds the condition's result.
        """
        return f"case when {condition or self.condition} then '{self.column}:{self.reason}' end"


def build_value_sql(column: Column[Any], raw_type: str) -> str:
    """Returns SQL for the delivered value, of DuckDB type `raw_type`, in the declared type; null where it has none."""
    text, kind = f'"{column.key}$text"', to_duckdb_type(column)
    if kind == "VARCHAR":
        # The owner of the record is reported in places that cannot hold a NUL.
        is_identifier = column.primary_key or column.key == "tenant_id"
        return f"replace({text}, chr(0), chr({REPLACEMENT_CODE_POINT}))" if is_identifier else text
    is_typed = raw_type in (kind, {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(kind))
    value = f'"{column.key}$raw"' if is_typed else _build_parse_sql(text, kind)
    if column.info.get("open_ended"):
        local_time = f"timezone(coalesce(_tenant_timezone, 'UTC'), {value})"
        return f"case when {local_time} >= '{PLAUSIBLE_YEARS[1]}-01-01' then {NO_END} else {value} end"
    return value


def _build_parse_sql(text: str, kind: str) -> str:
    match kind:
        case "DOUBLE":
            return f"case when regexp_full_match({text}, '{NUMBER_PATTERN}') then try_cast({text} as double) end"
        case "BIGINT":
            return f"""case when regexp_full_match({text}, '{WHOLE_NUMBER_PATTERN}')
                then try_cast(split_part({text}, '.', 1) as bigint) end"""
        case "BOOLEAN":
            return f"case lower({text}) when 'true' then true when 'false' then false end"
        case "TIMESTAMPTZ":
            return _build_time_sql(text)
        case "DATE":
            return f"""case when regexp_full_match({text}, '{DAY_PATTERN}') then try_cast({text} as date)
                else cast(timezone(coalesce(_tenant_timezone, 'UTC'), {_build_time_sql(text)}) as date) end"""
        case _:
            return f"""case when regexp_full_match({text}, '{_build_decimal_pattern(kind)}')
                then try_cast({text} as {kind}) end"""


def _build_decimal_pattern(decimal: str) -> str:
    """Returns a pattern of what a DECIMAL(p,s) can hold without rounding.

    It has no plus: `+1.5` is a golfer's -1.5, and 1.5 to anybody else.
    """
    scale = decimal.partition(",")[2].rstrip(")")
    return rf"-?\d+(\.\d{{1,{scale}}}0*)?"


def _build_time_sql(text: str) -> str:
    return f"""case when regexp_full_match({text}, '{TIME_PATTERN}') then try_cast({text} as timestamptz)
        when regexp_full_match({text}, '{DAY_PATTERN}')
        then {_build_midnight_sql(f"try_cast({text} as timestamp)")} end"""


def _build_midnight_sql(midnight: str) -> str:
    """Returns SQL for the instant of a local midnight: the first of two, or the first later one where there is none.

    DuckDB takes the second of two; the first has the offset of the day before.
    """
    zone = "coalesce(_tenant_timezone, 'UTC')"
    latest = f"timezone({zone}, {midnight})"
    day_before = f"({latest} - to_hours(24))"
    offset_before = f"(timezone({zone}, {day_before}) - timezone('UTC', {day_before}))"
    first = f"timezone('UTC', {midnight} - {offset_before})"
    return f"case when timezone({zone}, {first}) = {midnight} then least({first}, {latest}) else {latest} end"


def list_value_rules(column: Column[Any]) -> list[ValidationRule]:
    """Returns the rules for a column's value, whatever else is in the row."""
    value, text, kind = column.key, f'"{column.key}$text"', to_duckdb_type(column)
    rules = [] if column.nullable else [ValidationRule(column.name, _select_missing_reason(column), f"{text} is null")]
    if kind == "VARCHAR":
        rules += [
            ValidationRule(column.name, Reason.NUL_BYTE, f"contains({text}, chr(0))"),
            ValidationRule(column.name, Reason.TOO_LONG, f"length({text}) > {getattr(column.type, 'length', None)}"),
        ]
    elif is_time_column(column):
        rules += [
            ValidationRule(
                column.name,
                Reason.NOT_A_TIME,
                f"{text} is not null and ({build_plausible_time_sql(column)}) is null"
                + (f" and {value} is distinct from {NO_END}" if column.info.get("open_ended") else ""),
            )
        ]
    else:
        reason = Reason.NOT_A_BOOLEAN if kind == "BOOLEAN" else Reason.NOT_A_NUMBER
        rules += [ValidationRule(column.name, reason, f"{text} is not null and {value} is null")]
    if allowed := column.info.get("allowed"):
        rules += [ValidationRule(column.name, Reason.UNKNOWN_VALUE, f"{value} not in {_format_sql_list(allowed)}")]
    if (minimum := column.info.get("minimum")) is not None:
        rules += [ValidationRule(column.name, Reason.NEGATIVE_AMOUNT, f"{value} < {minimum}")]
    return rules


def is_time_column(column: Column[Any]) -> bool:
    """Whether the column holds a time or a day."""
    return to_duckdb_type(column) in ("TIMESTAMPTZ", "DATE")


def build_plausible_time_sql(column: Column[Any]) -> str:
    """Returns SQL for a time, or null where no calendar downstream could hold it."""
    value, kind, (first, last) = column.key, to_duckdb_type(column), PLAUSIBLE_YEARS
    end = f"'{last + 1}-01-01'" if not column.info.get("recorded") else f"'{MAX_RECORDED_YEAR}-12-31'"
    # year() ignores the era: 4000 BC would be 4000.
    return f"case when {value} >= '{first}-01-01'::{kind} and {value} < {end}::{kind} then {value} end"


def _select_missing_reason(column: Column[Any]) -> Reason:
    if column.key == "tenant_id":
        return Reason.MISSING_TENANT
    return Reason.MISSING_KEY if column.primary_key else Reason.MISSING_VALUE


def _format_sql_list(values: Sequence[str]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in values) + ")"
