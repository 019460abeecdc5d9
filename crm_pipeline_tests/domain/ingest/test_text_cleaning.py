"""What is left of a delivered text, and the one form that every spelling of an id has."""

import re
import unicodedata
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.domain.ingest.text_cleaning import (
    build_blank_condition,
    build_canonical_id_sql,
    build_contact_sql,
    build_line_sql,
    build_paragraphs_sql,
    build_text_sql,
    build_whole_number_id_sql,
)

LINES = {
    "Ada": "Ada",
    "": None,
    " \t\u00a0\u3000": None,
    "\u200b": None,
    "\u3164": None,  # a Hangul letter that prints as nothing
    "\u2800": None,
    "u-7\t": "u-7",
    "\ufeffu-7\u200b": "u-7",
    "A\u00adda": "Ada",  # a soft hyphen
    "Ada\r\nLovelace": "Ada Lovelace",
    "Ada\u2028Lovelace\x85": "Ada Lovelace",
    "Ada  Lovelace": "Ada  Lovelace",
    "Jose\u0301": "Jos\u00e9",
    "e\u200d\u0301": "\u00e9",  # composes once nothing stands between
    "Ada\u202egpj\u202c": "Adagpj",
    "\x1b[31mAda\x07": "[31mAda",
}
PARAGRAPHS = {
    " Dear Ada,\r\n\tthank you.\n\n": "Dear Ada,\r\n\tthank you.",
    "\n\t ": None,
    "a\x0bb\u200bc": "abc",
}
IDS = {
    "17": "17",
    "17.0": "17",
    "017.000": "017",
    "17.5": "17.5",
    "1.7.0": "1.7.0",
    "7e12": "7e12",
    "ABC": "ABC",
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "a0eebc999c0b4ef8bb6d6bb9bd380a11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "URN:UUID:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "x-A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": "x-A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
}
WHOLE_NUMBER_IDS = {"3001": "3001", "03001": "3001", "3001.0": "3001", "3001.5": "3001.5", "x": "x"}
CONTACTS = {
    "27825550123.0": "27825550123",
    "+27825550123.00": "+27825550123",
    "ann.0@club.example": "ann.0@club.example",
    "020 7946.0": "020 7946.0",
}
NUMBERS = {
    ("4930123456.0::double", "DOUBLE"): "4930123456",
    ("-7.0::double", "DOUBLE"): "-7",
    ("0.5::double", "DOUBLE"): "0.5",
    ("9007199254740991.0::double", "DOUBLE"): "9007199254740991",
    ("9007199254740992.0::double", "DOUBLE"): "9.007199254740992E+15",  # its neighbour reads the same
    ("'nan'::double", "DOUBLE"): "nan",
    ("16777215::float", "FLOAT"): "16777215",
    ("16777216::float", "FLOAT"): "1.677721600000000E+07",  # 16777217 reads the same
    ("447700900123::float", "FLOAT"): "4.477008936960000E+11",
    ("17.00::decimal(12,2)", "DECIMAL(12,2)"): "17",
    ("17.50::decimal(12,2)", "DECIMAL(12,2)"): "17.50",
    ("42::bigint", "BIGINT"): "42",
    ("null::double", "DOUBLE"): None,
}
SPACED = st.text(
    st.sampled_from("aZ0 .\t\n\r\x00\x0b\x85\u00a0\u00ad\u0301\u200b\u2028\u3000\u3164\ufeffé"), max_size=8
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


def ask(con: duckdb.DuckDBPyConnection, sql: str, text: str | None) -> str | None:
    [(answer,)] = con.execute(f"select {sql} from (select $text as t)", {"text": text}).fetchall()
    return None if answer is None else str(answer)


@pytest.mark.parametrize(("text", "line"), LINES.items(), ids=[ascii(text) for text in LINES])
def test_a_line_is_what_can_be_seen_of_it(con: duckdb.DuckDBPyConnection, text: str, line: str | None) -> None:
    assert ask(con, build_line_sql("t"), text) == line


@pytest.mark.parametrize(("text", "kept"), PARAGRAPHS.items(), ids=[ascii(text) for text in PARAGRAPHS])
def test_paragraphs_keep_their_lines(con: duckdb.DuckDBPyConnection, text: str, kept: str | None) -> None:
    assert ask(con, build_paragraphs_sql("t"), text) == kept


@given(SPACED | st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_a_line_is_cleaned_as_unicode_says_and_only_once(con: duckdb.DuckDBPyConnection, text: str) -> None:
    line = ask(con, build_line_sql("t"), text)
    assert line == clean_by_unicodedata(text)
    assert line is None or ask(con, build_line_sql("t"), line) == line


@given(SPACED)
def test_a_text_is_blank_where_only_white_space_stands_in_it(con: duckdb.DuckDBPyConnection, text: str) -> None:
    is_blank = ask(con, build_blank_condition("t"), text) == "True"
    assert is_blank == (set(text) <= set(" \t\n\r\x0b\x85\u00a0\u2028\u3000\u3164"))
    assert not is_blank or ask(con, build_line_sql("t"), text) is None


@pytest.mark.parametrize(("text", "canonical"), IDS.items())
def test_every_spelling_of_an_id_has_one_form(con: duckdb.DuckDBPyConnection, text: str, canonical: str) -> None:
    assert ask(con, build_canonical_id_sql("t"), text) == canonical
    assert ask(con, build_canonical_id_sql("t"), canonical) == canonical


@pytest.mark.parametrize(("text", "canonical"), WHOLE_NUMBER_IDS.items())
def test_an_id_of_a_table_of_numbers_is_that_number(con: duckdb.DuckDBPyConnection, text: str, canonical: str) -> None:
    assert ask(con, build_whole_number_id_sql("t"), text) == canonical


@pytest.mark.parametrize(("text", "contact"), CONTACTS.items())
def test_a_phone_number_has_no_decimals(con: duckdb.DuckDBPyConnection, text: str, contact: str) -> None:
    assert ask(con, build_contact_sql("t"), text) == contact


@pytest.mark.parametrize(("number", "text"), NUMBERS.items(), ids=[number for number, _ in NUMBERS])
def test_a_number_in_a_column_of_texts_is_its_integer(
    con: duckdb.DuckDBPyConnection, number: tuple[str, str], text: str | None
) -> None:
    literal, raw_type = number
    assert con.sql(f"select {build_text_sql('n', raw_type)} from (select {literal} as n)").fetchall() == [(text,)]


def clean_by_unicodedata(text: str) -> str | None:
    """Returns the line that Python's own tables of Unicode say is left."""
    line = re.sub("[\t\n\x0b\x0c\r\x85\u2028\u2029]+", " ", text)
    seen = "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cf"))
    blank = {c for c in seen if unicodedata.category(c)[0] == "Z"} | set("\u115f\u1160\u2800\u3164\uffa0")
    return unicodedata.normalize("NFC", seen).strip("".join(blank)) or None
