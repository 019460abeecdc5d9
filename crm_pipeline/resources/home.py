"""Home and lake are closed to every other user of the machine."""

import os
import stat
from pathlib import Path

from crm_pipeline.settings import Settings

FOLDERS = ("spill", "data_docs", "dagster")
"""Folders of the home that hold people's data or what is said of them; the embedded server closes its own."""


def close_home(settings: Settings) -> None:
    """Makes new folders 0700 and new files 0600 from now on in this process and those it starts.

    Also closes the folders that earlier versions left open. A home that was there before is the operator's and stays.
    """
    os.umask(0o077)
    for folder in (Path(settings.lake_url), *(settings.home / name for name in FOLDERS)):
        if folder.is_dir() and _is_ours(folder.stat()):
            folder.chmod(0o700)


def _is_ours(status: os.stat_result) -> bool:
    """Whether the folder is this user's own, and none that all users share, such as /tmp."""
    return status.st_uid == os.geteuid() and not status.st_mode & stat.S_ISVTX
