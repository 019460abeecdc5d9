"""The files of a Delta table: how they are written, and as its transaction log lists them, read once per commit.

Asking deltalake costs milliseconds, and a run asks for the same tables dozens of times. What the files hold belongs
to `lake`.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

from deltalake import DeltaTable

BASE_VERSION_PROPERTY: Final = "crm_pipeline.through"
"""Property of a base's commit: the newest version of the log that is folded into it."""


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
        """The oldest version of any row; -1 where there is none."""
        return min((file.oldest for file in self), default=-1)

    @property
    def newest(self) -> int:
        """The newest version of any row; -1 where there is none."""
        return max((file.newest for file in self), default=-1)

    def after(self, version: int) -> "LakeFiles":
        """Those that may have rows of later versions."""
        return LakeFiles(file for file in self if file.newest > version)

    def until(self, version: int) -> "LakeFiles":
        """Those that may have rows of this version or earlier ones."""
        return LakeFiles(file for file in self if file.oldest <= version)


class _Commit(NamedTuple):
    """The newest commit of a table; of two tables that lay at one path one after the other, either."""

    path: str
    name: str
    inode: int
    made_at: int


def list_lake_files(path: str) -> LakeFiles:
    """What the newest commit of the table at this path lists; nothing where there is no table."""
    newest = _find_newest_commit(path)
    return LakeFiles() if newest is None else _read_commit_files(newest)


def read_base_version(path: str) -> int | None:
    """The version of the log that the base at this path is the state of; None where there is no base."""
    newest = _find_newest_commit(path)
    return None if newest is None else _read_commit_base_version(newest)


def _find_newest_commit(path: str) -> _Commit | None:
    log = Path(path) / "_delta_log"
    name = max((file.name for file in log.glob("*.json")), default=None)
    if name is None:
        return None
    made = (log / name).stat()
    return _Commit(path, name, made.st_ino, made.st_mtime_ns)


@lru_cache(maxsize=256)
def _read_commit_files(commit: _Commit) -> LakeFiles:
    actions = DeltaTable(commit.path).get_add_actions(flatten=True)
    paths = (f"{commit.path}/{unquote(file)}" for file in actions["path"].to_pylist())
    oldest, newest = (actions[f"{end}._version"].to_pylist() for end in ("min", "max"))
    return LakeFiles(map(LakeFile, paths, oldest, newest))


@lru_cache(maxsize=256)
def _read_commit_base_version(commit: _Commit) -> int:
    return next(
        int(note[BASE_VERSION_PROPERTY]) for note in DeltaTable(commit.path).history() if BASE_VERSION_PROPERTY in note
    )
