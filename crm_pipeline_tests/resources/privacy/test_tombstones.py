"""Tombstones keep records and what hangs on them out of what was just read."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy import schema
from crm_pipeline.resources.privacy.tombstones import (
    SubjectRecord,
    build_key_id,
    build_tombstone,
    end_tombstones,
    exclude_forgotten,
    find_returned_tenants,
    find_tombstones,
    store_forgotten_totals,
)
from crm_pipeline.resources.sources.delivery import SourceError
from crm_pipeline.tables.columns import find_table_service
from crm_pipeline.tables.outputs import privacy
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline.tables.sources import crm, teetime

KEY: Final = "k" * 70
HOUR: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
ANNE: Final = SubjectRecord("links", "TEETIME", "Player", "anne")
ANNES: Final = (("links", "anne"), ("mesa", "anne"))
TWICE: Final = (("links", "anne"), ("links", "bert"), ("mesa", "anne"))


def lay(con: DuckDBPyConnection, lake: Lake, record: SubjectRecord, key: str = KEY, certificate: str = "c") -> None:
    stone = {"tenant_id": record.tenant_id, "hash": build_tombstone(key, record), "key_id": build_key_id(key)}
    rows = [stone | {"certificate_id": certificate, "forgotten_at": HOUR}]
    schema.store_missing_rows(
        con, lake, privacy.tombstones, pa.Table.from_pylist(rows, to_arrow_schema(privacy.tombstones))
    )


def read(con: DuckDBPyConnection, columns: str, rows: tuple[tuple[str, str], ...]) -> None:
    values = ", ".join(f"('{tenant}', '{record}')" for tenant, record in rows)
    con.execute(f"create or replace temp table incoming as select {columns} from (values {values}) v(tenant_id, r)")


def kept_out(con: DuckDBPyConnection, lake: Lake, table: Table, key: str | None = KEY) -> int:
    stones = find_tombstones(con, lake, find_table_service(table), key)
    if stones is None:
        return 0
    count = exclude_forgotten(con, table, "incoming", stones)
    end_tombstones(con, lake, HOUR)
    return count


def book(con: DuckDBPyConnection, at: str) -> None:
    """Anne books at both clubs."""
    read(
        con, f"tenant_id, 'b-' || r as id, r as player_id, 'BOOKED' as status, '{at}'::timestamptz as booked_at", ANNES
    )


def test_a_person_is_kept_out_at_their_club_alone(con: DuckDBPyConnection, lake: Lake) -> None:
    lay(con, lake, ANNE)
    read(con, "tenant_id, r as id, r as _record_key", TWICE)
    assert kept_out(con, lake, teetime.player) == 1
    assert con.sql("select tenant_id, id from incoming order by all").fetchall() == [
        ("links", "bert"),
        ("mesa", "anne"),
    ]


def test_what_references_them_goes_with_them(con: DuckDBPyConnection, lake: Lake) -> None:
    lay(con, lake, ANNE)
    read(con, "tenant_id, 'b-' || r as id, r as player_id, 'BOOKED' as status, now() as booked_at", TWICE)
    assert kept_out(con, lake, teetime.booking) == 1


def test_a_decision_goes_with_either_of_its_records(con: DuckDBPyConnection, lake: Lake) -> None:
    lay(con, lake, ANNE)
    sides = "'SCL' as service_a, '7' as record_id_a, 'TEETIME' as service_b, r as record_id_b"
    read(con, f"tenant_id, 'o-' || r as id, 'o-' || r as _record_key, {sides}", TWICE)
    assert kept_out(con, lake, crm.identity_override) == 1


def test_a_golfer_of_retentions_who_books_again_is_kept_out_for_the_last_time(
    con: DuckDBPyConnection, lake: Lake
) -> None:
    lay(con, lake, ANNE, certificate="c-0")
    for at, count in (("2026-03-08", 1), ("2026-03-08", 1), ("2026-04-08", 1), ("2026-04-08", 0), ("2026-03-08", 0)):
        book(con, f"{at}T12:00:00Z")
        assert kept_out(con, lake, teetime.booking) == count
    assert [find_returned_tenants(con, lake, None, HOUR + timedelta(hours=hours)) for hours in (0, 1)] == [
        ["links"],
        [],
    ]


def test_who_asked_to_be_forgotten_does_not_come_again_by_booking(con: DuckDBPyConnection, lake: Lake) -> None:
    lay(con, lake, ANNE)
    for _ in range(2):
        book(con, "2026-04-08T12:00:00Z")
        assert kept_out(con, lake, teetime.booking) == 1


def test_who_came_again_can_be_removed_and_forgotten_anew(con: DuckDBPyConnection, lake: Lake) -> None:
    for certificate in ("c-0", "d-5", "e"):
        lay(con, lake, ANNE, certificate=certificate)
        book(con, "2026-04-08T12:00:00Z")
        assert kept_out(con, lake, teetime.booking) == 1
    book(con, "2026-04-08T12:00:00Z")
    assert kept_out(con, lake, teetime.booking) == 1


def test_money_of_who_came_again_is_the_timelines_from_the_refresh_after(con: DuckDBPyConnection, lake: Lake) -> None:
    sums = [{"tenant_id": "links", "certificate_id": f"c-{n}", "year": 2020, "currency": "ZAR", "amount_cents": 10**n}
            for n in range(3)]  # fmt: skip
    table = pa.Table.from_pylist(sums, to_arrow_schema(privacy.forgotten_sums))
    assert schema.store_missing_rows(con, lake, privacy.forgotten_sums, table) == ["links"]
    assert schema.store_missing_rows(con, lake, privacy.forgotten_sums, table) == []
    con.execute("create temp table come_again as select 'links' as tenant_id, 'c-1' as certificate_id")
    end_tombstones(con, lake, HOUR)
    totals = []
    for hours in range(2):
        store_forgotten_totals(con, lake, ["links"], HOUR + timedelta(hours=hours))
        totals += con.sql(f"select amount_cents from {lake.current(con, privacy.forgotten_totals)}").fetchall()
    assert totals == [(111,), (101,)]


def test_without_tombstones_no_key_is_asked_for(con: DuckDBPyConnection, lake: Lake) -> None:
    read(con, "tenant_id, r as id, r as _record_key", TWICE)
    assert kept_out(con, lake, teetime.player, None) == 0


@pytest.mark.parametrize("key", [None, "another key " * 4])
def test_without_their_key_nothing_is_read(con: DuckDBPyConnection, lake: Lake, key: str | None) -> None:
    lay(con, lake, ANNE)
    read(con, "tenant_id, r as id, r as _record_key", TWICE)
    with pytest.raises(SourceError, match="TEETIME: people were forgotten, and ERASURE_KEY is not the key"):
        kept_out(con, lake, teetime.player, key)
