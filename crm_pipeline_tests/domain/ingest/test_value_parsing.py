"""The meaning of a delivered value, by kind of column: the value itself, or `column:REASON`."""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from sqlalchemy import Table

from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.input.delivered import LINKS, Delivered, Read, a_connection, a_row, read

TEXTS = {
    "Ada": "Ada",
    " Ada ": "Ada",
    "": None,
    "null": None,
    "Nullam": "Nullam",
    "0044 1234": "0044 1234",
    "2026-01-01": "2026-01-01",
    "1.50": "1.50",
    "Ærø\n\U0001f3cc\ufe0f": "Ærø \U0001f3cc\ufe0f",
    "'; drop table tenants; --": "'; drop table tenants; --",
    "x" * 200: "x" * 200,
    "🏌" * 200: "🏌" * 200,  # characters are counted, not bytes
    "x" * 201: "firstName:TOO_LONG",
    "A\0da": "firstName:NUL_BYTE",
    "\0": "firstName:NUL_BYTE",
}
INTEGERS = {
    "0": 0,
    "-12": -12,
    "+12": 12,
    "007": 7,
    "12.0": 12,  # pandas writes whole numbers with gaps like this
    "": None,
    "1000000": 1_000_000,
    "-1000001": "position:OUT_OF_RANGE",
    "9223372036854775807": "position:OUT_OF_RANGE",
    "9223372036854775808": "position:NOT_A_NUMBER",
    "12.5": "position:NOT_A_NUMBER",
    "1e3": "position:NOT_A_NUMBER",
    "1,000": "position:NOT_A_NUMBER",
    "1_000": "position:NOT_A_NUMBER",
    " 12\t": 12,
    "0x1F": "position:NOT_A_NUMBER",
    "twelve": "position:NOT_A_NUMBER",
    "١٢": "position:NOT_A_NUMBER",
}
CENTS = {
    "0": 0,
    "120000": 120_000,
    "": None,
    "10000000000000": 10**13,
    "10000000000001": "yearlyFeeCents:OUT_OF_RANGE",
    "-1": "yearlyFeeCents:NEGATIVE_AMOUNT",
    "12.50": "yearlyFeeCents:NOT_A_NUMBER",
    "£12": "yearlyFeeCents:NOT_A_NUMBER",
}
HANDICAPS = {
    "12.4": Decimal("12.4"),
    "-3": Decimal("-3.0"),
    "-0.0": Decimal("0.0"),
    "54": Decimal("54.0"),
    "12.300": Decimal("12.3"),
    "12.34": "handicap:NOT_A_NUMBER",  # it would have to be rounded
    "12.3000000000000001": "handicap:NOT_A_NUMBER",
    "+1.5": "handicap:NOT_A_NUMBER",  # a golfer means -1.5
    "1e1": "handicap:NOT_A_NUMBER",
    "": None,
    "12,4": "handicap:NOT_A_NUMBER",
    "99999": "handicap:NOT_A_NUMBER",
    "NaN": "handicap:NOT_A_NUMBER",
    "scratch": "handicap:NOT_A_NUMBER",
}
FRACTIONS = {
    "0.9": 0.9,
    "1": 1.0,
    "9e-1": 0.9,
    "": None,
    "90%": "minConfidence:NOT_A_NUMBER",
    "inf": "minConfidence:NOT_A_NUMBER",
    "nan": "minConfidence:NOT_A_NUMBER",
}
BOOLEANS = {
    "true": True,
    "false": False,
    "TRUE": True,
    "False": False,
    "": "emailOptIn:MISSING_VALUE",
    "t": "emailOptIn:NOT_A_BOOLEAN",
    "1": "emailOptIn:NOT_A_BOOLEAN",
    "yes": "emailOptIn:NOT_A_BOOLEAN",
    " true": True,
}
STATUSES = {
    "ACTIVE": "ACTIVE",
    "active": "membershipStatus:UNKNOWN_VALUE",
    "GOLD": "membershipStatus:UNKNOWN_VALUE",
    "": "membershipStatus:MISSING_VALUE",
}
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
TIMES = {
    "2026-07-01T12:00:00Z": NOON,
    "2026-07-01 12:00:00": NOON,  # without an offset it is UTC, whatever the club's time zone
    "2026-07-01T12:00": NOON,
    "2026-07-01T14:00:00+02:00": NOON,
    "2026-07-01T05:00:00-0700": NOON,
    "2026-07-01 14:00:00+02": NOON,
    "2026-07-01T12:00:00.25Z": NOON.replace(microsecond=250_000),
    "2026-07-01T12:00:00.123456789Z": NOON.replace(microsecond=123_456),
    "1900-01-01T00:00:00Z": datetime(1900, 1, 1, tzinfo=UTC),
    "2199-12-31T23:59:59Z": datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC),
    "2200-01-01T00:00:00Z": None,  # an open end
    "9999-12-31T23:59:59Z": None,
    "": None,
    "1899-12-31T23:59:59Z": "dueAt:NOT_A_TIME",
    "0000-01-01T00:00:00Z": "dueAt:NOT_A_TIME",
    "2026-02-30T12:00:00Z": "dueAt:NOT_A_TIME",
    "2026-07-01T25:00:00Z": "dueAt:NOT_A_TIME",
    "2026-07-01T12:00:00+25:00": "dueAt:NOT_A_TIME",
    "2026-07-01T12:00:00 Europe/London": "dueAt:NOT_A_TIME",
    "01/07/2026": "dueAt:NOT_A_TIME",
    "1751371200": "dueAt:NOT_A_TIME",
    "infinity": "dueAt:NOT_A_TIME",
    "2026-07": "dueAt:NOT_A_TIME",
}
OPEN_ENDS = {
    "2026-07-01T12:00:00Z": NOON,
    "2199-12-31T23:59:59Z": datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC),
    "2199-12-31": datetime(2199, 12, 31, tzinfo=UTC),
    "2200-01-01T00:00:00Z": None,
    "2200-01-01": None,
    "2299-12-31": None,
    "9999-12-31": None,
    "9999-12-31T23:59:59Z": None,
    "9999-12-31 23:59:59.999999+14": None,
    "": None,
    "1899-12-31T23:59:59Z": "endedAt:NOT_A_TIME",
    "9999-02-30": "endedAt:NOT_A_TIME",
    "99999-12-31": "endedAt:NOT_A_TIME",
    "infinity": "endedAt:NOT_A_TIME",
    "never": "endedAt:NOT_A_TIME",
}
"""Ends of contracts; from 2200 on there is none."""
DAYS = {
    "2026-07-01": date(2026, 7, 1),
    "2024-02-29": date(2024, 2, 29),
    "2026-06-30T23:30:00Z": date(2026, 7, 1),  # already the next day in London
    "2026-12-31T23:30:00Z": date(2026, 12, 31),
    "": None,
    "2026-02-29": "renewsOn:NOT_A_TIME",
    "1899-12-31": "renewsOn:NOT_A_TIME",
    "9999-12-31": None,
    "1 July 2026": "renewsOn:NOT_A_TIME",
    "20260701": "renewsOn:NOT_A_TIME",
}
KINDS: list[tuple[Table, str, dict[str, Any]]] = [
    (teetime.player, "firstName", TEXTS),
    (teetime.competition_entry, "position", INTEGERS),
    (scl.member, "yearlyFeeCents", CENTS),
    (teetime.player, "handicap", HANDICAPS),
    (crm.tenant, "minConfidence", FRACTIONS),
    (messaging.contact, "emailOptIn", BOOLEANS),
    (scl.member, "membershipStatus", STATUSES),
    (scl.payment, "dueAt", TIMES),
    (scl.member, "endedAt", OPEN_ENDS),
    (scl.member, "renewsOn", DAYS),
]
CASES = [(table, column, text, means) for table, column, texts in KINDS for text, means in texts.items()]
MIDNIGHTS = [
    ("America/Los_Angeles", "2026-01-15", "2026-01-15T08:00:00Z"),
    ("America/Los_Angeles", "2026-07-15", "2026-07-15T07:00:00Z"),
    ("Europe/London", "2026-03-29", "2026-03-29T00:00:00Z"),  # the clocks go forward an hour later
    ("Europe/London", "2026-03-30", "2026-03-29T23:00:00Z"),
    ("Pacific/Auckland", "2026-01-15", "2026-01-14T11:00:00Z"),
    ("Asia/Kolkata", "2026-01-15", "2026-01-14T18:30:00Z"),
    ("Atlantic/Azores", "2025-10-26", "2025-10-26T00:00:00Z"),  # midnight comes twice, an hour apart
    ("Atlantic/Azores", "2025-10-25", "2025-10-25T00:00:00Z"),
    ("Atlantic/Azores", "2025-10-27", "2025-10-27T01:00:00Z"),
    ("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z"),  # twice
    ("America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"),  # twice: at 00:01 the clocks went back to 23:01
    ("Asia/Amman", "2021-10-29", "2021-10-28T21:00:00Z"),  # twice, the day after the night of the change
    ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z"),  # never: the first later instant is one o'clock
    ("America/Santiago", "2025-09-07", "2025-09-07T04:00:00Z"),  # never
    ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),  # a whole day that never was
]
ENTRY = {
    "id": "cup",
    "tenantId": "links",
    "playerId": "ada",
    "competition": "Spring Cup",
    "enteredAt": "2026-01-01T00:00:00Z",
    "updatedAt": "2026-01-01T00:00:00Z",
}


