"""Bytes on the disk: which files still hold a value, and taking one out of files that only report."""

import mmap
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

FORGOTTEN = b"[forgotten]"


def needles(values: Iterable[str]) -> list[bytes]:
    """The values as a file can hold them: a UUID is 16 bytes in PostgreSQL's own."""
    found = []
    for value in values:
        found.append(value.encode())
        try:
            found.append(UUID(value).bytes)
        except ValueError:
            continue
    return found


def files_holding(files: Iterable[Path], wanted: Sequence[bytes]) -> Iterator[Path]:
    """Those of the files in which any of these bytes stand."""
    for file in files:
        try:
            with file.open("rb") as opened:
                if file.stat().st_size == 0:
                    continue
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    if any(content.find(each) >= 0 for each in wanted):
                        yield file
        except FileNotFoundError:  # a server deletes its files when it likes
            continue


def all_files(folder: Path, *, but: Sequence[Path] = ()) -> Iterator[Path]:
    """Every file below a folder, leaving some folders out."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.is_symlink() or entry in but:
            continue
        if entry.is_dir():
            yield from all_files(entry, but=but)
        elif entry.is_file():
            yield entry


def blank(files: Iterable[Path], wanted: Sequence[bytes]) -> int:
    """Overwrite the values in these files in place, since whoever writes them has them open; return how many files."""
    count = 0
    for file in files_holding(files, wanted):
        content = file.read_bytes()
        for each in wanted:
            content = content.replace(each, FORGOTTEN)
        with file.open("r+b") as opened:
            opened.write(content)
            opened.truncate()
        count += 1
    return count


def clear_leftovers(home: Path) -> int:
    """Delete what killed processes spilled, and the copies of the lake killed dry runs left; return how many."""
    left = [*(home / "spill").glob("*"), *home.glob("crm-pipeline-lake-*")]
    for folder in left:
        shutil.rmtree(folder)
    return len(left)
