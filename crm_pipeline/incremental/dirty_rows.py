"""The dirty source rows of an hour: rows that were inserted, updated or deleted, or whose planned time has come.

Reads: `watermarks` (tenant_id, worked_at: the hour of the last refresh, and per table its version then), and per table
`changed_<lake name>` (the rows changed since that version, as they are now and as they were) and `present_<lake name>`
(all rows).
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from duckdb import DuckDBPyConnection
from sqlalchemy import Column, Table

from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.ownership import find_owner_column, find_owner_service
from crm_pipeline.tables.projections import to_lake_name
from crm_pipeline.tables.sources import messaging, scl, teetime

TimeTriggers = Mapping[Column[Any], str]
"""Columns of planned times, each with the condition under which a row becomes dirty when that time comes."""

TIMELINE_TIME_TRIGGERS: Final[TimeTriggers] = MappingProxyType(
    {
        scl.member.c.joined_at: "true",
        teetime.booking.c.tee_time_at: "status in ('PLAYED', 'NO_SHOW')",
        teetime.competition_entry.c.played_at: "true",
    }
)

IDENTITY_TIME_TRIGGERS: Final[TimeTriggers] = MappingProxyType(
    {scl.member.c.joined_at: "true", scl.member.c.ended_at: "true"}
)

SCORE_TIME_TRIGGERS: Final[TimeTriggers] = MappingProxyType(
    {**IDENTITY_TIME_TRIGGERS, scl.payment.c.due_at: "status <> 'SETTLED'"}
)

_EXTRA_TRACKED_COLUMNS: Final = MappingProxyType(
    {
        scl.member: ("yearly_fee_cents",),
        scl.payment: ("booking_id",),
        messaging.message_event: ("message_id",),
    }
)


def list_tracked_columns(table: Table) -> tuple[str, ...]:
    """Returns the columns of `changed_<lake name>`: row key, owner, links to other rows, and what decides validity."""
    validity_columns = ("_problems", *_list_recorded_columns(table)) if table in PERSON_TABLES.values() else ()
    return tuple(
        dict.fromkeys(
            (
                "tenant_id",
                "id",
                find_owner_column(table).key,
                *_EXTRA_TRACKED_COLUMNS.get(table, ()),
                *validity_columns,
            )
        )
    )


def find_dirty_records(con: DuckDBPyConnection, tables: Iterable[Table], time_triggers: TimeTriggers) -> None:
    """Creates temp table `dirty_records` (tenant_id, service, record_id): the owners of dirty rows of these tables.

    For a row that names a profile, service is empty and record_id is the profile id.
    """
    _create_dirty_records(con, _build_dirty_queries(con, tables, time_triggers))


def find_validity_changes(con: DuckDBPyConnection, people: Iterable[Table]) -> None:
    """Creates temp table `dirty_records`: person records inserted, deleted, or whose validity may have changed.

    Other changes of a person record leave the validity and the events of the rows that name it as they are.
    """
    _create_dirty_records(con, _build_dirty_queries(con, people, {}, only_validity_changes=True))


def find_dirty_rows(con: DuckDBPyConnection, tables: Iterable[Table], time_triggers: TimeTriggers) -> None:
    """Creates temp table `dirty_rows` (tenant_id, table_name, record_id): the dirty rows of these tables."""
    con.execute("create or replace temp table dirty_rows (tenant_id varchar, table_name varchar, record_id varchar)")
    for table, rows in _build_dirty_queries(con, tables, time_triggers):
        con.execute(f"insert into dirty_rows select distinct tenant_id, '{table.name}', id from ({rows})")


def has_rows(con: DuckDBPyConnection, *relations: str) -> bool:
    """Whether any of the relations has a row."""
    rows = " union all ".join(f"(select 1 from {relation} limit 1)" for relation in relations)
    return bool(con.sql(rows).fetchall())


def _list_recorded_columns(table: Table) -> list[str]:
    return [column.key for column in table.columns if column.info.get("recorded")]


def _create_dirty_records(con: DuckDBPyConnection, dirty_queries: Iterable[tuple[Table, str]]) -> None:
    con.execute("create or replace temp table dirty_records (tenant_id varchar, service varchar, record_id varchar)")
    for table, rows in dirty_queries:
        owners_query = (
            f"select distinct tenant_id, '{find_owner_service(table)}', cast({find_owner_column(table).key} as varchar)"
        )
        con.execute(f"insert into dirty_records {owners_query} from ({rows})")


def _build_dirty_queries(
    con: DuckDBPyConnection,
    tables: Iterable[Table],
    time_triggers: TimeTriggers,
    *,
    only_validity_changes: bool = False,
) -> Iterator[tuple[Table, str]]:
    """Yields queries of the dirty rows of each table: tenant_id, id and owner column."""
    (oldest_worked_at,) = con.sql("select min(worked_at) from watermarks").fetchall()[0]
    since = f"'{oldest_worked_at.isoformat()}'::timestamptz"
    for table in tables:
        is_future_dated = " or ".join(f"{when} > {since} + max_clock_skew()" for when in _list_recorded_columns(table))
        validity_change = f"not _is_update or len(_problems) > 0 or {is_future_dated}"
        changed_condition = validity_change if only_validity_changes else "true"
        for rows in _build_table_dirty_queries(con, table, since, time_triggers, changed_condition):
            yield table, rows


def _build_table_dirty_queries(
    con: DuckDBPyConnection, table: Table, since: str, time_triggers: TimeTriggers, changed_condition: str
) -> Iterator[str]:
    """Yields queries of the dirty rows of one table; changed rows only where `changed_condition` holds.

    A planned time matters from clock_tolerance() before it. A recorded time is validated against the hour plus
    max_clock_skew(); a future-dated row makes its duplicates dirty too, since one of them may count in its place.
    """
    name = to_lake_name(table)
    row = "select " + ", ".join(dict.fromkeys(("tenant_id", "id", find_owner_column(table).key)))
    yield f"{row} from changed_{name} where {changed_condition}"
    # One query per column: DuckDB then skips nearly all row groups by the column's maximum.
    later_rows = (
        f"from present_{name} join watermarks using (tenant_id) where {{0}} > {since} and {{0}} > worked_at and"
    )
    for column in (column for column in table.columns if column in time_triggers):
        time_condition = f"{column.key} <= as_of() + clock_tolerance() and {time_triggers[column]}"
        yield f"{row} {later_rows.format(column.key)} {time_condition}"
    future_dated_queries = (
        f"select tenant_id, id {later_rows.format(when)} _version <= {name}" for when in _list_recorded_columns(table)
    )
    con.execute(f"create or replace temp table future_dated_rows as {' union '.join(future_dated_queries)}")
    if has_rows(con, "future_dated_rows"):
        # Rows without an id can be future-dated too.
        same_id = "f.tenant_id = p.tenant_id and f.id is not distinct from p.id"
        yield f"{row} from present_{name} p semi join future_dated_rows f on {same_id}"
