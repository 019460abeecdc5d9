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
    refused,
    snapshot,
)


@pytest.mark.parametrize("write", [as_jsonl, as_parquet])
def test_every_format_means_the_same(tmp_path: Path, write: Write) -> None:
    for name, save in (("csv", as_csv), ("other", write)):
        (tmp_path / name).mkdir()
        save(tmp_path / name, [ADA, BOB])
    found = contacts(tmp_path / "csv")
    assert [row[NAMES.index("lastName")] for row in found] == [None, "Ærø, Bülow"]
    assert not any(row[NAMES.index("updatedAt") + 1] for row in found)
    assert contacts(tmp_path / "other") == found


@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet])
def test_a_table_may_be_empty(tmp_path: Path, write: Write) -> None:
    write(tmp_path, [])
    assert contacts(tmp_path) == []


@pytest.mark.parametrize("folder", ["with spaces", "Übersee", "it's", 'q"q', "a%20b", "tenantId=x", "#1", "new\nline"])
@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet])
def test_any_folder_will_do_as_a_path_or_a_file_url(tmp_path: Path, folder: str, write: Write) -> None:
    (tmp_path / folder).mkdir()
    write(tmp_path / folder, [ADA])
    assert contacts(tmp_path / folder) == contacts((tmp_path / folder).as_uri())
    assert [row[:2] for row in contacts(tmp_path / folder)] == [("7", "links")]


@pytest.mark.parametrize(
    ("folder", "neighbour"),
    [
        ("Export [1]", "Export 1"),
        ("[!1]", "2"),
        ("a*b", "axb"),
        ("**", "any"),
        ("a?b", "axb"),
        ("{a,b}", "a"),
        ("back\\slash", "backslash"),
        ("\\[1\\]", "1"),
        ("a\\*b", "a*b"),
        ("100%25", "100%"),
        ("a\nb", "ab"),
    ],
)
@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet])
def test_a_folder_whose_name_is_a_pattern_is_itself_and_no_neighbour(
    tmp_path: Path, folder: str, neighbour: str, write: Write
) -> None:
    (tmp_path / neighbour).mkdir()
    write(tmp_path / neighbour, [BOB])
    shown = folder.replace("\n", "\\n")
    assert refused(tmp_path / folder) == f"MESSAGING: there is no folder {tmp_path / shown}"
    (tmp_path / folder).mkdir()
    write(tmp_path / folder, [ADA])
    for url in (tmp_path / folder, (tmp_path / folder).as_uri()):
        assert [row[0] for row in contacts(url)] == ["7"]
    assert [row[0] for row in contacts(tmp_path / neighbour)] == [BOB["id"]]


@pytest.mark.parametrize("folder", ["~", "~root", "-x", "file:", "s3:x", "$HOME"])
def test_a_folder_beside_is_named_as_it_is(tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / folder).mkdir()
    as_csv(tmp_path / folder, [ADA])
    monkeypatch.chdir(tmp_path)
    assert [row[0] for row in contacts(folder)] == ["7"]


@pytest.mark.parametrize("write", [as_csv, as_jsonl, as_parquet])
def test_a_file_may_be_a_link(tmp_path: Path, write: Write) -> None:
    (tmp_path / "[new]").mkdir()
    (tmp_path / "now").mkdir()
    write(tmp_path / "[new]", [ADA])
    [file] = (tmp_path / "[new]").iterdir()
    (tmp_path / "now" / file.name).symlink_to(f"../[new]/{file.name}")
    assert [row[0] for row in contacts(tmp_path / "now")] == ["7"]


@pytest.mark.parametrize("end", ["{path}?x", "{path}#x"])
def test_a_file_url_that_names_more_than_a_file_is_refused(tmp_path: Path, end: str) -> None:
    """A parser of URLs would cut it off and read a neighbour."""
    as_csv(tmp_path, [ADA])
    said = "MESSAGING: MESSAGING_SOURCE must be file:/// and a path, with %3F for a question mark and %23 for a hash"
    assert refused(end.format(path=tmp_path.as_uri())) == said
    assert refused(f"file://host{tmp_path}") == said
    assert contacts(f"file://localhost{tmp_path}") == contacts(f"FILE://{tmp_path}") == contacts(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    csv_of(tmp_path, a_line(), header=f"\ufeff{HEADER}")
    assert contacts(tmp_path)[0][0] == "7"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_may_end_either_way_and_quotes_hold_newlines(tmp_path: Path, end: str) -> None:
    lines = [a_line(lastName='"one\ntwo"'), a_line(id="8")]
    (tmp_path / "Contact.csv").write_text(end.join([HEADER, *lines]), encoding="utf-8", newline="")
    assert [(row[0], row[NAMES.index("lastName")]) for row in contacts(tmp_path)] == [("7", "one two"), ("8", None)]


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
