"""Which person records are dirty: those whose validity may have changed, and with it the rows that name them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from crm_pipeline.domain.as_of import define_as_of
from crm_pipeline.incremental.dirty_rows import find_validity_changes
from crm_pipeline.tables.sources import teetime

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VALID: list[str] = []


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        define_as_of(con, NOON + HOUR)
        con.execute("create table watermarks as select 'oak' as tenant_id, ? as worked_at, 7 as teetime_player", [NOON])
        times = "created_at timestamptz, updated_at timestamptz"
        con.execute(f"create table present_teetime_player (tenant_id varchar, id varchar, {times}, _version bigint)")
        con.execute(f"""
            create table changed_teetime_player (
                tenant_id varchar, id varchar, _problems varchar[], {times}, _is_update boolean)""")
        yield con


CHANGES = {
    "who is as valid as before": ([(VALID, NOON + HOUR, True)], False),
    "who is new": ([(VALID, NOON, False)], True),
    "who is new and was changed since": ([(VALID, NOON, False), (VALID, NOON + HOUR, True)], True),
    "who is gone": ([(VALID, NOON, False), (VALID, NOON, True)], True),
    "who was not valid": ([(["email:BAD_EMAIL"], NOON, True), (VALID, NOON, True)], True),
    "who is not valid": ([(VALID, NOON, True), (["id:DUPLICATE_KEY:0"], NOON, True)], True),
    "whose clock is a little ahead": ([(VALID, NOON + DAY, True)], False),
    "whose clock is more than a day ahead": ([(VALID, NOON + DAY + HOUR, True)], True),
}


@pytest.mark.parametrize(("images", "is_dirty"), CHANGES.values(), ids=CHANGES)
def test_of_people_who_changed(
    con: duckdb.DuckDBPyConnection, images: list[tuple[list[str], datetime, bool]], is_dirty: bool
) -> None:
    for problems, updated_at, is_update in images:
        row = [problems, NOON, updated_at, is_update]
        con.execute("insert into changed_teetime_player values ('oak', 'ann', ?, ?, ?, ?)", row)
    find_validity_changes(con, [teetime.player])
    assert set(con.sql("from dirty_records").fetchall()) == ({("oak", "TEETIME", "ann")} if is_dirty else set())


def test_of_people_whose_time_has_come(con: duckdb.DuckDBPyConnection) -> None:
    for name, created_at, version in (("ann", NOON + HOUR, 7), ("bob", NOON - HOUR, 7), ("new", NOON + HOUR, 8)):
        con.execute("insert into present_teetime_player values ('oak', ?, ?, ?, ?)", [name, created_at, NOON, version])
    find_validity_changes(con, [teetime.player])
    assert con.sql("from dirty_records").fetchall() == [("oak", "TEETIME", "ann")]
