"""Somebody known to all four services, by words that stand nowhere else, and a club that goes on without her.

Belongs here: her rows at two hours, everything she can be known by, and the search for it. Everybody else is the
cast's.
"""

import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import UUID

import duckdb
from sqlalchemy import NullPool, create_engine, inspect, make_url, text

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline_tests.world import cast
from crm_pipeline_tests.world_rows import (
    CLUBS,
    FYNBOS,
    Row,
    answer,
    booking,
    competition,
    contact,
    handicap_update,
    lead,
    member,
    message,
    note,
    override,
    payment,
    player,
    referral,
    refund,
    suppressed,
    tag,
    tenant,
    tier_change,
    write_rows,
)

KEY: Final = "a key of the tests, long enough for anybody"
CLUB: Final = FYNBOS.slug
EMAIL: Final = "zephyrine.quillhaven@example.org"
_KEYS: Final = {"email": EMAIL, "phoneNumber": "082 911 4477", "authUserId": "account-zq-7731"}
MEMBER: Final = member(987_654_321_012, FYNBOS, "Zephyrine Quillhaven", "2023-03-01", renewsOn="2026-07-01", **_KEYS)
PLAYER: Final = player("zq-7732", FYNBOS, "Zephyrine Quillhaven", **(_KEYS | {"phoneNumber": "+27 (0)82-911-4477"}))
CONTACT: Final = contact("zq-7733", FYNBOS, "Zephyrine Quillhaven", authUserId="account-zq-7731")
LEAD: Final = lead("zq-7734", FYNBOS, "Ottolinda Quillhaven", email=EMAIL.upper())
FRIEND: Final = member(18, FYNBOS, "Thandi Molefane", "2020-09-01")
PIETER: Final = member(11, FYNBOS, "Pieter Kruisveld", "2021-07-01")
NAMESAKE: Final = contact("pieter-far", CLUBS[1], "Pieter Kruisveld", email="kruisvelds@example.com")
"""With the email of the Kruisvelds of Fynbos Links, at another club."""

WORDS: Final = (
    b"zephyrine",
    b"quillhaven",
    b"ottolinda",
    b"9114477",
    b"911 4477",
    b"911-4477",
    b"zq-77",
    b"987654321012",
    b"987654321013",
    struct.pack("<q", 987_654_321_012),
    *(form for row in (MEMBER, CONTACT) for form in (row.profile_id.encode(), UUID(row.profile_id).bytes)),
)
"""Names, email, phone and account in every spelling, record and profile ids, as text and in binary."""


def her_rows() -> Iterator[Row]:
    """All she did; her contact was somebody else until the club learned her account."""
    paid = payment(MEMBER, "2025-07-01", 120_000, description="Fee of Zephyrine")
    played = booking(PLAYER, "2026-03-08", cents=16_000)
    yield from (MEMBER, PLAYER, CONTACT, LEAD, paid, refund(paid, MEMBER, "2025-08-01", 20_000), played)
    yield tier_change(MEMBER, "2024-03-01", "Five-day", "Full")
    yield from (handicap_update(PLAYER, "2026-01-04", 20.1, 19.8), competition(PLAYER, "2026-02-07", "Quillhaven Cup"))
    yield from (message(CONTACT, "2026-03-11"), message(CONTACT, "2026-03-12", "CLICKED", url="https://x/zq-7733"))
    yield from (note(MEMBER, "2026-03-13", "Zephyrine likes tea."), tag(MEMBER, "2026-03-14", "zq-77-vip"))
    yield from (answer(CONTACT, "2026-03-15", "RESPONDED"), referral(MEMBER, FRIEND, "2026-03-16"))
    yield referral(FRIEND, MEMBER, "2026-03-17")
    yield override(PLAYER, player("anke-kruisveld", FYNBOS, "Anke Kruisveld"), "NEVER", "Zephyrine is not Anke")
    yield suppressed(FYNBOS, "PHONE", "(082) 911 4477", "Her own, listed by mistake")
    yield MEMBER.but(id=987_654_321_013, membershipStatus="GOLD", authUserId=None)  # set aside
    yield CONTACT.but(id=None, email=EMAIL, authUserId=None)  # set aside, without an id
    yield booking(PLAYER, "2026-03-09").but(teeTimeAt="2026-02-30T15:00:00Z")  # set aside


def write_clubs(out: Path, *, is_later: bool) -> None:
    """The clubs; later her contact is known to be hers, and her member's row has changed."""
    rows = [*map(tenant, CLUBS), *cast(), NAMESAKE, *her_rows()]
    if not is_later:
        rows = [row.but(authUserId=None, firstName="Zephyrine-Mae") if row is CONTACT else row for row in rows]
    else:
        rows = [
            row.but(membershipTier="Gold", updatedAt="2026-04-01T09:00:00Z") if row is MEMBER else row for row in rows
        ]
    write_rows(out, rows)


def traces(home: Path, words: tuple[bytes, ...] = WORDS) -> dict[str, set[bytes]]:
    """Every place under a home in which a word stands, in any case: files as bytes, Parquet files and tables read."""
    found = dict(_in_files(home, words))
    server = EmbeddedPostgres(home)
    for database in ("crm", "dagster"):
        engine = create_engine(make_url(server.url("postgres")).set(database=database), poolclass=NullPool)
        with engine.connect() as connection:
            for schema in ("crm", "privacy", "public", "pg_catalog"):
                for table in inspect(connection).get_table_names(schema=schema):
                    rows = connection.execute(text(f'select t::text from {schema}."{table}" t')).scalars()
                    found[f"{database}.{schema}.{table}"] = _standing("\n".join(map(str, rows)).encode(), words)
    return {place: standing for place, standing in found.items() if standing}


def _in_files(home: Path, words: tuple[bytes, ...]) -> Iterator[tuple[str, set[bytes]]]:
    with closing(duckdb.connect()) as con:
        for file in (path for path in home.rglob("*") if path.is_file()):
            place = str(file.relative_to(home))
            standing = _standing(file.read_bytes(), words)
            if file.suffix == ".parquet":
                rows = con.sql(f"select cast(t as varchar) from read_parquet('{file}') t").fetchall()
                standing |= _standing("\n".join(row for (row,) in rows).encode(), words)
            yield place, standing


def _standing(content: bytes, words: tuple[bytes, ...]) -> set[bytes]:
    lower = content.lower()
    return {word for word in words if word in (content if not word.isascii() else lower)}
