"""Tombstones exclude records, and the rows that refer to them, from what was just read."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy import schema as privacy_schema
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
from crm_pipeline.tables.columns import MAX_SUM_CENTS, find_table_service
from crm_pipeline.tables.outputs import privacy
from crm_pipeline.tables.sources import crm, teetime

KEY: Final = "k" * 70
HOUR: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
ANNE: Final = SubjectRecord("links", "TEETIME", "Player", "anne")
ANNES: Final = (("links", "anne"), ("mesa", "anne"))
TWICE: Final = (("links", "anne"), ("links", "bert"), ("mesa", "anne"))


def store_tombstone(
    con: DuckDBPyConnection, lake: Lake, record: SubjectRecord, key: str = KEY, certificate: str = "c"
) -> None:
    tombstone = {"tenant_id": record.tenant_id, "hash": build_tombstone(key, record), "key_id": build_key_id(key)}
    rows = [tombstone | {"certificate_id": certificate, "forgotten_at": HOUR}]
    privacy_schema.store_missing_rows(con, lake, privacy.tombstones, rows)


def read(con: DuckDBPyConnection, columns: str, rows: tuple[tuple[str, str], ...]) -> None:
    values = ", ".join(f"('{tenant}', '{record}')" for tenant, record in rows)
    columns = f"{columns}, null::map(varchar, varchar) as _delivered_ids"
    con.execute(f"create or replace temp table incoming as select {columns} from (values {values}) v(tenant_id, r)")


def count_excluded(con: DuckDBPyConnection, lake: Lake, table: Table, key: str | None = KEY) -> int:
    tombstones = find_tombstones(con, lake, find_table_service(table), key)
    if tombstones is None:
        return 0
    count = exclude_forgotten(con, table, "incoming", tombstones)
    end_tombstones(con, lake, HOUR)
    return count


def book(con: DuckDBPyConnection, at: str) -> None:
    """Anne books at both clubs."""
    read(
        con, f"tenant_id, 'b-' || r as id, r as player_id, 'BOOKED' as status, '{at}'::timestamptz as booked_at", ANNES
    )


def test_a_person_is_excluded_at_their_club_alone(con: DuckDBPyConnection, lake: Lake) -> None:
    store_tombstone(con, lake, ANNE)
    read(con, "tenant_id, r as id, r as _record_key", TWICE)
    assert count_excluded(con, lake, teetime.player) == 1
    assert con.sql("select tenant_id, id from incoming order by all").fetchall() == [
        ("links", "bert"),
        ("mesa", "anne"),
    ]


@pytest.mark.parametrize("forgotten", ["17", "17.0"])
@pytest.mark.parametrize("delivered", ["17", "17.0", "17.00"])
def test_a_record_is_excluded_by_its_id_as_delivered_and_in_canonical_form(
    con: DuckDBPyConnection, lake: Lake, forgotten: str, delivered: str
) -> None:
    """A tombstone of an older version is that of the id as delivered then."""
    store_tombstone(con, lake, ANNE._replace(record_id=forgotten))
    con.execute("create or replace temp table tenants as select 'links' as tenant_id, 'Europe/London' as timezone")
    columns = {c.name: pa.array([None], pa.string()) for c in teetime.booking.columns}
    row = {"id": pa.array(["b"]), "tenantId": pa.array(["links"]), "playerId": pa.array([delivered])}
    con.register("raw_bookings", pa.table(columns | row))
    parse_rows(con, teetime.booking, "raw_bookings", "incoming")
    is_known = forgotten in ("17", delivered)
    assert count_excluded(con, lake, teetime.booking) == int(is_known)


def test_rows_that_refer_to_a_forgotten_record_are_excluded(con: DuckDBPyConnection, lake: Lake) -> None:
    store_tombstone(con, lake, ANNE)
    read(con, "tenant_id, 'b-' || r as id, r as player_id, 'BOOKED' as status, now() as booked_at", TWICE)
    assert count_excluded(con, lake, teetime.booking) == 1


def test_a_decision_about_a_forgotten_record_is_excluded(con: DuckDBPyConnection, lake: Lake) -> None:
    store_tombstone(con, lake, ANNE)
    sides = "'SCL' as service_a, '7' as record_id_a, 'TEETIME' as service_b, r as record_id_b"
    read(con, f"tenant_id, 'o-' || r as id, 'o-' || r as _record_key, {sides}", TWICE)
    assert count_excluded(con, lake, crm.identity_override) == 1


def test_a_golfer_removed_by_retention_who_books_again_is_excluded_for_the_last_time(
    con: DuckDBPyConnection, lake: Lake
) -> None:
    store_tombstone(con, lake, ANNE, certificate="c-0")
    for at, count in (("2026-03-08", 1), ("2026-03-08", 1), ("2026-04-08", 1), ("2026-04-08", 0), ("2026-03-08", 0)):
        book(con, f"{at}T12:00:00Z")
        assert count_excluded(con, lake, teetime.booking) == count
    assert [find_returned_tenants(con, lake, None, HOUR + timedelta(hours=hours)) for hours in (0, 1)] == [
        ["links"],
        [],
    ]


def test_a_person_forgotten_on_request_does_not_return_by_booking(con: DuckDBPyConnection, lake: Lake) -> None:
    store_tombstone(con, lake, ANNE)
    for _ in range(2):
        book(con, "2026-04-08T12:00:00Z")
        assert count_excluded(con, lake, teetime.booking) == 1


def test_a_returned_golfer_can_be_removed_and_forgotten_again(con: DuckDBPyConnection, lake: Lake) -> None:
    for certificate in ("c-0", "d-5", "e"):
        store_tombstone(con, lake, ANNE, certificate=certificate)
        book(con, "2026-04-08T12:00:00Z")
        assert count_excluded(con, lake, teetime.booking) == 1
    book(con, "2026-04-08T12:00:00Z")
    assert count_excluded(con, lake, teetime.booking) == 1


def test_money_of_a_returned_golfer_counts_in_the_timeline_from_the_next_refresh_on(
    con: DuckDBPyConnection, lake: Lake
) -> None:
    sums = [{"tenant_id": "links", "certificate_id": f"c-{n}", "year": 2020, "currency": "ZAR", "amount_cents": 10**n}
            for n in range(3)]  # fmt: skip
    assert privacy_schema.store_missing_rows(con, lake, privacy.forgotten_sums, sums) == ["links"]
    assert privacy_schema.store_missing_rows(con, lake, privacy.forgotten_sums, sums) == []
    con.execute("create temp table returning_golfers as select 'links' as tenant_id, 'c-1' as certificate_id")
    end_tombstones(con, lake, HOUR)
    totals = []
    for hours in range(2):
        store_forgotten_totals(con, lake, ["links"], HOUR + timedelta(hours=hours))
        totals += con.sql(
            f"select amount_cents from {lake.create_current_view(con, privacy.forgotten_totals)}"
        ).fetchall()
    assert totals == [(111,), (101,)]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_total_ends_at_the_limit_of_sums(con: DuckDBPyConnection, lake: Lake, sign: int) -> None:
    of_years = {2020: (MAX_SUM_CENTS, -1), 2021: (MAX_SUM_CENTS, 1), 2022: (MAX_SUM_CENTS,) * 3}
    sums = [
        {
            "tenant_id": "links",
            "certificate_id": f"c-{n}",
            "year": year,
            "currency": "ZAR",
            "amount_cents": sign * cents,
        }
        for year, amounts in of_years.items()
        for n, cents in enumerate(amounts)
    ]
    privacy_schema.store_missing_rows(con, lake, privacy.forgotten_sums, sums)
    store_forgotten_totals(con, lake, ["links"], HOUR)
    totals = lake.create_current_view(con, privacy.forgotten_totals)
    rows = con.sql(f"select year, amount_cents from {totals} order by year").fetchall()
    limit = sign * MAX_SUM_CENTS
    assert rows == [(2020, limit - sign), (2021, limit), (2022, limit)]


def test_without_tombstones_no_key_is_needed(con: DuckDBPyConnection, lake: Lake) -> None:
    read(con, "tenant_id, r as id, r as _record_key", TWICE)
    assert count_excluded(con, lake, teetime.player, None) == 0


@pytest.mark.parametrize("key", [None, "another key " * 4])
def test_without_their_key_nothing_is_read(con: DuckDBPyConnection, lake: Lake, key: str | None) -> None:
    store_tombstone(con, lake, ANNE)
    read(con, "tenant_id, r as id, r as _record_key", TWICE)
    with pytest.raises(SourceError, match="TEETIME: people were forgotten, and ERASURE_KEY is not the key"):
        count_excluded(con, lake, teetime.player, key)
