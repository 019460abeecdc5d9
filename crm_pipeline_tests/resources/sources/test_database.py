"""A service's own PostgreSQL is read in one transaction, exactly, and never written."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Table, create_engine, make_url, text

from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.postgres.source_databases import load_table
from crm_pipeline.resources.sources.sources import SourceError, Sources
from crm_pipeline.tables.columns import find_table_service, source_metadata
from crm_pipeline.tables.sources import crm, scl, teetime
from crm_pipeline_tests.fixtures.input.delivered import a_connection
from crm_pipeline_tests.fixtures.servers.service_databases import spare_the_disk

_numbers = count(1)
BOOKING = """
    create type booking_status as enum ('BOOKED', 'PLAYED', 'CANCELLED', 'NO_SHOW');
    create table "Booking" (
        id uuid, "tenantId" varchar(40), "playerId" char(3), "courseId" json, "teeTimeAt" timestamp,
        "bookedAt" timestamptz, status booking_status, players smallint, "priceCents" numeric(20, 2), currency text,
        "paidAt" date, "updatedAt" timestamptz, dropped int, "somethingNew" int[]);
    alter table "Booking" drop column dropped;
    insert into "Booking" values (
        '5f1d7a84-3c2e-4a57-9a0e-000000000001', 'links', 'ada', '{"holes": 18}', '2026-07-01 12:00',
        '2026-07-01 12:00+02', 'PLAYED', 3, 9999999999999.00, null, '2026-07-01', '2026-03-29 01:30:00.123456Z')"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("services"))
    server.start()
    spare_the_disk(server)
    yield server
    server.stop()


