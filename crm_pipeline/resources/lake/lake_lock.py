"""The lock of a lake: one process at a time works on a tenant, whatever home, server or host name it has.

Every holder has a file of its own under `<lake>/holders` that says what it holds, and keeps it locked. The kernel gives
the lock up with the process: no lease has to run out, and no clocks are compared. A file that nobody locks is that of a
dead process. Whoever wants tenants reads all files while nobody else does.
"""

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.locking import LOCK_TIMEOUT_SECONDS, try_lock_file, wait_for_tenants
from crm_pipeline.resources.private_files import open_private_file


class LakeHolder(NamedTuple):
    """A process and the tenants it holds, None for all of them."""

    name: str
    tenants: Sequence[str] | None

    def conflicts_with(self, tenants: Sequence[str] | None) -> bool:
        """Whether the tenants cannot be held beside this holder's."""
        return self.tenants is None or tenants is None or not set(tenants).isdisjoint(self.tenants)


@contextmanager
def hold_lake(
    lake: Lake,
    work: str,
    tenants: Sequence[str] | None,
    log: Callable[[str], None],
    timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> Iterator[None]:
    """Holds the tenants (None: all) of the lake while the body runs, after waiting for other processes.

    `work` is what those who wait are told, together with this process and its host.

    Raises:
        TenantsBusyError: other processes still hold them after `timeout_seconds`.
    """
    folder = Path(lake.url) / "holders"
    folder.mkdir(parents=True, exist_ok=True)
    holder = LakeHolder(f"{work} (process {os.getpid()} of {socket.gethostname()})", tenants)
    with ExitStack() as held:
        wait_for_tenants(lambda: _try_register(held, folder, holder), log, timeout_seconds)
        yield


def _try_register(held: ExitStack, folder: Path, holder: LakeHolder) -> str | None:
    """Returns None once a file of the holder's, which goes with `held`, is there; else in words who is in its way."""
    with open_private_file(folder / "lock", "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        others = [other.name for other in _list_holders(folder) if other.conflicts_with(holder.tenants)]
        if others:
            wanted = "some tenants" if holder.tenants is None else f"{', '.join(holder.tenants)} or some of them"
            return f"{', '.join(others)} holds {wanted} in the lake"
        path = folder / f"{uuid4().hex}.json"
        file = held.enter_context(open_private_file(path, "w"))
        try_lock_file(file)
        held.callback(path.unlink, missing_ok=True)
        json.dump(holder._asdict(), file)
        file.flush()
        return None


def _list_holders(folder: Path) -> Iterator[LakeHolder]:
    """Yields the holders that live, and deletes the files of those that are dead."""
    for path in folder.glob("*.json"):
        with open_private_file(path, "r") as file:
            if try_lock_file(file):
                path.unlink()
                continue
            try:
                yield LakeHolder(**json.load(file))
            except (ValueError, TypeError):
                yield LakeHolder(f"the process that keeps {path.name} locked", None)
