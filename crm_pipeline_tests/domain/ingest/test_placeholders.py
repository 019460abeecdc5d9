"""Words and numbers for "nothing" are none, and are named in a warning; what only looks like one is kept."""

from functools import cache
from typing import Any

import pytest
from sqlalchemy import Table

from crm_pipeline.domain.ingest.row_validation import build_faulty_rows_query, validate_rows
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline_tests.fixtures.input.delivered import AS_OF, a_connection, a_row, read

NOTHING = {
    "authUserId": (
        *("null", "NULL", "undefined", "None", "nan", "0", "0.0", "-", "N/A", "false", "anonymous", "[object Object]"),
        *("00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", " null\u200b"),
        *("-1", "\u22121", "0000", "auth0|null", "auth0:undefined", "oidc|okta|0", "auth0|", "nobody", "Default"),
        *("\\N", "#REF!", "#VALUE!", "<none>", "'null'", "(blank)", "NA", "N.A", "\u2013", "tbc", "\uff2e\uff0f\uff21"),
    ),
    "firstName": ("-", "N/A", ".", "Mr", "mrs.", "DR", "null", "Unknown", "?!", "<nil>", "\\N", '"none"', "\uff0d"),
    "lastName": ("-", "n/a", "...", "NULL", "[null]", "#N/A"),
    "email": (
        *("none@none.com", "NoEmail@club.example", "test@test.com", "no-reply@club.example", "n/a", "-", "a@a.com"),
        *("no.reply@club.example", "nobody@nowhere.example", "noaddress@club.example", "not@provided.example"),
        *("invalid@invalid.com", "a@b.com", "noemail1@club.example", "noreply+7@club.example"),
        *("mailto:none@none.com", "<none@none.com>", "'none@none.com'", "\uff4e\uff4f\uff4e\uff45@club.example"),
    ),
    "phoneNumber": (
        *("0000000000", "000-000 0000", "+44 0000000000", "1111111", "9999999999", "1234567890", "n/a"),
        *("07000000000", "07111 111111", "+44 7999 999999", "07123456789", "Mobile: 07777777777", "0000000000 x1"),
        *("000\u2013000\u20110000", "\uff10\uff10\uff10\uff10\uff10\uff10\uff10", "0000000 (none)", "()"),
    ),
    "homeClubId": ("null", "-", "undefined", "N/A", "(none)"),
}
SOMETHING = {
    "authUserId": ("null-7", "10", "nana", "u-0", "auth0|7", "-7", "_1", "none|ann"),
    "firstName": ("Nan", "Na", "Nil", "Blank", "N", "N A", "Max", "J", "Mrinal", "\u26f3"),
    "lastName": ("Nullam", "Lord", "Mr", "O", "Ref", "Blank"),
    "email": ("nonet@club.example", "test@club.example", "ana@a.example", "Na Lee <lee@club.example>", "m@x.example"),
    "phoneNumber": ("020 7946 0958", "+27 82 555 5555", "12345"[:4], "07777 000777", "020 7946 0958 x1111111"),
    "homeClubId": ("0", "none-such"),
}


@cache
def read_texts(column: str) -> dict[str, dict[str, Any]]:
    """Returns the player that each of the column's texts is read as; they are delivered together."""
    texts = dict(enumerate((*NOTHING[column], *SOMETHING[column])))
    rows = read(teetime.player, *(a_row(teetime.player, **{column: text}, id=f"p-{n}") for n, text in texts.items()))
    return {texts[int(row["_record_key"].removeprefix("p-"))]: row for row in rows}


def cases(words: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(column, text) for column, texts in words.items() for text in texts]


@pytest.mark.parametrize(("column", "text"), cases(NOTHING))
def test_a_placeholder_is_none_with_a_warning(column: str, text: str) -> None:
    row = read_texts(column)[text]
    assert (value_of(row, column), row["_problems"]) == (None, [])
    [warning] = row["_warnings"]
    assert warning.startswith(f"{column}:PLACEHOLDER:")


@pytest.mark.parametrize(("column", "text"), cases(SOMETHING))
def test_what_only_looks_like_a_placeholder_is_kept(column: str, text: str) -> None:
    row = read_texts(column)[text]
    assert (value_of(row, column), row["_warnings"]) == (text, None)


@pytest.mark.parametrize(
    ("column", "text", "quoted"),
    [
        ("email", "Ann Smith <noreply@club.example>", "noreply@club.example"),
        ("phoneNumber", "Ann's mobile: 07777 777777", "07777777777"),
        ("authUserId", "smith|null", "null"),
    ],
)
def test_a_warning_quotes_nothing_but_the_placeholder(column: str, text: str, quoted: str) -> None:
    assert read_one(teetime.player, **{column: text})["_warnings"] == [f"{column}:PLACEHOLDER:{quoted}"]


@pytest.mark.parametrize("text", ["-", "N/A", "null"])
def test_a_tag_that_says_nothing_is_set_aside(text: str) -> None:
    row = read_one(crm.profile_tag, tag=text)
    assert (row["_problems"], row["_warnings"]) == (["tag:MISSING_VALUE"], [f"tag:PLACEHOLDER:{text}"])


def test_a_record_whose_own_id_is_a_placeholder_is_set_aside() -> None:
    assert read_one(teetime.player, id="null")["_problems"] == ["id:MISSING_KEY"]
    assert read_one(scl.payment, memberId="")["_problems"] == ["memberId:MISSING_VALUE"]


@pytest.mark.parametrize("text", ["2.78256E+10", "2,78256e+10"])
def test_a_number_that_a_spreadsheet_rounded_is_no_id_and_no_phone(text: str) -> None:
    row = read_one(teetime.player, phoneNumber=text, authUserId=text)
    assert (row["phone_number"], row["auth_user_id"], row["_problems"]) == (None, None, [])
    assert row["_warnings"] == ["authUserId:ROUNDED_NUMBER", "phoneNumber:ROUNDED_NUMBER"]
    assert "id:MISSING_KEY" in read_one(teetime.player, id=text)["_problems"]


def test_the_placeholder_is_quoted_where_quarantined_records_are_read() -> None:
    con = a_connection()
    read(messaging.contact, a_row(messaging.contact, authUserId="N/A", phoneNumber="2.78256E+10"), con=con)
    validate_rows(con, messaging.contact, "read_messaging_contact", AS_OF)
    query = build_faulty_rows_query([messaging.contact], "messaging_snapshot")
    found = con.sql(f"select service_record_id, column_name, reason, value from ({query}) order by all").fetchall()
    assert found == [("ada", "authUserId", "PLACEHOLDER", "N/A"), ("ada", "phoneNumber", "ROUNDED_NUMBER", None)]
    assert con.sql("select count(*) from messaging_contact").fetchall() == [(1,)]


def read_one(table: Table, **values: str) -> dict[str, Any]:
    [row] = read(table, a_row(table, **values))
    return row


def value_of(row: dict[str, Any], column: str) -> object:
    return row[next(c.key for c in teetime.player.columns if c.name == column)]
