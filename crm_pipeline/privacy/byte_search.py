"""Search of files for values, byte by byte, and redaction of reports and logs."""

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
    """Values of at least six bytes, searched for together in one pass.

    There may be as many as golfers, and they are searched for in every file, so a hash table of their first six bytes
    selects the positions to compare.
    """

    def __init__(self, terms: Iterable[bytes]) -> None:
        self._terms = set(terms)
        self._lengths_by_prefix: dict[bytes, set[int]] = defaultdict(set)
        for term in self._terms:
            self._lengths_by_prefix[term[:_PREFIX_LENGTH]].add(len(term))
        self._longest_length = max(map(len, self._terms), default=0)
        self._prefixes = np.array([int.from_bytes(prefix, "little") for prefix in self._lengths_by_prefix], np.uint64)
        self._is_prefix_hash = np.zeros(1 << (64 - int(_HASH_SHIFT)), bool)
        self._is_prefix_hash[self._prefixes * _HASH_MULTIPLIER >> _HASH_SHIFT] = True

    def find_in(self, content: bytes | mmap.mmap) -> set[bytes]:
        """Returns the terms that occur anywhere in the content."""
        matches: set[bytes] = set()
        for begin in range(0, len(content), _CHUNK_SIZE):
            # Chunks overlap: a term may begin at the last byte of one, and eight bytes are read where it begins.
            chunk = content[begin : begin + _CHUNK_SIZE + self._longest_length] + bytes(2)
            for position in self._find_positions(chunk):
                lengths = self._lengths_by_prefix[chunk[position : position + _PREFIX_LENGTH]]
                matches.update(self._terms.intersection(chunk[position : position + length] for length in lengths))
        return matches

    def _find_positions(self, chunk: bytes) -> list[int]:
        """Returns the positions in the chunk where the first six bytes of a term stand."""
        if len(chunk) < 8 or not self._terms:  # noqa: PLR2004  no term fits
            return []
        prefixes = np.ndarray((len(chunk) - 7,), "<u8", chunk, strides=(1,)) & _PREFIX_MASK
        candidates = np.flatnonzero(self._is_prefix_hash[prefixes * _HASH_MULTIPLIER >> _HASH_SHIFT])
        positions: list[int] = candidates[np.isin(prefixes[candidates], self._prefixes)].tolist()
        return positions


def build_search_terms(values: Iterable[str]) -> SearchTerms:
    """Returns the values as files can hold them: as text, and a UUID also as the 16 bytes that PostgreSQL stores."""
    terms = []
    for value in values:
        terms.append(value.encode())
        try:
            terms.append(UUID(value).bytes)
        except ValueError:
            continue
    return SearchTerms(terms)


def find_matching_files(files: Iterable[Path], terms: SearchTerms) -> Iterator[tuple[Path, set[bytes]]]:
    """Yields the files that contain any of the terms, each with the terms in it."""
    for file in files:
        try:
            with file.open("rb") as opened:
                if file.stat().st_size == 0:
                    continue
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    if matches := terms.find_in(content):
                        yield file, matches
        except FileNotFoundError:  # a running server deletes files of its own
            continue


def list_files(folder: Path, *, excluded_folders: Sequence[Path] = ()) -> Iterator[Path]:
    """Yields every file below a folder, without symbolic links and the excluded folders."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.is_symlink() or entry in excluded_folders:
            continue
        if entry.is_dir():
            yield from list_files(entry, excluded_folders=excluded_folders)
        elif entry.is_file():
            yield entry


def redact_files(files: Iterable[Path], terms: SearchTerms) -> int:
    """Returns the number of files in which terms were overwritten.

    Files are rewritten in place, because the processes that write them have them open.
    """
    count = 0
    for file, matches in find_matching_files(files, terms):
        content = file.read_bytes()
        for term in sorted(matches, key=len, reverse=True):
            content = content.replace(term, REDACTED_VALUE)
        with file.open("r+b") as opened:
            opened.write(content)
            opened.truncate()
        count += 1
    return count


def delete_leftover_files(home: Path) -> int:
    """Returns the number of deleted leftovers: spill files of killed processes, and lake copies of killed dry runs."""
    leftovers = [*(home / "spill").glob("*"), *home.glob("crm-pipeline-lake-*")]
    for folder in leftovers:
        shutil.rmtree(folder)
    return len(leftovers)
