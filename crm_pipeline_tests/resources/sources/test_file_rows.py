"""Rows that are too long for the parser are quarantined, never dropped: the rows of a file are counted without it."""

import csv
import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.sources import file_rows
from crm_pipeline.resources.sources.file_rows import count_rows, estimate_row_count
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.input.contact_files import (
    ADA,
    NAMES,
    a_line,
    as_parquet,
    contacts,
    csv_of,
    refused,
    snapshot,
)

MEGABYTE = 1_000_000
EVERY_KEY: dict[str, Any] = {"authUserId": None, **ADA}
VALUES = st.text(st.sampled_from('a,"\n\r é'), max_size=4)


def faults(folder: Path) -> dict[str, list[str]]:
    """The problems of each contact."""
    return {row[0]: row[NAMES.index("updatedAt") + 1] for row in contacts(folder)}


def with_a_long_row(row: str, place: int) -> list[str]:
    """Three short rows, and a long one at this place."""
    rows = [a_line(id=number) for number in "123"]
    return [*rows[:place], row, *rows[place:]]


@pytest.mark.parametrize(
    ("megabytes", "place", "form"),
    [
        (40, 3, '"\n{}\n"'),
        *(
            [(70, 3, "{}"), (130, 3, "{}"), (70, 1, "{}"), (70, 0, '"{}"'), (33, 3, "{}"), (33, 1, '"{}"')]
            if SOAK
            else []
        ),
    ],
)
def test_an_over_long_row_of_csv_is_quarantined_and_its_neighbours_stay(
    tmp_path: Path, megabytes: int, place: int, form: str
) -> None:
    name = form.format("x" * (megabytes * MEGABYTE))
    csv_of(tmp_path, *with_a_long_row(a_line(id="9", lastName=name), place))
    assert faults(tmp_path) == {"1": [], "2": [], "3": [], "9": ["lastName:TOO_LONG"]}


def test_the_last_row_needs_no_line_end(tmp_path: Path) -> None:
    file = csv_of(tmp_path, *with_a_long_row(a_line(id="9", firstName="x" * 40 * MEGABYTE), 3)) / "Contact.csv"
    file.write_bytes(file.read_bytes()[:-1])
    assert faults(tmp_path) == {"1": [], "2": [], "3": [], "9": ["firstName:TOO_LONG"]}


def test_an_over_long_value_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    header, last = f"{','.join(NAMES)},photo", f"{a_line(id='2', lastName='Bülow')},{'x' * 40 * MEGABYTE}"
    csv_of(tmp_path, f"{a_line(id='1')},", last, header=header)
    assert faults(tmp_path) == {"1": [], "2": []}
    assert contacts(tmp_path)[1][NAMES.index("lastName")] == "Bülow"


@pytest.mark.parametrize(("megabytes", "place"), [(17, 2), *([(33, 0), (35, 1), (70, 2)] if SOAK else [])])
def test_an_over_long_row_of_json_is_quarantined_and_its_neighbours_stay(
    tmp_path: Path, megabytes: int, place: int
) -> None:
    rows = [EVERY_KEY | {"id": "1"}, EVERY_KEY | {"id": "2"}]
    rows.insert(
        place,
        EVERY_KEY | {"id": 900719925474099312345, "phoneNumber": 1.50, "firstName": "ü" * (megabytes * MEGABYTE // 2)},
    )
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "Contact.jsonl").write_text(text, encoding="utf-8")
    assert faults(tmp_path) == {"1": [], "2": [], "900719925474099312345": ["firstName:TOO_LONG"]}
    phones = {row[0]: row[NAMES.index("phoneNumber")] for row in contacts(tmp_path)}
    assert phones["900719925474099312345"] == "1.5"  # as it is written


def test_a_list_for_a_name_is_over_long_too(tmp_path: Path) -> None:
    (tmp_path / "Contact.jsonl").write_text(json.dumps(EVERY_KEY | {"lastName": ["x" * 20 * MEGABYTE]}))
    assert faults(tmp_path) == {"7": ["lastName:TOO_LONG"]}


TOO_LONG = f"x{'x' * 1024 * 1024}" * 128


@pytest.mark.parametrize("form", ['"\n{}"', *(["{}", '"{}'] if SOAK else [])])
def test_a_row_too_long_to_be_read_at_all_is_named(tmp_path: Path, form: str) -> None:
    csv_of(tmp_path, a_line(), a_line(id="8", lastName=form.format(TOO_LONG)))
    line = 4 if "\n" in form else 3
    assert refused(tmp_path) == f"MESSAGING: Contact.csv cannot be read: line {line}: a row is over 128 MiB long"


def test_a_row_of_json_too_long_to_be_read_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "Contact.jsonl").write_text(
        f"{json.dumps(EVERY_KEY)}\n{json.dumps(EVERY_KEY | {'lastName': TOO_LONG})}\n"
    )
    said = "MESSAGING: Contact.jsonl cannot be read: line 2: a row is over 128 MiB long"
    assert refused(tmp_path) == said


