"""Rows without anything in them are ignored and counted; whatever says something stays, to be validated."""

import unicodedata
from collections.abc import Sequence

import duckdb
import pytest

from crm_pipeline.resources.sources.delivery import delete_empty_rows

WHITE_SPACE = "\t\n\x0b\x0c\r\x85" + "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c)[0] == "Z")
"""The characters that Unicode calls White_Space."""
PRINTED_AS_NOTHING = "\u115f\u1160\u2800\u3164\uffa0"


def count_deleted(*rows: Sequence[str | int | None]) -> tuple[int, int]:
    """Returns how many of these rows of an id, a name and a number were deleted, and how many are left."""
    with duckdb.connect() as con:
        con.execute("create table delivered (id varchar, name varchar, number bigint)")
        con.executemany("insert into delivered values (?, ?, ?)", rows)
        deleted = delete_empty_rows(con, "delivered")
        [(left,)] = con.execute("select count(*) from delivered").fetchall()
    return deleted, left


@pytest.mark.parametrize("blank", [None, "", *WHITE_SPACE, *PRINTED_AS_NOTHING, WHITE_SPACE], ids=ascii)
def test_a_row_of_nulls_and_blanks_is_empty(blank: str | None) -> None:
    assert count_deleted((blank, "", None), ("", blank, None)) == (2, 0)


@pytest.mark.parametrize(
    "text", ["a", "0", "-", "!", "~", "\x00", " \x00", "é", "\u3000x", "\u200b", "\t.\t"], ids=ascii
)
def test_a_row_with_any_other_character_is_kept(text: str) -> None:
    assert count_deleted((text, None, None), (None, text, None)) == (0, 2)


def test_a_row_with_a_number_is_kept_and_of_several_rows_only_empty_ones_go() -> None:
    assert count_deleted((None, " ", 0), ("7", "\t", None), ("\u2003", None, None)) == (1, 2)
