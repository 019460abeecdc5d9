"""What every lock needs: locks of files, and waiting for those who hold tenants."""

import fcntl
import time
from collections.abc import Callable
from typing import IO, Final

LOCK_TIMEOUT_SECONDS: Final = 600.0
POLL_SECONDS: Final = 0.5


class TenantsBusyError(Exception):
    """Others hold what is wanted and did not finish in time; the message names them."""

    def __init__(self, holders: str, timeout_seconds: float) -> None:
        super().__init__(f"{holders} and did not finish within {timeout_seconds:.0f} s")


def wait_for_tenants(
    find_holders: Callable[[], str | None], log: Callable[[str], None], timeout_seconds: float
) -> None:
    """Returns once `find_holders` has acquired what is wanted and so returns none; logs once who is waited for.

    Raises:
        TenantsBusyError: the holders are still there after `timeout_seconds`.
    """
    deadline = time.monotonic() + timeout_seconds
    is_reported = False
    while holders := find_holders():
        if time.monotonic() > deadline:
            raise TenantsBusyError(holders, timeout_seconds)
        if not is_reported:
            log(f"waiting: {holders}")
            is_reported = True
        time.sleep(POLL_SECONDS)


def try_lock_file(file: IO[str]) -> bool:
    """Whether this process has the lock on an open file now; it lasts until everybody who has it open closed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
