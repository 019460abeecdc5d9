"""Judging source rows: what each delivered value means, and what is wrong with those that mean nothing.

Two kinds of fault are told apart. Faults of the row itself are found once, when it is read, and stay with it in the
lake. Faults of its surroundings (the hour, the tenant, the record it names) are judged anew at every reading, since
they can go away by themselves. A faulty row is set aside whole; nothing here drops one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection
from sqlalchemy import Column, Table

from crm_pipeline.domain.as_of import MAX_CLOCK_SKEW
from crm_pipeline.domain.ingest.value_parsing import (
    ValidationRule,
    build_plausible_time_sql,
    build_value_sql,
    is_time_column,
    list_value_rules,
)
from crm_pipeline.tables.columns import SHORT_TEXT_LENGTH, find_table_service
from crm_pipeline.tables.ownership import PROFILE_REFERENCE
from crm_pipeline.tables.projections import find_source_table, to_lake_name
from crm_pipeline.vocabulary import QuarantineReason as Reason

_DUPLICATE_KEYS_JOIN = """
    _rivals on _rivals.tenant_id is not distinct from _typed.tenant_id
        and _rivals.{key} is not distinct from _typed.{key}"""


def parse_rows(con: DuckDBPyConnection, table: Table, raw: str, name: str) -> None:
    """Create temp table `name`: the rows of relation `raw` as the lake keeps them.

    `raw` has the service's own column names, of any type or as text; relation `tenants` gives tenant_id and timezone
    for dates without a time. The result has the declared columns, `_record_key`, and `_problems` as `column:REASON`.
    Of rows with one key the best and latest counts. The others are duplicates, each with the time (microseconds since
    1970) from which it is one, as `column:REASON:TIME`: a row counts as long as all better ones lie in the future.
    """
    types = {row[0]: str(row[1]) for row in con.execute(f"describe {raw}").fetchall()}
    delivered = ", ".join(
        f'"{c.name}" as "{c.key}$raw", nullif(cast("{c.name}" as varchar), \'\') as "{c.key}$text"'
        for c in table.columns
    )
    values = {column.key: build_value_sql(column, types[column.name]) for column in table.columns}
    (key,) = table.primary_key.columns
    con.execute(f"""
        create or replace temp table _rivals as
        from (select {values["tenant_id"]} as tenant_id, {values[key.key]} as {key.key}
              from (select {delivered} from {raw}))
        select tenant_id, {key.key} group by all having count(*) > 1 or {key.key} is null""")
    problems = ", ".join(fault.problem() for column in table.columns for fault in list_value_rules(column))
    content = ", ".join(f'coalesce("{column.key}$text", chr(1))' for column in table.columns)
    con.execute(f"""
        create or replace temp view _typed as
        select {", ".join(f"{value} as {name}" for name, value in values.items())},
            list_filter([{problems}], lambda problem: problem is not null) as _problems,
            concat_ws(chr(31), {content}) as _content
        from (select {delivered} from {raw})
        left join (select tenant_id as _tenant, timezone as _timezone from tenants) on _tenant = "tenant_id$text"
        """)
    times = "".join(
        f", {build_plausible_time_sql(column)} as {column.key}" for column in table.columns if is_time_column(column)
    )
    replaced = f"coalesce(tenant_id, '') as tenant_id{times}"
    con.execute(f"""
        create or replace temp table {name} as
        select * exclude (_content) replace ({replaced}), cast({key.key} as varchar) as _record_key
        from _typed anti join {_DUPLICATE_KEYS_JOIN.format(key=key.key)}""")
    if con.execute("from _rivals limit 1").fetchall():
        con.execute(f"insert into {name} {_build_ranked_duplicates_query(table, key, replaced)}")


def _build_ranked_duplicates_query(table: Table, key: Column[Any], replaced: str) -> str:
    """A query of the rows that have rivals for their key, or no key, as `read_rows` keeps them."""
    recorded = ", ".join(column.key for column in table.columns if column.info.get("recorded"))
    return f"""
        select * exclude (_content, _rank, _since) replace ({replaced},
                case when {key.key} is not null and _rank > 1
                     then list_append(_problems, concat('{key.name}:{Reason.DUPLICATE_KEY}:', _since))
                     else _problems end as _problems),
            case when {key.key} is null then 'no id ' || _content || ' ' || _rank
                 when _rank > 1 then {key.key} || ' duplicate ' || _rank || ' ' || _content
                 else cast({key.key} as varchar) end as _record_key
        from (
            select *, row_number() over best_first as _rank,
                min(epoch_us(greatest({recorded}))) over (best_first rows between unbounded preceding and 1 preceding)
                    as _since
            from (select * replace (md5(_content) as _content) from _typed semi join {_DUPLICATE_KEYS_JOIN.format(key=key.key)})
            window best_first as (
                partition by tenant_id, {key.key}, case when {key.key} is null then _content end
                order by len(_problems), updated_at desc nulls last, _content))"""


def validate_rows(con: DuckDBPyConnection, table: Table, present: str, as_of: datetime) -> None:
    """Create views `<lake name>`, the sound rows of relation `present`, and `<lake name>_judged`, all of them.

    The judged view has `_problems` with the faults of its surroundings added. Needs relations `tenants` (tenant_id,
    currency), `known_tenants` (tenant_id) and the sound views of the tables this one references.
    """
    name = to_lake_name(table)
    faults = {f"_is_{number}": fault for number, fault in enumerate(_list_context_rules(table, as_of))}
    found = ", ".join(f"({fault.condition}) as {flag}" for flag, fault in faults.items())
    problems = ", ".join(fault.problem(flag) for flag, fault in faults.items())
    latest = round((as_of + MAX_CLOCK_SKEW).timestamp() * 1_000_000)
    # Lists are worked out for the few rows that have any, since making one for each takes longer than all the rest.
    con.execute(f"""
        create or replace temp view {name}_judged as
        select * exclude ({", ".join(faults)}) replace (
            case when len(_problems) > 0 or {" or ".join(faults)} then list_concat(
                list_filter(_problems,
                    lambda problem: coalesce(try_cast(split_part(problem, ':', 3) as bigint), 0) <= {latest}),
                list_filter([{problems}], lambda problem: problem is not null)) else _problems end as _problems)
        from (select *, {found} from {present} as t)""")
    con.execute(f"""
        create or replace temp view {name} as
        select * exclude (_problems) from {name}_judged where len(_problems) = 0""")


def faulty_rows_query(tables: Sequence[Table], found_by: str) -> str:
    """A query of everything wrong in the judged views of these tables, as quarantined_records has it less stamps."""
    return " union all ".join(
        f"""select tenant_id, '{find_table_service(table)}' as service, '{table.name}' as table_name,
            left(cast({key.key} as varchar), {SHORT_TEXT_LENGTH}) as service_record_id, _record_key as _subject,
            split_part(problem, ':', 1) as column_name, split_part(problem, ':', 2) as reason, '{found_by}' as found_by
        from (select *, unnest(_problems) as problem from {to_lake_name(table)}_judged where len(_problems) > 0)"""
        for table in tables
        for key in table.primary_key.columns
    )


def _list_context_rules(table: Table, as_of: datetime) -> list[ValidationRule]:
    latest = f"'{(as_of + MAX_CLOCK_SKEW).isoformat()}'::timestamptz"
    faults = [
        ValidationRule(
            "tenantId", Reason.UNKNOWN_TENANT, "t.tenant_id <> '' and t.tenant_id not in (from known_tenants)"
        ),
    ]
    for column in table.columns:
        if column.info.get("recorded"):
            faults += [ValidationRule(column.name, Reason.FUTURE_TIME, f"t.{column.key} > {latest}")]
        if (target := column.info.get("references")) not in (None, PROFILE_REFERENCE):
            other = to_lake_name(find_source_table(target))
            same = f"o.tenant_id = t.tenant_id and o.id = t.{column.key}"
            orphan = f"t.{column.key} is not null and not exists (select 1 from {other} o where {same})"
            faults += [ValidationRule(column.name, Reason.ORPHAN, orphan)]
    if "currency" in table.columns and table.name != "Tenant":
        own = "(select currency from tenants where tenants.tenant_id = t.tenant_id)"
        faults += [ValidationRule("currency", Reason.WRONG_CURRENCY, f"t.currency <> {own}")]
    if table.name == "Payment":
        faults += [ValidationRule("paidAt", Reason.MISSING_VALUE, "t.status = 'SETTLED' and t.paid_at is null")]
    return faults
