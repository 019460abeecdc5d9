"""Validation of source rows: the meaning of each delivered value, and the problems of a row.

Problems of the row itself are found once, when it is read, and are stored with it in the lake. Problems of its context
(the hour, the tenant, the record it names) are validated again at every reading, since they can go away by themselves.
A faulty row is quarantined whole; no row is dropped.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection
from sqlalchemy import Column, Table

from crm_pipeline.domain.as_of import MAX_CLOCK_SKEW
from crm_pipeline.domain.ingest.local_times import build_local_times_sql
from crm_pipeline.domain.ingest.value_parsing import (
    ValidationRule,
    build_plausible_time_sql,
    build_values_query,
    build_warnings_sql,
    define_parsing,
    is_delivered_typed,
    is_losable_column,
    is_time_column,
    list_value_rules,
)
from crm_pipeline.tables.columns import SHORT_TEXT_LENGTH, find_table_service
from crm_pipeline.tables.ownership import PROFILE_REFERENCE, list_id_columns
from crm_pipeline.tables.projections import find_source_table, to_lake_name
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import QuarantineReason as Reason


def parse_rows(con: DuckDBPyConnection, table: Table, raw: str, name: str) -> None:
    """Creates temp table `name`: the rows of relation `raw` as the lake stores them.

    `raw` has the service's own column names, of any type or as text. The result has the declared columns and:
    `_record_key`; `_problems` as `column:REASON`; `_warnings` as `column:REASON:value`, null where there are none, for
    values read as none, which leave the row valid; `_local_times`, see `local_times.py`; and `_delivered_ids`, a map of
    the ids as delivered by column, null where they are canonical.

    Of rows with one key the best and latest counts, of a contact the latest. The others are duplicates, each with the
    time (microseconds since 1970) from which it is one, as `column:REASON:TIME`: a row counts as long as all better
    ones lie in the future.

    Reads: `raw`; tenants (tenant_id, and timezone for dates without a time).
    Creates: `name`; _duplicate_keys, the keys that several rows share or that are missing.
    """
    (key,) = table.primary_key.columns
    define_parsing(con)
    types = {column: str(kind) for column, kind, *_ in con.execute(f"describe {raw}").fetchall()}
    time_replacements = "".join(
        f", {build_plausible_time_sql(column)} as {column.key}" for column in table.columns if is_time_column(column)
    )
    replacements = f"coalesce(tenant_id, '') as tenant_id{time_replacements}"
    typed_rows = _build_typed_rows_query(table, types, raw)
    con.execute(f"""
        create or replace temp table {name} as
        select * exclude (_row_content) replace ({replacements}), cast({key.key} as varchar) as _record_key
        from ({typed_rows})""")
    con.execute(f"""
        create or replace temp table _duplicate_keys as
        select tenant_id, _record_key from {name} group by all having count(*) > 1 or _record_key is null""")
    if con.execute("from _duplicate_keys limit 1").fetchall():
        of_duplicate = "d where d.tenant_id = {tenant} and d._record_key is not distinct from {key}"
        is_stored = of_duplicate.format(tenant=f"{name}.tenant_id", key=f"{name}._record_key")
        con.execute(f"delete from {name} where exists (from _duplicate_keys {is_stored})")
        is_typed = of_duplicate.format(tenant="coalesce(t.tenant_id, '')", key=f"cast(t.{key.key} as varchar)")
        duplicates = f"from ({typed_rows}) t where exists (from _duplicate_keys {is_typed})"
        con.execute(f"insert into {name} {_build_ranked_duplicates_query(table, key, replacements, duplicates)}")


def _build_typed_rows_query(table: Table, types: Mapping[str, str], raw: str) -> str:
    """Returns a query of the rows of `raw` with their values, problems and warnings."""
    columns = list(table.columns)
    problems = ", ".join(rule.build_problem_sql() for column in columns for rule in list_value_rules(column))
    content = ", ".join(f"""coalesce(nullif("{column.key}$delivered", ''), chr(1))""" for column in columns)
    return f"""
        select {", ".join(column.key for column in columns)},
            list_filter([{problems}], lambda problem: problem is not null) as _problems,
            {build_warnings_sql([c for c in columns if is_losable_column(c)])} as _warnings,
            {build_local_times_sql([c for c in columns if not is_delivered_typed(c, types[c.name])])} as _local_times,
            {_build_delivered_ids_sql(list_id_columns(table))} as _delivered_ids,
            concat_ws(chr(31), {content}) as _row_content
        from ({build_values_query(columns, types, raw)})"""


def _build_delivered_ids_sql(columns: Sequence[Column[Any]]) -> str:
    """Returns SQL for a map of these columns' ids as delivered, by column; null where all are canonical."""
    is_respelled = " or ".join(f'cast({c.key} as varchar) <> "{c.key}$delivered"' for c in columns)
    keys = ", ".join(f"'{column.key}'" for column in columns)
    delivered = ", ".join(f'"{column.key}$delivered"' for column in columns)
    return f"case when {is_respelled} then map([{keys}], [{delivered}]) end"


