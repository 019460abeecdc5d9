"""What a reader's rights and settings or a database's encoding would leave out or change is said, or makes no odds."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url

from crm_pipeline.domain.ingest.row_validation import parse_rows
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.sources.delivery import DeliveredTable, ExtractionRequest, SourceError
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.tables.sources import messaging
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.input.delivered import a_connection
from crm_pipeline_tests.fixtures.servers.service_databases import administer, spare_the_disk

TABLE = messaging.contact
NAMES = [column.name for column in TABLE.columns]
COLUMNS = ", ".join(f'"{name}"' for name in NAMES)
TEXT_COLUMNS = ", ".join(f'"{name}" text' for name in [*NAMES, "note"])
CREATE = f'create table "Contact" ({TEXT_COLUMNS})'
TWO_CLUBS = """insert into "Contact" (id, "tenantId", "lastName") values ('7', 'links', 'Lee'), ('8', 'mesa', 'Ito')"""
HIDE = 'create policy own on "Contact" to public using ("tenantId" = \'links\')'
READER = "reader"
_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("rights"))
    server.start()
    spare_the_disk(server)
    administer(server, f"create role {READER} login password 'open'")
    yield server
    server.stop()


@pytest.fixture
def encoded(server: EmbeddedPostgres) -> Iterator[Callable[[str], Engine]]:
    """Makes a database with two contacts in an encoding, and connects to it as the superuser."""
    engines = []

    def make(encoding: str) -> Engine:
        name = f"rights_{next(_numbers)}"
        administer(server, f"create database {name} template template0 locale 'C' encoding '{encoding}'")
        url = make_url(server.url("postgres")).set(database=name)
        engines.append(create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"client_encoding": "utf8"}))
        run(engines[-1], CREATE, TWO_CLUBS, f'grant select on "Contact" to {READER}')
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()
    administer(server, f"alter role {READER} reset all", f"alter role {READER} nobypassrls")


@pytest.fixture
def engine(encoded: Callable[[str], Engine]) -> Engine:
    """A database of the test's own, in UTF-8."""
    return encoded("UTF8")


def run(engine: Engine, *statements: str) -> None:
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def url_of(engine: Engine, role: str = READER) -> str:
    return engine.url.set(username=role, password="open").render_as_string(hide_password=False)


def read(url: str, request: ExtractionRequest | None = None) -> tuple[dict[str, dict[str, Any]], DeliveredTable]:
    """Per id, the contacts of a database; and what was delivered."""
    with closing(a_connection()) as con:
        sources = Sources({Service.MESSAGING: url})
        delivery = sources.read_snapshot(con, Service.MESSAGING, request or ExtractionRequest(), only_table=TABLE)
        parse_rows(con, TABLE, delivery.tables["Contact"].relation, "read")
        found = con.sql("from read")
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        return {row["id"]: row for row in rows}, delivery.tables["Contact"]


def refused(url: str) -> str:
    with pytest.raises(SourceError) as error:
        read(url)
    return str(error.value)


SECURED = (
    'MESSAGING: table "Contact" cannot be read: row-level security would hide rows of it;'
    " grant the role BYPASSRLS, or read as the owner"
)
UNREADABLE = (
    'MESSAGING: table "Contact" cannot be read:'
    " grant the role SELECT on all that it reads, and BYPASSRLS where row-level security is on"
)


@pytest.mark.parametrize(
    "policies",
    [
        [HIDE],
        [],  # without a policy every row is hidden
        ['create policy every on "Contact" to public using (true)'],
        [HIDE, f"alter role {READER} set row_security = on"],
    ],
)
def test_rows_that_a_policy_may_hide_are_not_taken_for_gone(engine: Engine, policies: list[str]) -> None:
    run(engine, 'alter table "Contact" enable row level security', *policies)
    assert refused(url_of(engine)) == SECURED
    assert refused(f"{url_of(engine)}?options=-crow_security%3Don") == SECURED
    run(engine, f"alter role {READER} bypassrls")
    assert set(read(url_of(engine))[0]) == {"7", "8"}


def test_an_owner_is_hidden_nothing_but_by_force(engine: Engine) -> None:
    run(engine, f'alter table "Contact" owner to {READER}', 'alter table "Contact" enable row level security', HIDE)
    assert set(read(url_of(engine))[0]) == {"7", "8"}
    run(engine, 'alter table "Contact" force row level security')
    assert refused(url_of(engine)) == SECURED


@pytest.mark.parametrize("options", ["", "with (security_invoker)"])
def test_a_policy_under_a_view_is_found_where_it_counts(engine: Engine, options: str) -> None:
    """A view is read with its owner's rights, or the reader's."""
    run(
        engine,
        'alter table "Contact" rename to people',
        HIDE.replace('"Contact"', "people"),
        "alter table people enable row level security",
        f'create view "Contact" {options} as select * from people',
        f'grant select on "Contact" to {READER}',
    )
    if options:
        assert refused(url_of(engine)) == UNREADABLE
        run(engine, f"revoke select on people from {READER}")
        assert refused(url_of(engine)) == UNREADABLE
    else:
        assert set(read(url_of(engine))[0]) == {"7", "8"}


