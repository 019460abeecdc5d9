"""A file as a whole: read as it should be, or refused in one line that names it and quotes nothing of it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_pipeline_tests.fixtures.input.contact_files import ADA, NAMES, as_parquet, contacts, refused
from crm_pipeline_tests.fixtures.input.odd_files import FILES, OddFile, Rows

DAMAGED = "it is damaged, or may not be read"


def read(folder: Path) -> Rows:
    """Per id, the first name and the faults of each contact."""
    first_name, problems = NAMES.index("firstName"), NAMES.index("updatedAt") + 1
    return {row[0]: (row[first_name], row[problems]) for row in contacts(folder)}


@pytest.mark.parametrize("odd", FILES.values(), ids=FILES.keys())
def test_an_odd_file_is_read_or_refused_in_one_line(odd: OddFile, tmp_path: Path) -> None:
    name = f"Contact.{odd.kind}"
    (tmp_path / name).write_bytes(odd.content)
    if isinstance(odd.becomes, str):
        assert refused(tmp_path) == f"MESSAGING: {name} {odd.becomes}"
    else:
        assert read(tmp_path) == odd.becomes


def a_parquet_file(folder: Path, before: dict[str, Any] | None = None, behind: dict[str, Any] | None = None) -> Path:
    """Ada, with columns before and behind those declared."""
    as_parquet(folder, [ADA])
    file = folder / "Contact.parquet"
    contact = pq.read_table(file)
    more = [(before or {}), dict(zip(contact.column_names, contact.columns, strict=True)), (behind or {})]
    names = [name for columns in more for name in columns]
    pq.write_table(pa.Table.from_arrays([a for columns in more for a in columns.values()], names), file)
    return file


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("name", ["Email", "shoe size", ""])
def test_a_column_nobody_declared_takes_no_other_ones_place(place: str, name: str, tmp_path: Path) -> None:
    a_parquet_file(tmp_path)
    expected = contacts(tmp_path)
    a_parquet_file(tmp_path, **{place: {name: pa.array(["x@y.example"])}})
    assert contacts(tmp_path) == expected


@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_column_that_is_there_twice_is_not_guessed_at(place: str, tmp_path: Path) -> None:
    a_parquet_file(tmp_path, **{place: {"email": pa.array(["x@y.example"])}})
    assert refused(tmp_path) == "MESSAGING: Contact.parquet has column email twice"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [(-4, None, "it is no Parquet file"), (4, 400, DAMAGED), (-600, -200, DAMAGED)],
)
def test_a_damaged_parquet_file_is_refused(start: int, end: int | None, said: str, tmp_path: Path) -> None:
    file = a_parquet_file(tmp_path)
    content = bytearray(file.read_bytes())
    content[start:end] = bytes(len(content[start:end]))
    file.write_bytes(content)
    assert refused(tmp_path) == f"MESSAGING: Contact.parquet cannot be read: {said}"


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    offsets, data = pa.py_buffer((0).to_bytes(4, "little") + (2).to_bytes(4, "little")), pa.py_buffer(b"\xff\xfe")
    a_parquet_file(tmp_path)
    contact = pq.read_table(tmp_path / "Contact.parquet")
    place = contact.column_names.index("firstName")
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, data])
    pq.write_table(contact.set_column(place, "firstName", broken), tmp_path / "Contact.parquet")
    assert refused(tmp_path) == f"MESSAGING: Contact.parquet cannot be read: {DAMAGED}"