def _build_ranked_duplicates_query(table: Table, key: Column[Any], replacements: str, duplicates: str) -> str:
    """Returns a query of the rows that share their key, or have none, as `parse_rows` stores them."""
    recorded = ", ".join(column.key for column in table.columns if column.info.get("recorded"))
    best = "len(_problems), updated_at desc nulls last"
    if table is messaging.contact:
        # An older row may agree to what the newest refuses, set aside or not.
        best = "updated_at desc nulls first, len(_problems) desc"
    return f"""
        select * exclude (_row_content, _rank_in_key, _duplicate_since) replace ({replacements},
                case when {key.key} is not null and _rank_in_key > 1
                     then list_append(_problems, concat('{key.name}:{Reason.DUPLICATE_KEY}:', _duplicate_since))
                     else _problems end as _problems),
            case when {key.key} is null then 'no id ' || _row_content || ' ' || _rank_in_key
                 when _rank_in_key > 1 then {key.key} || ' duplicate ' || _rank_in_key || ' ' || _row_content
                 else cast({key.key} as varchar) end as _record_key
        from (
            select *, row_number() over best_first as _rank_in_key,
                min(epoch_us(greatest({recorded}))) over (best_first rows between unbounded preceding and 1 preceding)
                    as _duplicate_since
            from (select * replace (md5(_row_content) as _row_content) {duplicates})
            window best_first as (
                partition by tenant_id, {key.key}, case when {key.key} is null then _row_content end
                order by {best}, _row_content))"""


def validate_rows(con: DuckDBPyConnection, table: Table, present: str, as_of: datetime) -> None:
    """Creates views `<lake name>`, the valid rows of relation `present`, and `<lake name>_validated`, all of them.

    In `<lake name>_validated`, `_problems` has the problems of a row's context too.
    Reads: `present`, tenants (tenant_id, currency), known_tenants (tenant_id), the valid rows of referenced tables.
    """
    name = to_lake_name(table)
    rules = {f"_has_fault_{number}": rule for number, rule in enumerate(_list_context_rules(table, as_of))}
    flags = ", ".join(f"({rule.condition}) as {flag}" for flag, rule in rules.items())
    problems = ", ".join(rule.build_problem_sql(flag) for flag, rule in rules.items())
    present_problems = _build_present_problems_sql(as_of)
    # Lists are built for the few rows with problems only: one for every row takes longer than all the rest.
    con.execute(f"""
        create or replace temp view {name}_validated as
        select * exclude ({", ".join(rules)}) replace (
            case when len(_problems) > 0 or {" or ".join(rules)} then list_concat({present_problems},
                list_filter([{problems}], lambda problem: problem is not null)) else _problems end as _problems)
        from (select *, {flags} from {present} as t)""")
    # Not from the view above: DuckDB plans every part of a view for each query that names it.
    has_context_fault = " or ".join(f"({rule.condition})" for rule in rules.values())
    con.execute(f"""
        create or replace temp view {name} as
        select * exclude (_problems, _warnings, _local_times) from {present} as t
        where case when len(_problems) > 0 then len({present_problems}) = 0 else true end
            and ({has_context_fault}) is not true""")


def _build_present_problems_sql(as_of: datetime) -> str:
    """Returns SQL for the stored problems of a row that hold at this hour: those of duplicates have a time."""
    latest = round((as_of + MAX_CLOCK_SKEW).timestamp() * 1_000_000)
    since = "coalesce(try_cast(split_part(problem, ':', 3) as bigint), 0)"
    return f"list_filter(_problems, lambda problem: {since} <= {latest})"


def build_faulty_rows_query(tables: Sequence[Table], found_by: str) -> str:
    """Returns a query of all problems and warnings in the validated views of `tables`.

    The columns are those of quarantined_records less its stamps.
    """
    return " union all ".join(
        f"""select tenant_id, '{find_table_service(table)}' as service, '{table.name}' as table_name,
            left(cast({key.key} as varchar), {SHORT_TEXT_LENGTH}) as service_record_id, _record_key as _subject,
            split_part(problem, ':', 1) as column_name, split_part(problem, ':', 2) as reason, '{found_by}' as found_by,
            case when reason = '{Reason.PLACEHOLDER}' then regexp_extract(problem, ':.*?:(.*)', 1) end as value
        from (select *, unnest(list_concat(_problems, _warnings)) as problem from {to_lake_name(table)}_validated
            where len(_problems) > 0 or _warnings is not null)"""
        for table in tables
        for key in table.primary_key.columns
    )


def _list_context_rules(table: Table, as_of: datetime) -> list[ValidationRule]:
    latest = f"'{(as_of + MAX_CLOCK_SKEW).isoformat()}'::timestamptz"
    rules = [
        ValidationRule(
            "tenantId", Reason.UNKNOWN_TENANT, "t.tenant_id <> '' and t.tenant_id not in (from known_tenants)"
        ),
    ]
    for column in table.columns:
        if column.info.get("recorded"):
            rules += [ValidationRule(column.name, Reason.FUTURE_TIME, f"t.{column.key} > {latest}")]
        if (target := column.info.get("references")) not in (None, PROFILE_REFERENCE):
            other = to_lake_name(find_source_table(target))
            has_key = f"o.tenant_id = t.tenant_id and o.id = t.{column.key}"
            is_orphan = f"t.{column.key} is not null and not exists (select 1 from {other} o where {has_key})"
            rules += [ValidationRule(column.name, Reason.ORPHAN, is_orphan)]
    if "currency" in table.columns and table.name != "Tenant":
        tenant_currency = "(select currency from tenants where tenants.tenant_id = t.tenant_id)"
        rules += [ValidationRule("currency", Reason.WRONG_CURRENCY, f"t.currency <> {tenant_currency}")]
    if table.name == "Payment":
        rules += [ValidationRule("paidAt", Reason.MISSING_VALUE, "t.status = 'SETTLED' and t.paid_at is null")]
    return rules
