"""Bytes on the disk: which files still hold a value, and taking one out of files that only report."""

import mmap
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np

REDACTED_VALUE: Final = b"[forgotten]"
_CHUNK_SIZE: Final = 1 << 20
_PREFIX_LENGTH: Final = 6
_PREFIX_MASK: Final = np.uint64((1 << 8 * _PREFIX_LENGTH) - 1)
_HASH_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_HASH_SHIFT: Final = np.uint64(44)


class SearchTerms:
    """Values of six bytes and more, looked for all at once: as many as there are golfers, in every file there is."""

    def __init__(self, wanted: Iterable[bytes]) -> None:
        self._wanted = set(wanted)
        self._lengths: dict[bytes, set[int]] = defaultdict(set)
        for each in self._wanted:
            self._lengths[each[:_PREFIX_LENGTH]].add(len(each))
        self._longest = max(map(len, self._wanted), default=0)
        self._starts = np.array([int.from_bytes(start, "little") for start in self._lengths], np.uint64)
        self._is_start = np.zeros(1 << (64 - int(_HASH_SHIFT)), bool)
        self._is_start[self._starts * _HASH_MULTIPLIER >> _HASH_SHIFT] = True

    def standing_in(self, content: bytes | mmap.mmap) -> set[bytes]:
        """Those that stand anywhere in it."""
        found: set[bytes] = set()
        for begin in range(0, len(content), _CHUNK_SIZE):
            # Room for the last to begin here, and for reading eight bytes where it does.
            part = content[begin : begin + _CHUNK_SIZE + self._longest] + bytes(2)
            for place in self._places(part):
                lengths = self._lengths[part[place : place + _PREFIX_LENGTH]]
                found.update(self._wanted.intersection(part[place : place + length] for length in lengths))
        return found

    def _places(self, part: bytes) -> list[int]:
        if len(part) < 8 or not self._wanted:  # noqa: PLR2004  nothing is that short
            return []
        starts = np.ndarray((len(part) - 7,), "<u8", part, strides=(1,)) & _PREFIX_MASK
        maybe = np.flatnonzero(self._is_start[starts * _HASH_MULTIPLIER >> _HASH_SHIFT])
        places: list[int] = maybe[np.isin(starts[maybe], self._starts)].tolist()
        return places


def build_search_terms(values: Iterable[str]) -> SearchTerms:
    """The values as a file can hold them: a UUID is 16 bytes in PostgreSQL's own."""
    found = []
    for value in values:
        found.append(value.encode())
        try:
            found.append(UUID(value).bytes)
        except ValueError:
            continue
    return SearchTerms(found)


def find_matching_files(files: Iterable[Path], wanted: SearchTerms) -> Iterator[tuple[Path, set[bytes]]]:
    """Those of the files in which any of these stand, and which."""
    for file in files:
        try:
            with file.open("rb") as opened:
                if file.stat().st_size == 0:
                    continue
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    if standing := wanted.standing_in(content):
                        yield file, standing
        except FileNotFoundError:  # a server deletes its files when it likes
            continue


def list_files(folder: Path, *, but: Sequence[Path] = ()) -> Iterator[Path]:
    """Every file below a folder, leaving some folders out."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.is_symlink() or entry in but:
            continue
        if entry.is_dir():
            yield from list_files(entry, but=but)
        elif entry.is_file():
            yield entry


def redact_files(files: Iterable[Path], wanted: SearchTerms) -> int:
    """Overwrite the values in these files in place, since whoever writes them has them open; return how many files."""
    count = 0
    for file, standing in find_matching_files(files, wanted):
        content = file.read_bytes()
        for each in sorted(standing, key=len, reverse=True):
            content = content.replace(each, REDACTED_VALUE)
        with file.open("r+b") as opened:
            opened.write(content)
            opened.truncate()
        count += 1
    return count


def delete_leftover_files(home: Path) -> int:
    """Delete what killed processes spilled, and the copies of the lake killed dry runs left; return how many."""
    left = [*(home / "spill").glob("*"), *home.glob("crm-pipeline-lake-*")]
    for folder in left:
        shutil.rmtree(folder)
    return len(left)
