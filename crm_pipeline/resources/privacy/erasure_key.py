"""The key of the tombstones: the setting, or with the embedded server one that is made and kept in the home."""

import os
import secrets
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.tombstones import build_key_id
from crm_pipeline.resources.private_files import open_private_file
from crm_pipeline.settings import ERASURE_KEY_FILE, SettingError, Settings, format_path
from crm_pipeline.tables.outputs import privacy


def find_or_create_erasure_key(settings: Settings, lake: Lake, report_progress: Callable[[str], None]) -> str:
    """Returns the key; where it may be created, a new one, with a line that says where it is kept.

    Raises:
        SettingError: there is no key, and none may be created, or it is another than that of earlier tombstones.
    """
    if may_create_erasure_key(settings, lake):
        key, file = secrets.token_urlsafe(32), settings.home / ERASURE_KEY_FILE
        _write_new_file(file, f"{key}\n")
        report_progress(f"a key for tombstones is made: {format_path(file)}; keep a copy where passwords are kept")
        return key
    return require_erasure_key(settings, lake)


def may_create_erasure_key(settings: Settings, lake: Lake) -> bool:
    """Whether there is no key, no tombstone that one was needed for, and the warehouse is the embedded server."""
    has_tombstones = lake.version(privacy.tombstones) >= 0
    return not (settings.erasure_key or settings.warehouse_url or has_tombstones)


def require_erasure_key(settings: Settings, lake: Lake) -> str:
    """Returns the key.

    Raises:
        SettingError: there is none, or it is not the key of the lake's tombstones: with two keys no run could exclude
            all who were forgotten.
    """
    if settings.erasure_key is None:
        raise SettingError(
            "ERASURE_KEY is not set, and tombstones without a key could be guessed: make one"
            " (python -c 'import secrets; print(secrets.token_urlsafe(32))'), keep it, and give it to every run"
        )
    if _find_key_ids(lake) - {build_key_id(settings.erasure_key)}:
        raise SettingError("ERASURE_KEY is not the key that people were forgotten with before: give that one")
    return settings.erasure_key


def _find_key_ids(lake: Lake) -> set[str]:
    """Returns the ids of the keys that the lake's tombstones were made with."""
    with closing(lake.connect()) as con:
        rows = con.sql(f"select distinct key_id from {lake.create_current_view(con, privacy.tombstones)}").fetchall()
    return {key_id for (key_id,) in rows}


def _write_new_file(file: Path, text: str) -> None:
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with open_private_file(draft, "x") as lines:
        lines.write(text)
        lines.flush()
        os.fsync(lines.fileno())
    try:
        os.link(draft, file)  # unlike a rename, it never replaces the key of another process
    except FileExistsError:
        raise SettingError(f"{format_path(file)} has just been made by another command: run this one again") from None
    finally:
        draft.unlink()
