"""The files of a Delta table as its transaction log lists them, read once per commit.

Asking deltalake costs milliseconds, and a run asks for the same tables dozens of times.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

import pyarrow.parquet as pq
from deltalake import DeltaTable

BASE_VERSION_PROPERTY: Final = "crm_pipeline.through"
"""Property of a base's commit: the newest version of the log that the base contains."""


class LakeFile(NamedTuple):
    """One file, and the oldest and the newest version of any row in it."""

    path: str
    oldest: int
    newest: int


class LakeFiles(tuple[LakeFile, ...]):
    """The files of one table."""

    __slots__ = ()

    @property
    def oldest(self) -> int:
        """Returns the oldest version of any row; -1 without files."""
        return min((file.oldest for file in self), default=-1)

    @property
    def oldest_file(self) -> LakeFile:
        """Returns the file with the oldest rows."""
        return min(self, key=lambda file: file.newest)

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


class _Commit(NamedTuple):
    """The newest commit of a table; inode and time tell apart two tables that lay at one path one after the other."""

    path: str
    name: str
    inode: int
    created_at_ns: int


def list_lake_files(path: str) -> LakeFiles:
    """Returns the files that the newest commit of the table at `path` lists; empty without a table."""
    newest = _find_newest_commit(path)
    return LakeFiles() if newest is None else _read_commit_files(newest)


@lru_cache(maxsize=1024)
def read_column_names(file: str) -> frozenset[str]:
    """Returns the names of the columns of a Parquet file, which never changes."""
    return frozenset(pq.read_schema(file).names)


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
    return _Commit(path, name, status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _read_commit_files(commit: _Commit) -> LakeFiles:
    actions = DeltaTable(commit.path).get_add_actions(flatten=True)
    paths = (f"{commit.path}/{unquote(file)}" for file in actions["path"].to_pylist())
    oldest, newest = (actions[f"{end}._version"].to_pylist() for end in ("min", "max"))
    return LakeFiles(map(LakeFile, paths, oldest, newest))


@lru_cache(maxsize=256)
def _read_commit_base_version(commit: _Commit) -> int:
    history = DeltaTable(commit.path).history()
    return next(int(info[BASE_VERSION_PROPERTY]) for info in history if BASE_VERSION_PROPERTY in info)
