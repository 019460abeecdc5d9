"""Files that only this user can read."""

import json
import os
from pathlib import Path
from typing import IO, Any


def open_private_file(path: Path, mode: str) -> IO[str]:
    """Returns the open file, created for this user alone where it is not there."""
    return open(path, mode, encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600))


def write_private_json(path: Path, document: Any) -> None:  # noqa: ANN401  anything that JSON holds
    """Puts a file with this document in the place of the one that is there, on the disk and whole at any time."""
    draft = path.with_suffix(".new")
    with open_private_file(draft, "w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
