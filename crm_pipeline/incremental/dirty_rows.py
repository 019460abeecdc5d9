"""What an hour stirs: the source rows that can mean something else than when they were last looked at.

A row is stirred where it is new, changed or gone, and where it reached a time from which it means something else. Here:
which rows, and whose they are. Not here: whom that touches (`touched`), nor days, which touch everybody.

Relation `noted` has tenant_id and worked_at, the hour up to which all was looked at, and per table the version then.
For each table read, `changed_<lake name>` has what rows changed since then say and what they said before, and
`present_<lake name>` all rows.
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
"""Times that were planned, with the condition under which their coming is of any matter."""
TIMELINE_TIME_TRIGGERS: Final[TimeTriggers] = MappingProxyType(
    {teetime.booking.c.tee_time_at: "status in ('PLAYED', 'NO_SHOW')", teetime.competition_entry.c.played_at: "true"}
)
SCORE_TIME_TRIGGERS: Final[TimeTriggers] = MappingProxyType(
    {scl.member.c.ended_at: "true", scl.payment.c.due_at: "status <> 'SETTLED'"}
)
IDENTITY_TIME_TRIGGERS: Final[TimeTriggers] = MappingProxyType({scl.member.c.ended_at: "true"})
_EXTRA_TRACKED_COLUMNS: Final = MappingProxyType(
    {scl.payment: ("booking_id",), messaging.message_event: ("message_id",)}
)


def list_tracked_columns(table: Table) -> tuple[str, ...]:
    """The columns of `changed_<lake name>`: which row, whose it is, what ties it to rows of others, if it is sound."""
    sound = ("_problems", *_list_recorded_columns(table)) if table in PERSON_TABLES.values() else ()
    return tuple(
        dict.fromkeys(("tenant_id", "id", find_owner_column(table).key, *_EXTRA_TRACKED_COLUMNS.get(table, ()), *sound))
    )


def _list_recorded_columns(table: Table) -> list[str]:
    return [column.key for column in table.columns if column.info.get("recorded")]


def find_dirty_records(con: DuckDBPyConnection, tables: Iterable[Table], planned: TimeTriggers) -> None:
    """Create temp table `stirred` (tenant_id, service, record_id): whose rows of these tables were stirred.

    Of a row that names a profile the service is empty, and the id the profile's.
    """
    _create_dirty_records(con, _build_dirty_queries(con, tables, planned))


def find_validity_changes(con: DuckDBPyConnection, people: Iterable[Table]) -> None:
    """Create temp table `stirred` of the people who came, went, or were or are not sound.

    Whatever else changed of somebody, the rows that name them are judged and told as before.
    """
    _create_dirty_records(con, _build_dirty_queries(con, people, {}, only_unsettled=True))


def find_dirty_rows(con: DuckDBPyConnection, tables: Iterable[Table], planned: TimeTriggers) -> None:
    """Create temp table `dirty_rows` (tenant_id, table_name, record_id): which rows of these tables were stirred."""
    con.execute("create or replace temp table dirty_rows (tenant_id varchar, table_name varchar, record_id varchar)")
    for table, rows in _build_dirty_queries(con, tables, planned):
        con.execute(f"insert into dirty_rows select distinct tenant_id, '{table.name}', id from ({rows})")


def has_rows(con: DuckDBPyConnection, *relations: str) -> bool:
    """Whether any of these relations has a row."""
    rows = " union all ".join(f"(select 1 from {relation} limit 1)" for relation in relations)
    return bool(con.sql(rows).fetchall())


def _create_dirty_records(con: DuckDBPyConnection, stirred: Iterable[tuple[Table, str]]) -> None:
    con.execute("create or replace temp table stirred (tenant_id varchar, service varchar, record_id varchar)")
    for table, rows in stirred:
        whose = (
            f"select distinct tenant_id, '{find_owner_service(table)}', cast({find_owner_column(table).key} as varchar)"
        )
        con.execute(f"insert into stirred {whose} from ({rows})")


def _build_dirty_queries(
    con: DuckDBPyConnection, tables: Iterable[Table], planned: TimeTriggers, *, only_unsettled: bool = False
) -> Iterator[tuple[Table, str]]:
    """Queries of the rows of each table that were stirred: tenant_id, id and own column."""
    (least,) = con.sql("select min(worked_at) from noted").fetchall()[0]
    since = f"'{least.isoformat()}'::timestamptz"
    for table in tables:
        is_ahead = " or ".join(f"{when} > {since} + max_clock_skew()" for when in _list_recorded_columns(table))
        unsettled = f"not _is_update or len(_problems) > 0 or {is_ahead}" if only_unsettled else "true"
        for rows in _build_table_dirty_queries(con, table, since, planned, unsettled):
            yield table, rows


def _build_table_dirty_queries(
    con: DuckDBPyConnection, table: Table, since: str, planned: TimeTriggers, changed: str
) -> Iterator[str]:
    """Those of one table; of the rows that changed those of which condition `changed` holds.

    What was planned is of no matter until minutes before. What was recorded is judged by the hour up to a day ahead,
    and so are the duplicates of such a row, which may count where it does not.
    """
    name = to_lake_name(table)
    row = "select " + ", ".join(dict.fromkeys(("tenant_id", "id", find_owner_column(table).key)))
    yield f"{row} from changed_{name} where {changed}"
    # Column by column: each then passes over the parts of files in which no time is so late, which are nearly all.
    later = f"from present_{name} join noted using (tenant_id) where {{0}} > {since} and {{0}} > worked_at and"
    for column in (column for column in table.columns if column in planned):
        come = f"{column.key} <= as_of() + clock_tolerance() and {planned[column]}"
        yield f"{row} {later.format(column.key)} {come}"
    ahead = (f"select tenant_id, id {later.format(when)} _version <= {name}" for when in _list_recorded_columns(table))
    con.execute(f"create or replace temp table ahead as {' union '.join(ahead)}")
    if has_rows(con, "ahead"):
        # A row without an id comes of time as any other does.
        same = "ahead.tenant_id = p.tenant_id and ahead.id is not distinct from p.id"
        yield f"{row} from present_{name} p semi join ahead on {same}"
