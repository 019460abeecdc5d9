"""Judging source rows: what each delivered value means, and what is wrong with those that mean nothing.

Two kinds of fault are told apart. Faults of the row itself are found once, when it is read, and stay with it in the
lake. Faults of its surroundings (the hour, the tenant, the record it names) are judged anew at every reading, since
they can go away by themselves. A faulty row is set aside whole; nothing here drops one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection
from sqlalchemy import Column, Table

from crm_pipeline.tables.columns import SHORT, service_of
from crm_pipeline.tables.projections import duckdb_type, lake_name, source_table_named
from crm_pipeline.vocabulary import QuarantineReason as Reason

DAY = r"\d{4}-\d{2}-\d{2}"
TIME = DAY + r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-][01]\d(:?[0-5]\d)?)?"
WHOLE_NUMBER = r"[+-]?\d+(\.0+)?"
NUMBER = r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"
PLAUSIBLE_YEARS = (1900, 2200)
LAST_YEAR = 9999
"""Of any calendar here. A recorded time before its end may be judged by the hour; one after it is no time."""
REPLACEMENT = 0xFFFD
LONGEST_CLOCK_SKEW = timedelta(hours=24)
PROFILE = "CustomerProfile"
"""What CRM rows reference: judged once profile ids are known, not here."""


class Fault(NamedTuple):
    """Something that can be wrong with a row: the service's column, the reason, the SQL condition that finds it."""

    column: str
    reason: Reason
    condition: str

    def problem(self) -> str:
        """A SQL expression: `column:REASON` where the condition holds, else null."""
        return f"case when {self.condition} then '{self.column}:{self.reason}' end"


def read_rows(con: DuckDBPyConnection, table: Table, raw: str, name: str) -> None:
    """Create temp table `name`: the rows of relation `raw` as the lake keeps them.

    `raw` has the service's own column names, of any type or as text; relation `tenants` gives tenant_id and timezone
    for dates without a time. The result has the declared columns, `_record_key`, and `_problems` as `column:REASON`.
    Of rows with one key the best and latest counts. The others are duplicates, each with the time (microseconds since
    1970) from which it is one, as `column:REASON:TIME`: a row counts as long as all better ones lie in the future.
    """
    types = {row[0]: str(row[1]) for row in con.sql(f"describe {raw}").fetchall()}
    delivered = ", ".join(
        f'"{c.name}" as "{c.key}$raw", nullif(cast("{c.name}" as varchar), \'\') as "{c.key}$text"'
        for c in table.columns
    )
    values = ", ".join(f"{_value(column, types[column.name])} as {column.key}" for column in table.columns)
    problems = ", ".join(fault.problem() for column in table.columns for fault in _value_faults(column))
    content = ", ".join(f'coalesce("{column.key}$text", chr(1))' for column in table.columns)
    recorded = ", ".join(column.key for column in table.columns if column.info.get("recorded"))
    times = "".join(f", {_unless_implausible(column)} as {column.key}" for column in table.columns if _is_time(column))
    (key,) = table.primary_key.columns
    con.execute(f"""
        create or replace temp table {name} as
        with delivered as (select {delivered} from {raw}),
        typed as (
            select {values}, list_filter([{problems}], lambda problem: problem is not null) as _problems,
                md5(concat_ws(chr(31), {content})) as _content
            from delivered left join (select tenant_id as _tenant, timezone as _timezone from tenants)
                on _tenant = "tenant_id$text"),
        ranked as (
            select *, row_number() over best_first as _rank,
                min(epoch_us(greatest({recorded}))) over (best_first rows between unbounded preceding and 1 preceding)
                    as _since
            from typed window best_first as (
                partition by tenant_id, {key.key}, case when {key.key} is null then _content end
                order by len(_problems), updated_at desc nulls last, _content))
        select * exclude (_content, _rank, _since) replace (
                coalesce(tenant_id, '') as tenant_id{times},
                case when {key.key} is not null and _rank > 1
                     then list_append(_problems, concat('{key.name}:{Reason.DUPLICATE_KEY}:', _since))
                     else _problems end as _problems),
            case when {key.key} is null then 'no id ' || _content || ' ' || _rank
                 when _rank > 1 then {key.key} || ' duplicate ' || _rank || ' ' || _content
                 else cast({key.key} as varchar) end as _record_key
        from ranked""")


def judge_rows(con: DuckDBPyConnection, table: Table, present: str, as_of: datetime) -> None:
    """Create views `<lake name>`, the sound rows of relation `present`, and `<lake name>_judged`, all of them.

    The judged view has `_problems` with the faults of its surroundings added. Needs relations `tenants` (tenant_id,
    currency), `known_tenants` (tenant_id) and the sound views of the tables this one references.
    """
    name = lake_name(table)
    problems = ", ".join(fault.problem() for fault in _surrounding_faults(table, as_of))
    latest = round((as_of + LONGEST_CLOCK_SKEW).timestamp() * 1_000_000)
    con.execute(f"""
        create or replace temp view {name}_judged as
        select * replace (list_concat(
            list_filter(_problems,
                lambda problem: coalesce(try_cast(split_part(problem, ':', 3) as bigint), 0) <= {latest}),
            list_filter([{problems}], lambda problem: problem is not null)) as _problems)
        from {present} as t""")
    con.execute(f"""
        create or replace temp view {name} as
        select * exclude (_problems) from {name}_judged where len(_problems) = 0""")


