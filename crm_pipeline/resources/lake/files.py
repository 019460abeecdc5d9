"""The files of a Delta table as its transaction log lists them, read once per commit.

Asking deltalake costs milliseconds, and a run asks for the same tables dozens of times.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

BASE_VERSION_PROPERTY: Final = "crm_pipeline.through"
"""Property of a base's commit: the newest version of the log that the base contains."""


class DamagedLakeError(Exception):
    """A table's Delta log cannot be read; the message names the table."""


class LakeFile(NamedTuple):
    """One file, the oldest and the newest version of any row in it, and its size in bytes."""

    path: str
    oldest: int
    newest: int
    size: int


class LakeFiles(tuple[LakeFile, ...]):
    """The files of one table."""

    __slots__ = ()

    @property
    def oldest(self) -> int:
        """Returns the oldest version of any row; -1 without files."""
        return min((file.oldest for file in self), default=-1)

    @property
    def newest(self) -> int:
        """Returns the newest version of any row; -1 without files."""
        return max((file.newest for file in self), default=-1)

    def after(self, version: int) -> "LakeFiles":
        """Returns the files that may have rows later than `version`."""
        return LakeFiles(file for file in self if file.newest > version)

    def until(self, version: int) -> "LakeFiles":
        """Returns the files that may have rows of `version` or an earlier one."""
        return LakeFiles(file for file in self if file.oldest <= version)

    def list_columns(self) -> frozenset[str]:
        """Returns the columns any of the files has; columns are only ever added, so the newest has them all."""
        return _read_columns(max(self, key=lambda file: file.newest).path) if self else frozenset()


class _Commit(NamedTuple):
    """The newest commit of a table; inode and time tell apart two tables that lay at one path one after the other."""

    path: str
    name: str
    inode: int
    created_at_ns: int


def list_lake_files(path: str) -> LakeFiles:
    """Returns the files that the newest commit of the table at `path` lists; empty without a table.

    Raises:
        DamagedLakeError: the table's log cannot be read.
    """
    newest = _find_newest_commit(path)
    return LakeFiles() if newest is None else _read_commit_files(newest)


def find_newest_commit_number(path: str) -> int:
    """Returns the number of the newest commit of the table at `path`, which is never set back; -1 without a table."""
    newest = _find_newest_commit(path)
    return -1 if newest is None else int(newest.name.partition(".")[0])


def read_base_version(path: str) -> int | None:
    """Returns the version of the log whose state the base at `path` is; None without a base."""
    newest = _find_newest_commit(path)
    return None if newest is None else _read_commit_base_version(newest)


def _find_newest_commit(path: str) -> _Commit | None:
    log = Path(path) / "_delta_log"
    name = max((file.name for file in log.glob("*.json")), default=None)
    if name is None:
        return None
    status = (log / name).stat()
    if not status.st_size:  # Delta Lake would take the version before it for the newest
        raise _build_damage_error(path)
    return _Commit(path, name, status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _read_columns(path: str) -> frozenset[str]:
    return frozenset(pq.read_schema(path).names)


@lru_cache(maxsize=256)
def _read_commit_files(commit: _Commit) -> LakeFiles:
    actions = _open_table(commit.path).get_add_actions(flatten=True)
    paths = (f"{commit.path}/{unquote(file)}" for file in actions["path"].to_pylist())
    oldest, newest = (actions[f"{end}._version"].to_pylist() for end in ("min", "max"))
    return LakeFiles(map(LakeFile, paths, oldest, newest, actions["size_bytes"].to_pylist()))


@lru_cache(maxsize=256)
def _read_commit_base_version(commit: _Commit) -> int:
    history = _open_table(commit.path).history()
    return next(int(info[BASE_VERSION_PROPERTY]) for info in history if BASE_VERSION_PROPERTY in info)


def _open_table(path: str) -> DeltaTable:
    try:
        return DeltaTable(path)
    except DeltaError:
        raise _build_damage_error(path) from None


def _build_damage_error(path: str) -> DamagedLakeError:
    return DamagedLakeError(
        f"table {Path(path).name} of the lake cannot be read: the newest files of its _delta_log are damaged;"
        " restore the lake from a backup"
    )
