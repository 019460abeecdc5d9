"""The register of a lake: how far each table was written, so that one which was lost or set back is noticed.

The tables belong together: from a lake without some of them, or with an older copy of one, every club would get other
ids and figures. `<lake>/tables.json` has the newest commit of each; commits are only ever added.
"""

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from crm_pipeline.resources.lake.files import (
    DamagedLakeError,
    LakeFile,
    find_newest_commit_number,
    list_lake_files,
)
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.private_files import open_private_file, write_private_json
from crm_pipeline.tables import LAKE_TABLES
from crm_pipeline.tables.projections import to_lake_name

REGISTER_NAME: Final = "tables.json"
RESTORE_ADVICE: Final = (
    "restore the lake from a backup, or delete all of it: the next run then reads every service anew"
)


def require_registered_tables(lake: Lake) -> None:
    """Does nothing where every table is as far as it was written, and has its files.

    Raises:
        DamagedLakeError: a table is lost, older than it was, or lacks a file; the message names it.
    """
    registered = _read_register(lake)
    for table in LAKE_TABLES:
        name, path = to_lake_name(table), lake.path(table)
        if (commit := find_newest_commit_number(path)) < registered.get(name, -1):
            state = "is gone" if commit < 0 else "is an older copy"
            raise DamagedLakeError(f"table {name} of the lake {state}, and the others are not: {RESTORE_ADVICE}")
        for file in list_lake_files(path):
            if not _is_whole(file):
                raise DamagedLakeError(f"a file of table {name} of the lake is gone or cut: {RESTORE_ADVICE}")


def register_tables(lake: Lake) -> None:
    """Writes the newest commit of every table into the register; of two processes at once neither sets one back."""
    path = Path(lake.url) / REGISTER_NAME
    with open_private_file(path.with_suffix(".lock"), "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        commits = {to_lake_name(table): find_newest_commit_number(lake.path(table)) for table in LAKE_TABLES}
        write_private_json(path, {name: commit for name, commit in commits.items() if commit >= 0})


def _is_whole(file: LakeFile) -> bool:
    try:
        return Path(file.path).stat().st_size == file.size
    except FileNotFoundError:
        return False


def _read_register(lake: Lake) -> Mapping[str, int]:
    """Returns the commits; none where the register itself is missing or damaged, as the tables may still be sound."""
    try:
        commits = json.loads((Path(lake.url) / REGISTER_NAME).read_text(encoding="utf-8"))
        return {str(name): int(commit) for name, commit in commits.items()}
    except (FileNotFoundError, ValueError, AttributeError, TypeError):
        return {}