def test_a_row_of_too_many_values_is_named(tmp_path: Path) -> None:
    """None of its values is over-long, and DuckDB drops it in silence."""
    more = 900
    header = f"{','.join(NAMES)}{',x' * more}"
    csv_of(tmp_path, a_line() + "," * more, a_line(id="8") + f",{'x' * 99_000}" * more, header=header)
    said = "MESSAGING: Contact.csv cannot be read: line 3: a row is over 32 MiB long"
    assert refused(tmp_path) == said
    (tmp_path / "Contact.csv").unlink()
    wide = EVERY_KEY | {"id": "8"} | {f"x{number}": "x" * 99_000 for number in range(more)}
    (tmp_path / "Contact.jsonl").write_text(f"{json.dumps(EVERY_KEY)}\n{json.dumps(wide)}\n")
    said = "MESSAGING: Contact.jsonl cannot be read: line 2: a row is over 8 MiB long"
    assert refused(tmp_path) == said


def test_quotes_within_values_miscount_nothing(tmp_path: Path) -> None:
    """A quick count takes the quotes for pairs."""
    csv_of(tmp_path, a_line(lastName='5" putter'), a_line(id="8", lastName='"one\ntwo"'), a_line(id="9"))
    assert estimate_row_count(tmp_path / "Contact.csv") != 3
    assert count_rows(tmp_path / "Contact.csv") == (3, False)
    assert faults(tmp_path) == {"7": [], "8": [], "9": []}


def test_nothing_of_a_shortened_copy_is_left(tmp_path: Path) -> None:
    csv_of(tmp_path, a_line(lastName="x" * 40 * MEGABYTE))
    lake = Lake(str(tmp_path / "lake"), tmp_path / "spill")
    with closing(lake.connect()) as con:
        assert con.sql(f"from {snapshot(con, str(tmp_path))}").fetchall()
        assert list(lake.spill.iterdir()) == []


def test_the_rows_of_a_parquet_file_are_counted_by_another_library(tmp_path: Path) -> None:
    as_parquet(tmp_path, [ADA, ADA, ADA])
    assert estimate_row_count(tmp_path / "Contact.parquet") == count_rows(tmp_path / "Contact.parquet").rows == 3


@given(
    rows=st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    blank_lines=st.integers(0, 2),
    is_ended=st.booleans(),
    chunk=st.integers(1, 40),
)
def test_both_counts_are_those_of_the_rows_written(
    rows: list[list[str]], end: str, blank_lines: int, *, is_ended: bool, chunk: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        file = Path(folder) / "T.csv"
        with file.open("w", encoding="utf-8", newline="") as opened:
            for row in [["a", "b"], *rows]:
                csv.writer(opened, quoting=csv.QUOTE_ALL, lineterminator=end).writerow(row)
                opened.write(end * blank_lines)
        if not is_ended:
            file.write_bytes(file.read_bytes().rstrip(b"\r\n"))
        assert count_rows(file) == (len(rows), False)
        if "\n" in end or not any("\n" in value for row in rows for value in row):
            patched.setattr(file_rows, "_CHUNK_SIZE", max(chunk, 10))
            assert estimate_row_count(file) == len(rows)