def test_a_policy_of_a_partition_hides_nothing_of_the_whole(engine: Engine) -> None:
    run(
        engine,
        'alter table "Contact" rename to links',
        'create table "Contact" (like links) partition by list ("tenantId")',
        "delete from links where \"tenantId\" <> 'links'",
        """alter table "Contact" attach partition links for values in ('links')""",
        """create table mesa partition of "Contact" for values in ('mesa')""",
        """insert into "Contact" (id, "tenantId") values ('8', 'mesa')""",
        "alter table links enable row level security",
        "create policy none on links using (false)",
        f'grant select on "Contact" to {READER}',
    )
    assert set(read(url_of(engine))[0]) == {"7", "8"}
    run(engine, 'alter table "Contact" enable row level security')
    assert refused(url_of(engine)) == SECURED


def test_columns_that_may_not_be_read_are_named(engine: Engine) -> None:
    run(engine, f'revoke select on "Contact" from {READER}')
    assert refused(url_of(engine)) == 'MESSAGING: table "Contact" cannot be read: grant the role SELECT on it'
    granted = COLUMNS.replace('"email", ', "").replace('"updatedAt"', "note")
    run(engine, f'grant select ({granted}) on "Contact" to {READER}')
    said = 'MESSAGING: table "Contact" cannot be read: grant the role SELECT on column email, updatedAt'
    assert refused(url_of(engine)) == said


def test_a_right_to_the_declared_columns_is_all_it_takes(engine: Engine) -> None:
    """Nor is the right to see which transaction wrote a row needed: without it every row is read every hour."""
    run(engine, f'revoke select on "Contact" from {READER}', f'grant select ({COLUMNS}) on "Contact" to {READER}')
    with closing(a_connection()) as con:
        sources = Sources({Service.MESSAGING: url_of(engine)})
        before = sources.read_snapshot(con, Service.MESSAGING, only_table=TABLE)
    request = ExtractionRequest(since=before.horizon)
    rows, delivered = read(url_of(engine), request)
    assert set(rows) == {"7", "8"}
    assert delivered.is_full
    run(engine, f'grant select (xmin) on "Contact" to {READER}')
    assert not read(url_of(engine), request)[1].is_full


@pytest.mark.parametrize(
    ("kind", "value", "setting"),
    [
        ("timestamptz", "2026-07-01 12:00+00", "TimeZone = 'Asia/Tokyo'"),
        ("date", "2026-07-01", "DateStyle = 'SQL, DMY'"),
        ("float8", "17.1", "extra_float_digits = -10"),
        ("bytea", "\\x416461", "bytea_output = escape"),
        ("interval", "1 day 02:03:04", "IntervalStyle = iso_8601"),
    ],
)
@pytest.mark.parametrize("owner", [f"role {READER}", "database {name}"])
def test_a_setting_of_the_reader_changes_nothing_that_is_read(
    engine: Engine, kind: str, value: str, setting: str, owner: str
) -> None:
    run(engine, f'alter table "Contact" alter "firstName" type {kind} using %s' % f"'{value}'::{kind}")
    before, _ = read(url_of(engine))
    run(engine, f"alter {owner.format(name=engine.url.database)} set {setting}")
    assert read(url_of(engine))[0] == before


def test_a_club_with_a_backslash_is_found_whatever_the_reader_calls_a_literal(engine: Engine) -> None:
    run(engine, """update "Contact" set "tenantId" = 'a\\nb' where id = '7'""")
    run(engine, f"alter role {READER} set standard_conforming_strings = off")
    assert set(read(url_of(engine), ExtractionRequest(tenants=["a\\nb"]))[0]) == {"7"}


def test_rows_of_nulls_and_white_space_are_ignored_and_counted(engine: Engine) -> None:
    run(engine, "insert into \"Contact\" (note) values (null), ('only a note')")
    run(engine, """insert into "Contact" (id, "lastName") values ('', ' \u00a0\t\u3000')""")
    rows, delivered = read(url_of(engine))
    assert set(rows) == {"7", "8"}
    assert delivered.ignored_rows == 3


@pytest.mark.parametrize(
    ("encoding", "name"), [("LATIN1", "Zoë"), ("WIN1252", "Zoë “Ace”"), ("EUC_JP", "山田"), ("UTF8", "🏌")]
)
@pytest.mark.parametrize("asked", ["", "?client_encoding=latin1"])
def test_letters_are_the_same_in_every_encoding(
    encoded: Callable[[str], Engine], encoding: str, name: str, asked: str
) -> None:
    engine = encoded(encoding)
    run(engine, f"""update "Contact" set "lastName" = '{name}'""")
    assert {row["last_name"] for row in read(url_of(engine) + asked)[0].values()} == {name}
    run(engine, f"alter database {engine.url.database} set client_encoding = 'SQL_ASCII'")
    assert {row["last_name"] for row in read(url_of(engine) + asked)[0].values()} == {name}


def test_bytes_in_no_encoding_are_refused_unless_they_are_utf_8(encoded: Callable[[str], Engine]) -> None:
    engine = encoded("SQL_ASCII")
    run(engine, """update "Contact" set "lastName" = E'Zo\\xc3\\xab'""")
    assert {row["last_name"] for row in read(url_of(engine))[0].values()} == {"Zoë"}
    run(engine, """update "Contact" set "lastName" = E'Zo\\xeb' where id = '8'""")
    assert refused(url_of(engine)) == 'MESSAGING: table "Contact" cannot be read: it has text that is not UTF-8'


def test_a_byte_that_has_no_letter_is_refused(encoded: Callable[[str], Engine]) -> None:
    engine = encoded("WIN1252")
    run(engine, """update "Contact" set "lastName" = E'Zo\\x81' where id = '8'""")
    said = "it has text that is not UTF-8, and that PostgreSQL cannot convert to it"
    assert refused(url_of(engine)) == f'MESSAGING: table "Contact" cannot be read: {said}'