def one(table: Table, **values: str) -> Delivered:
    return ENTRY | values if table is teetime.competition_entry else a_row(table, **values)


@cache
def read_texts(table: Table, column: str) -> dict[str, Read]:
    """Returns the row that each of the column's texts is read as; they are delivered together."""
    [texts] = [texts for kind, name, texts in KINDS if (kind, name) == (table, column)]
    texts_by_id = {str(number): text for number, text in enumerate(texts, start=1)}
    rows = read(table, *(one(table, **{column: text, "id": key}) for key, text in texts_by_id.items()))
    return {texts_by_id[row["_record_key"]]: row for row in rows}


@pytest.mark.parametrize(
    ("table", "column", "text", "means"), CASES, ids=[f"{column}-{text[:30]!a}" for _, column, text, _ in CASES]
)
def test_a_delivered_text_is_a_value_or_a_fault(table: Table, column: str, text: str, means: object) -> None:
    row = read_texts(table, column)[text]
    if isinstance(means, str) and means.startswith(f"{column}:"):
        assert row["_problems"] == [means]
    else:
        assert (row[table.columns[_key(table, column)].key], row["_problems"]) == (means, [])


def _key(table: Table, column: str) -> str:
    return next(c.key for c in table.columns if c.name == column)


@pytest.mark.parametrize(("zone", "day", "begins"), MIDNIGHTS)
def test_a_date_alone_is_midnight_in_the_clubs_time_zone(zone: str, day: str, begins: str) -> None:
    con = a_connection(LINKS._replace(timezone=zone))
    [row] = read(scl.member, a_row(scl.member, endedAt=day, renewsOn=day), con=con)
    assert row["ended_at"] == datetime.fromisoformat(begins)
    assert row["renews_on"] == date.fromisoformat(day)


def test_an_open_end_begins_with_the_clubs_own_year_2200() -> None:
    con = a_connection(LINKS._replace(timezone="Pacific/Auckland"))
    times = ("2199-12-31T10:59:59Z", "2199-12-31T11:00:00Z", "2200-01-01")
    rows = read(scl.member, *(a_row(scl.member, id=str(n), endedAt=at) for n, at in enumerate(times)), con=con)
    assert [row["ended_at"] for row in rows] == [datetime.fromisoformat(times[0]), None, None]
    assert [row["_problems"] for row in rows] == [[]] * 3


def test_a_date_alone_of_no_known_club_is_midnight_in_utc() -> None:
    [row] = read(scl.member, a_row(scl.member, tenantId="nowhere", endedAt="2026-07-15"))
    assert row["ended_at"] == datetime(2026, 7, 15, tzinfo=UTC)


def test_a_recorded_time_too_far_ahead_is_validated_by_the_hour_later() -> None:
    [row] = read(scl.member, a_row(scl.member, createdAt="9999-12-30T00:00:00Z"))
    assert (row["created_at"], row["_problems"]) == (datetime(9999, 12, 30, tzinfo=UTC), [])
