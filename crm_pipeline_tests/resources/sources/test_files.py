"""A folder of snapshots: three formats, one meaning."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.input.contact_files import (
    ADA,
    BOB,
    HEADER,
    NAMES,
    Write,
    a_line,
    as_csv,
    as_jsonl,
    as_parquet,
    contacts,
    csv_of,
    snapshot,
)


@pytest.mark.parametrize("write", [as_jsonl, as_parquet])
def test_every_format_means_the_same(tmp_path: Path, write: Write) -> None:
    for name, save in (("csv", as_csv), ("other", write)):
        (tmp_path / name).mkdir()
        save(tmp_path / name, [ADA, BOB])
    found = contacts(tmp_path / "csv")
    assert [row[NAMES.index("lastName")] for row in found] == [None, "Ærø,\nBülow"]
    assert not any(row[NAMES.index("updatedAt") + 1] for row in found)
    assert contacts(tmp_path / "other") == found


@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet])
def test_a_table_may_be_empty(tmp_path: Path, write: Write) -> None:
    write(tmp_path, [])
    assert contacts(tmp_path) == []


@pytest.mark.parametrize("folder", ["with spaces", "Übersee", "it's", "[a]", "a%20b", "tenantId=x", "a*b?"])
@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet])
def test_any_folder_will_do_as_a_path_or_a_file_url(tmp_path: Path, folder: str, write: Write) -> None:
    (tmp_path / folder).mkdir()
    write(tmp_path / folder, [ADA])
    assert contacts(tmp_path / folder) == contacts((tmp_path / folder).as_uri())
    assert [row[:2] for row in contacts(tmp_path / folder)] == [("7", "links")]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    csv_of(tmp_path, a_line(), header=f"\ufeff{HEADER}")
    assert contacts(tmp_path)[0][0] == "7"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_may_end_either_way_and_quotes_hold_newlines(tmp_path: Path, end: str) -> None:
    lines = [a_line(lastName='"one\ntwo"'), a_line(id="8")]
    (tmp_path / "Contact.csv").write_text(end.join([HEADER, *lines]), encoding="utf-8", newline="")
    assert [(row[0], row[NAMES.index("lastName")]) for row in contacts(tmp_path)] == [("7", "one\ntwo"), ("8", None)]


def test_empty_is_null_quoted_or_not(tmp_path: Path) -> None:
    for email in ("", '""'):
        assert contacts(csv_of(tmp_path, a_line(email=email)))[0][NAMES.index("email")] is None


def test_columns_may_stand_in_any_order_and_others_are_ignored(tmp_path: Path) -> None:
    before = contacts(csv_of(tmp_path, a_line()))
    names = [*reversed(NAMES), 'it\'s ""new""']
    quoted = [f'"{name}"' for name in names]
    csv_of(tmp_path, ",".join([*reversed(a_line().split(",")), "x"]), header=",".join(quoted))
    assert contacts(tmp_path) == before


def test_an_over_long_value_stops_its_row_and_not_the_file(tmp_path: Path) -> None:
    rows = contacts(csv_of(tmp_path, a_line(lastName="x" * 5_000_000), a_line(id="8")))
    assert [row[NAMES.index("updatedAt") + 1] for row in rows] == [["lastName:TOO_LONG"], []]


@pytest.mark.skipif(not SOAK, reason="three seconds of reading: make soak")
def test_a_file_may_be_larger_than_the_memory(tmp_path: Path) -> None:
    csv_of(tmp_path, *[a_line(lastName="x" * 1_000)] * 320_000)
    with closing(Lake(str(tmp_path / "lake"), tmp_path / "spill", memory="300MB").connect()) as con:
        assert con.sql(f"select count(*) from {snapshot(con, str(tmp_path))}").fetchall() == [(320_000,)]


def test_a_key_left_out_of_some_json_rows_is_null_there(tmp_path: Path) -> None:
    full, short = json.dumps({name: ADA.get(name) for name in NAMES}), '{"id": "8", "tenantId": "links"}'
    (tmp_path / "Contact.jsonl").write_text(f"{full}\n\n{short}\n")
    assert [row[NAMES.index("emailOptIn")] for row in contacts(tmp_path)] == [True, None]