def faulty_rows(tables: Sequence[Table], found_by: str) -> str:
    """A query of everything wrong in the judged views of these tables, as quarantined_records has it less stamps."""
    return " union all ".join(
        f"""select tenant_id, '{service_of(table)}' as service, '{table.name}' as table_name,
            left(cast({key.key} as varchar), {SHORT}) as service_record_id, _record_key as _subject,
            split_part(problem, ':', 1) as column_name, split_part(problem, ':', 2) as reason, '{found_by}' as found_by
        from (select *, unnest(_problems) as problem from {lake_name(table)}_judged)"""
        for table in tables
        for key in table.primary_key.columns
    )


def _value(column: Column[Any], raw_type: str) -> str:
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


def _value_faults(column: Column[Any]) -> list[Fault]:
    value, text, kind = column.key, f'"{column.key}$text"', duckdb_type(column)
    faults = [] if column.nullable else [Fault(column.name, _missing(column), f"{text} is null")]
    if kind == "VARCHAR":
        faults += [
            Fault(column.name, Reason.NUL_BYTE, f"contains({text}, chr(0))"),
            Fault(column.name, Reason.TOO_LONG, f"length({text}) > {getattr(column.type, 'length', None)}"),
        ]
    elif _is_time(column):
        faults += [
            Fault(column.name, Reason.NOT_A_TIME, f"{text} is not null and ({_unless_implausible(column)}) is null")
        ]
    else:
        reason = Reason.NOT_A_BOOLEAN if kind == "BOOLEAN" else Reason.NOT_A_NUMBER
        faults += [Fault(column.name, reason, f"{text} is not null and {value} is null")]
    if allowed := column.info.get("allowed"):
        faults += [Fault(column.name, Reason.UNKNOWN_VALUE, f"{value} not in {_sql_list(allowed)}")]
    if (minimum := column.info.get("minimum")) is not None:
        faults += [Fault(column.name, Reason.NEGATIVE_AMOUNT, f"{value} < {minimum}")]
    return faults


def _is_time(column: Column[Any]) -> bool:
    return duckdb_type(column) in ("TIMESTAMPTZ", "DATE")


def _unless_implausible(column: Column[Any]) -> str:
    """A time, or null where no calendar downstream could hold it."""
    value, kind, (first, last) = column.key, duckdb_type(column), PLAUSIBLE_YEARS
    end = f"'{last + 1}-01-01'" if not column.info.get("recorded") else f"'{LAST_YEAR}-12-31'"
    # Not year(), which knows no era: 4000 BC is 4000 to it.
    return f"case when {value} >= '{first}-01-01'::{kind} and {value} < {end}::{kind} then {value} end"


def _missing(column: Column[Any]) -> Reason:
    if column.key == "tenant_id":
        return Reason.MISSING_TENANT
    return Reason.MISSING_KEY if column.primary_key else Reason.MISSING_VALUE


def _surrounding_faults(table: Table, as_of: datetime) -> list[Fault]:
    latest = f"'{(as_of + LONGEST_CLOCK_SKEW).isoformat()}'::timestamptz"
    faults = [
        Fault("tenantId", Reason.UNKNOWN_TENANT, "t.tenant_id <> '' and t.tenant_id not in (from known_tenants)"),
    ]
    for column in table.columns:
        if column.info.get("recorded"):
            faults += [Fault(column.name, Reason.FUTURE_TIME, f"t.{column.key} > {latest}")]
        if (target := column.info.get("references")) not in (None, PROFILE):
            other = lake_name(source_table_named(target))
            same = f"o.tenant_id = t.tenant_id and o.id = t.{column.key}"
            orphan = f"t.{column.key} is not null and not exists (select 1 from {other} o where {same})"
            faults += [Fault(column.name, Reason.ORPHAN, orphan)]
    if "currency" in table.columns and table.name != "Tenant":
        own = "(select currency from tenants where tenants.tenant_id = t.tenant_id)"
        faults += [Fault("currency", Reason.WRONG_CURRENCY, f"t.currency <> {own}")]
    if table.name == "Payment":
        faults += [Fault("paidAt", Reason.MISSING_VALUE, "t.status = 'SETTLED' and t.paid_at is null")]
    return faults


def _sql_list(values: Sequence[str]) -> str:
    return "(" + ", ".join(f"'{value}'" for value in values) + ")"
