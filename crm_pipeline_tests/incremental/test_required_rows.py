"""Which rows an incremental batch reads: dirty rows, rows of required records, and the records that rows name."""

from collections.abc import Iterator

import duckdb
import pytest

from crm_pipeline.incremental.required_rows import select_owned_and_dirty_rows
from crm_pipeline.tables.sources import teetime

SEEN, NEW = 7, 8
"""Versions of rows: the watermark, and the next one."""
RELATIONS = {
    "watermarks": "tenant_id varchar, teetime_booking bigint",
    "present_teetime_player": "tenant_id varchar, id varchar",
    "present_teetime_booking": "tenant_id varchar, id varchar, player_id varchar, _record_key varchar, _version bigint",
    "changed_teetime_booking": "tenant_id varchar, id varchar, _is_update boolean",
    "dirty_rows": "tenant_id varchar, table_name varchar, record_id varchar",
    "required_records": "tenant_id varchar, service varchar, record_id varchar",
}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        for name, columns in RELATIONS.items():
            con.execute(f"create table {name} ({columns})")
        con.execute(f"insert into watermarks values ('oak', {SEEN}), ('elm', {SEEN})")
        # Two clubs use the same ids.
        for club in ("oak", "elm"):
            con.execute(f"insert into present_teetime_player values ('{club}', 'ann'), ('{club}', 'bob')")
            for booking, player, version in (
                ("old", "ann", SEEN),
                ("new", "ann", NEW),
                ("other", "bob", SEEN),
                ("next", "bob", NEW),
            ):
                row = f"('{club}', '{booking}', '{player}', '{booking}', {version})"
                con.execute(f"insert into present_teetime_booking values {row}")
        yield con


REQUIRED = {
    "nothing": (None, set(), set()),
    "a new row": ("dirty_rows values ('oak', 'Booking', 'new')", {("oak", "new")}, {("oak", "ann")}),
    "a row whose time has come": (
        "dirty_rows values ('oak', 'Booking', 'other')",
        {("oak", "other")},
        {("oak", "bob")},
    ),
    "a row that is gone": ("dirty_rows values ('oak', 'Booking', 'was')", set(), set()),
    "a row of another table": ("dirty_rows values ('oak', 'HandicapUpdate', 'old')", set(), set()),
    "all rows of somebody": (
        "required_records values ('oak', 'TEETIME', 'ann')",
        {("oak", "old"), ("oak", "new")},
        {("oak", "ann")},
    ),
    "somebody's own row": ("dirty_rows values ('oak', 'Player', 'bob')", set(), {("oak", "bob")}),
    "a row without an id": (
        f"present_teetime_booking values ('oak', null, 'bob', 'none 1', {SEEN}), ('elm', null, 'bob', 'none 2', {NEW})",
        {("oak", None), ("elm", None)},
        {("oak", "bob"), ("elm", "bob")},
    ),
}


SENT_TWICE = f"present_teetime_booking values ('oak', 'old', 'ann', 'old duplicate 2', {NEW})"


@pytest.mark.parametrize("counts_anew", [False, True])
def test_of_a_row_delivered_twice_both_are_read(con: duckdb.DuckDBPyConnection, counts_anew: bool) -> None:
    """Whichever of the two is new, since the other one may be the one that counts."""
    con.execute(f"insert into {SENT_TWICE}")
    if counts_anew:
        con.execute(
            "update present_teetime_booking set _version = 15 - _version where id = 'old' and tenant_id = 'oak'"
        )
        con.execute("insert into changed_teetime_booking values ('oak', 'old', true)")
    con.execute("insert into changed_teetime_booking values ('oak', 'old', false)")
    con.execute("insert into dirty_rows values ('oak', 'Booking', 'old')")
    select_owned_and_dirty_rows(con, [teetime.player, teetime.booking])
    read = con.sql("select tenant_id, _record_key from required_teetime_booking order by all").fetchall()
    assert read == [("oak", "old"), ("oak", "old duplicate 2")]


@pytest.mark.parametrize(("given", "bookings", "players"), REQUIRED.values(), ids=REQUIRED)
def test_what_is_read(
    con: duckdb.DuckDBPyConnection,
    given: str | None,
    bookings: set[tuple[str, str | None]],
    players: set[tuple[str, str]],
) -> None:
    if given:
        con.execute(f"insert into {given}")
    select_owned_and_dirty_rows(con, [teetime.player, teetime.booking])
    assert sorted(con.sql("select tenant_id, id from required_teetime_booking").fetchall(), key=str) == sorted(
        bookings, key=str
    )
    assert set(con.sql("select tenant_id, id from required_teetime_player").fetchall()) == players
