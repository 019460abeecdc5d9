"""Times that depend on the tenant's zone: days without a time in columns of times, and times in columns of days.

They are stored as delivered next to their value, so that a tenant whose zone changes gets new values although its
service is not read.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from duckdb import DuckDBPyConnection
from sqlalchemy import Column, Table

from crm_pipeline.domain.ingest.value_parsing import (
    build_open_end_sql,
    build_parse_sql,
    build_plausible_time_sql,
    define_parsing,
    is_time_column,
)
from crm_pipeline.tables.projections import to_duckdb_type, to_lake_name

_DAY_LENGTH = len("2026-03-31")


def build_local_times_sql(columns: Iterable[Column[Any]]) -> str:
    """Returns SQL for the row's local times as a JSON object, with the zone they were read in; null without any.

    Reads: `"<column>$text"` and `"<column>$line"` of each column, `_tenant_timezone`.
    """
    times = [column for column in columns if is_time_column(column)]
    members = {c: f"case when {_build_local_condition(c)} then {_build_text_sql(c)} end" for c in times}
    is_local = " or ".join(map(_build_local_condition, times)) or "false"
    return f"case when {is_local} then {_build_object_sql(members)} end"


def find_moved_times(con: DuckDBPyConnection, table: Table, present: str) -> bool:
    """Whether rows of relation `present` have local times that were read in another zone than their tenant's.

    Creates: temp table `reread_<lake name>`, these rows with their times read anew.

    Reads: `present`, tenants (tenant_id, timezone).
    """
    define_parsing(con)
    times = [column for column in table.columns if is_time_column(column)]
    reread = ", ".join(f"coalesce({_build_reread_sql(column)}, {column.key}) as {column.key}" for column in times)
    plausible = ", ".join(f"{build_plausible_time_sql(c)} as {c.key}" for c in times)
    local_times = _build_object_sql({column: f"_local_times ->> '{column.key}'" for column in times})
    con.execute(f"""
        create or replace temp table reread_{to_lake_name(table)} as
        select * exclude (_tenant_timezone) replace ({plausible}) from (
            select * replace ({reread}, {local_times} as _local_times)
            from (select p.*, tenants.timezone as _tenant_timezone from {present} p join tenants using (tenant_id)
                where _local_times is not null and _local_times ->> 'zone' <> tenants.timezone))""")
    return bool(con.execute(f"from reread_{to_lake_name(table)} limit 1").fetchall())


def _build_object_sql(members: Mapping[Column[Any], str]) -> str:
    keys_and_values = "".join(f", '{column.key}', {value}" for column, value in members.items())
    return f"cast(json_object('zone', coalesce(_tenant_timezone, 'UTC'){keys_and_values}) as varchar)"


def _build_reread_sql(column: Column[Any]) -> str:
    value = build_parse_sql(f"_local_times ->> '{column.key}'", to_duckdb_type(column))
    return build_open_end_sql(column, value)


def _build_local_condition(column: Column[Any]) -> str:
    is_day = to_duckdb_type(column) == "DATE"
    return f"length({_build_text_sql(column)}) {'>' if is_day else '='} {_DAY_LENGTH}"


def _build_text_sql(column: Column[Any]) -> str:
    return f'coalesce("{column.key}$line", "{column.key}$text")'