@pytest.fixture
def engine(server: EmbeddedPostgres) -> Iterator[Engine]:
    """A database of the test's own, as its owner."""
    name = f"service_{next(_numbers)}"
    administration = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    run(administration, f"create database {name} owner crm_pipeline")
    administration.dispose()
    engine = create_engine(make_url(server.url("crm")).set(database=name), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def run(engine: Engine, *statements: str) -> None:
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def rows(url: str, table: Table) -> list[dict[str, Any]]:
    """Returns the parsed rows of a source table."""
    with closing(a_connection()) as con:
        raw = (
            Sources({find_table_service(table): url})
            .read_snapshot(con, find_table_service(table), only_table=table)
            .tables[table.name]
            .relation
        )
        parse_rows(con, table, raw, "read")
        found = con.sql("select * from read order by _record_key")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def refused(url: str, table: Table = teetime.booking) -> str:
    with pytest.raises(SourceError) as error:
        rows(url, table)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_database_gives_the_same_rows_as_a_file(engine: Engine, tmp_path: Path) -> None:
    members = """id,tenantId,authUserId,email,phoneNumber,firstName,lastName,membershipTier,membershipStatus,joinedAt,\
renewsOn,endedAt,noticeGivenAt,yearlyFeeCents,createdAt,updatedAt
7,links,,,"07911 100100","Ada ""Ace"" A.","Ærø,
Bülow",,ACTIVE,2020-01-01T00:00:00Z,2026-07-01,,,120000,2020-01-01T00:00:00Z,2026-03-29T01:30:00.123456Z
8,mesa,,,,Bob,,,GOLD,2020-01-01T00:00:00Z,,,,-5,2020-01-01T00:00:00Z,2020-01-01T00:00:00Z
"""
    clubs = """id,name,countryCode,currency,timezone,status,minConfidence,updatedAt
links,The Links,GB,GBP,Europe/London,ACTIVE,0.9,2025-01-01T00:00:00Z
"""
    for table, rows_ in ((scl.member, members), (crm.tenant, clubs)):
        file = tmp_path / f"{table.name}.csv"
        file.write_text(rows_, encoding="utf-8")
        load_table(engine, table, file)
        assert rows(url_of(engine), table) == rows(str(tmp_path), table)
        assert len(rows(url_of(engine), table)) == rows_.count("Z\n")


def test_a_databases_own_types_come_exactly(engine: Engine) -> None:
    run(engine, BOOKING)
    [row] = rows(url_of(engine), teetime.booking)
    assert row["_problems"] == []
    assert {key: row[key] for key in ("id", "player_id", "course_id", "status", "players", "price_cents")} == {
        "id": "5f1d7a84-3c2e-4a57-9a0e-000000000001",
        "player_id": "ada",
        "course_id": '{"holes": 18}',
        "status": "PLAYED",
        "players": 3,
        "price_cents": 9_999_999_999_999,
    }
    assert row["tee_time_at"] == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert row["booked_at"] == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert row["paid_at"] == datetime(2026, 6, 30, 23, tzinfo=UTC)  # the day begins in London
    assert row["updated_at"] == datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize("never", ["infinity", "-infinity", "4000-01-01 BC", "294276-01-01", "0001-01-01"])
def test_times_nobody_means_are_quarantined(engine: Engine, never: str) -> None:
    run(engine, BOOKING, f"""update "Booking" set "teeTimeAt" = '{never}', "updatedAt" = '{never}'""")
    [row] = rows(url_of(engine), teetime.booking)
    assert "teeTimeAt:NOT_A_TIME" in row["_problems"]


def test_a_date_nobody_means_is_quarantined(engine: Engine) -> None:
    run(engine, BOOKING, """update "Booking" set "paidAt" = 'infinity'""")
    assert rows(url_of(engine), teetime.booking)[0]["_problems"] == ["paidAt:NOT_A_TIME"]


def test_a_fraction_of_a_cent_is_no_amount(engine: Engine) -> None:
    run(engine, BOOKING, """update "Booking" set "priceCents" = 12.5""")
    assert rows(url_of(engine), teetime.booking)[0]["_problems"] == ["priceCents:NOT_A_NUMBER"]


def test_an_empty_table_has_no_rows(engine: Engine) -> None:
    run(engine, BOOKING, 'delete from "Booking"')
    assert rows(url_of(engine), teetime.booking) == []


def test_missing_tables_and_columns_are_named(engine: Engine) -> None:
    assert refused(url_of(engine)) == 'TEETIME: the database has no table "Booking"'
    run(engine, BOOKING, 'alter table "Booking" drop column players, drop column status')
    assert refused(url_of(engine)) == 'TEETIME: table "Booking" has no column status, players'


def test_all_tables_are_of_one_moment(engine: Engine) -> None:
    """A payment that is committed while the members are being read is not seen."""
    source_metadata.create_all(engine, [scl.tier_change, scl.payment])
    columns = ", ".join(f'null::text as "{column.name}"' for column in scl.member.columns)
    run(engine, f'create view "Member" as select {columns} from pg_advisory_xact_lock_shared(1)')
    paid = """insert into "Payment" (id, "tenantId", "memberId", kind, "amountCents", currency, status, "updatedAt")
              values ('fee', 'links', 7, 'PAYMENT', 5000, 'GBP', 'PENDING', now())"""
    service = find_table_service(scl.payment)
    with closing(a_connection()) as con, ThreadPoolExecutor() as meanwhile:
        with engine.connect() as gate:
            gate.execute(text("select pg_advisory_lock(1)"))
            reading = meanwhile.submit(Sources({service: url_of(engine)}).read_snapshot, con, service)
            while not gate.scalar(text("select count(*) from pg_locks where locktype = 'advisory' and not granted")):
                assert not reading.done()
                time.sleep(0.01)
            run(engine, paid)
            gate.execute(text("select pg_advisory_unlock(1)"))
        raw = reading.result().tables["Payment"].relation
        assert con.sql(f"from {raw}").fetchall() == []
    assert len(rows(url_of(engine), scl.payment)) == 1


def test_nothing_is_ever_written_to_a_source(engine: Engine) -> None:
    columns = ", ".join(f'written() as "{column.name}"' for column in teetime.booking.columns)
    body = "begin insert into written values (1); return 'x'; end"
    run(
        engine,
        "create table written (i int)",
        f"create function written() returns text language plpgsql as $$ {body} $$",
        f'create view "Booking" as select {columns}',
    )
    assert refused(url_of(engine)) == 'TEETIME: table "Booking" cannot be read: a function that it calls writes'
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from written").scalar() == 0


def test_a_server_that_fails_halfway_stops_the_service_with_one_line(engine: Engine) -> None:
    columns = ", ".join(f'(1 / (200000 - i))::text as "{column.name}"' for column in teetime.booking.columns)
    run(engine, f'create view "Booking" as select {columns} from generate_series(1, 300000) as i')
    said = 'TEETIME: table "Booking" cannot be read: PostgreSQL reports SQLSTATE 22012'
    assert refused(url_of(engine)) == said


def test_a_servers_own_words_are_not_passed_on(engine: Engine) -> None:
    columns = ", ".join(f"(i || 'secret')::int::text as \"{column.name}\"" for column in teetime.booking.columns)
    run(engine, f'create view "Booking" as select {columns} from generate_series(1, 2) as i')
    assert refused(url_of(engine)) == 'TEETIME: table "Booking" cannot be read: PostgreSQL reports SQLSTATE 22P02'
