"""Rows of a file as Python reads them: counted, and shortened where they are too long for DuckDB.

DuckDB drops a row that is over its limits without an error where it is the last and longer than the buffer, and refuses
the whole file for others. The count finds the first kind; the shortened copy lets both be quarantined.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, AnyStr, Final, NamedTuple

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from _csv import Reader

MAX_ROW_LENGTH: Final = 128 * 1024 * 1024
"""Characters or bytes of a row; Python takes several times its length in memory to read it."""
MAX_VALUE_LENGTH: Final = 100_000
"""Characters of a value in a shortened copy: more than any column takes, so that it is quarantined as over-long."""
MAX_CSV_COPY_LENGTH: Final = 32 * 1024 * 1024
"""Characters of a CSV row in a shortened copy."""
MAX_JSON_COPY_LENGTH: Final = 8 * 1024 * 1024
"""Bytes of a JSON row in a shortened copy. DuckDB takes 16 MiB always, and more where the row happens to lie well."""
_CHUNK_SIZE: Final = 1 << 20
_LINE_FEED, _CARRIAGE_RETURN, _QUOTE = b'\n\r"'


class RowError(Exception):
    """Rows that cannot be read; the message is one line without data."""


class RowCount(NamedTuple):
    """The rows of a file, its header not counted, and whether any may be too long for DuckDB."""

    rows: int
    has_long_rows: bool


def estimate_row_count(file: Path) -> int:
    """Returns the number of rows, which is exact unless a value without quotes around it has a quote in it.

    It guards against rows that DuckDB drops without an error. It takes about a second per 1.5 GB, less than a hundredth
    of a first run; `count_rows`, which is always exact, takes fifteen times as long.
    """
    if file.suffix == ".parquet":
        return int(pq.read_metadata(file).num_rows)
    is_csv, rows, quotes = file.suffix == ".csv", 0, 0
    row_end = _find_row_end(file)
    offset = last_end = -1
    # The first byte is the last of the chunk before.
    chunk = bytearray(_CHUNK_SIZE + 1)
    with file.open("rb", buffering=0) as opened:
        while size := opened.readinto(memoryview(chunk)[1:]):
            content = np.frombuffer(chunk, np.uint8, size + 1)
            ends = np.flatnonzero(content[1:] == row_end) + 1
            if is_csv and (quotes % 2 or _QUOTE in chunk):
                # Where the number of quotes before it is odd, a line end is inside a value.
                places = np.flatnonzero(content[1:] == _QUOTE) + 1
                ends = ends[(np.searchsorted(places, ends) + quotes) % 2 == 0]
                quotes += len(places)
            lengths = np.diff(ends + offset, prepend=last_end) - 1
            is_blank = (lengths == 0) | ((lengths == 1) & (content[ends - 1] == _CARRIAGE_RETURN))
            rows += len(ends) - int(is_blank.sum())
            last_end = int(ends[-1]) + offset if len(ends) else last_end
            offset += size
            chunk[0] = chunk[size]
    has_unended_row = last_end < offset
    return max(rows + has_unended_row - is_csv, 0)


def count_rows(file: Path) -> RowCount:
    """Returns the exact number of rows, and whether DuckDB needs a shortened copy; a Parquet file's from its metadata.

    Raises:
        RowError: a row is longer than `MAX_ROW_LENGTH`, or has so many values that cutting them would not do.
        csv.Error, UnicodeDecodeError: it is no CSV, or not UTF-8.
    """
    match file.suffix:
        case ".parquet":
            return RowCount(estimate_row_count(file), has_long_rows=False)
        case ".csv":
            return _count_csv_rows(file)
        case _:
            lengths = [len(line) for _, line in _read_json_lines(file)]
            return RowCount(len(lengths), max(lengths, default=0) > MAX_JSON_COPY_LENGTH)


def write_shortened_copy(file: Path, copy: Path) -> None:
    """Writes the rows of `file` to `copy`, with values cut at `MAX_VALUE_LENGTH`; in JSON those of over-long rows only.

    Raises:
        RowError: a row is longer than `MAX_ROW_LENGTH`, or an over-long one is no JSON object.
        csv.Error, UnicodeDecodeError: it is no CSV, or not UTF-8.
    """
    if file.suffix == ".csv":
        with _open_csv(file) as reader, copy.open("w", encoding="utf-8", newline="") as shortened:
            rows = ([value[:MAX_VALUE_LENGTH] for value in row] for row in filter(None, reader))
            csv.writer(shortened, lineterminator="\n").writerows(rows)
        return
    with copy.open("wb") as shortened_lines:
        for number, line in _read_json_lines(file):
            shortened_lines.write(line if len(line) <= MAX_JSON_COPY_LENGTH else _shorten_json_row(number, line))


def _find_row_end(file: Path) -> int:
    with file.open("rb") as opened:
        first = opened.read(_CHUNK_SIZE)
    return _LINE_FEED if b"\n" in first or b"\r" not in first else _CARRIAGE_RETURN


def _count_csv_rows(file: Path) -> RowCount:
    rows, has_long_rows = -1, False
    with _open_csv(file) as reader:
        for row in filter(None, reader):
            rows += 1
            if sum(map(len, row)) > MAX_VALUE_LENGTH:
                has_long_rows = True
                if sum(min(len(value), MAX_VALUE_LENGTH) for value in row) > MAX_CSV_COPY_LENGTH:
                    raise _build_length_error(reader.line_num, MAX_CSV_COPY_LENGTH)
    return RowCount(max(rows, 0), has_long_rows)


@contextmanager
def _open_csv(file: Path) -> "Iterator[Reader]":
    """Yields a reader of the rows of a CSV file, its header first; a blank line is an empty row."""
    csv.field_size_limit(MAX_ROW_LENGTH)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.reader(_read_lines(opened), strict=True)
        try:
            yield reader
        except csv.Error as error:
            if "field limit" in str(error):
                raise _build_length_error(reader.line_num, MAX_ROW_LENGTH) from None
            raise


def _read_json_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a JSON lines file with their numbers, without blank ones."""
    with file.open("rb") as opened:
        yield from ((number, line) for number, line in enumerate(_read_lines(opened), start=1) if not line.isspace())


def _read_lines(opened: IO[AnyStr]) -> Iterator[AnyStr]:
    for number in count(1):
        line = opened.readline(MAX_ROW_LENGTH + 1)
        if len(line) > MAX_ROW_LENGTH:
            raise _build_length_error(number, MAX_ROW_LENGTH)
        if not line:
            return
        yield line


def _shorten_json_row(number: int, line: bytes) -> bytes:
    try:
        # Numbers stay as they are written.
        row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise RowError(f"line {number}: it is no JSON") from None
    if not isinstance(row, dict):
        raise RowError(f"line {number}: it is no JSON object")
    shortened = json.dumps({name: _shorten_json_value(value) for name, value in row.items()}).encode() + b"\n"
    if len(shortened) > MAX_JSON_COPY_LENGTH:
        raise _build_length_error(number, MAX_JSON_COPY_LENGTH)
    return shortened


def _shorten_json_value(value: Any) -> Any:  # noqa: ANN401  JSON is anything
    if value is None or isinstance(value, bool):
        return value
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:MAX_VALUE_LENGTH]


def _build_length_error(line: int, limit: int) -> RowError:
    return RowError(f"line {line}: a row is over {limit >> 20} MiB long")
