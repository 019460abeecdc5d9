"""The embedded PostgreSQL server under the home folder, used where no other is configured: start, stop and URLs."""

import fcntl
import json
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from crm_pipeline.faults import describe_error
from crm_pipeline.resources.locking import try_lock_file
from crm_pipeline.resources.postgres.cluster import DATABASE_OWNERS, SUPERUSER, build_server_options, create_cluster
from crm_pipeline.resources.postgres.programs import EmbeddedPostgresError, build_error_with_log, run_program
from crm_pipeline.resources.private_files import open_private_file, write_private_json

SERVER_TIMEOUT_SECONDS = 600
MAX_LOG_BYTES = 10 * 1024 * 1024
"""Size at which the server's log begins anew."""
WAIT_OPTIONS = ("--wait", f"--timeout={SERVER_TIMEOUT_SECONDS}")


@dataclass(frozen=True)
class _ServerAccess:
    """Port and passwords by role, stored in `access.json`."""

    port: int = 0
    passwords: dict[str, str] = field(
        default_factory=lambda: {role: secrets.token_urlsafe(24) for role in (SUPERUSER, *DATABASE_OWNERS.values())},
        repr=False,
    )


@dataclass(frozen=True)
class EmbeddedPostgres:
    """The server of one home folder; any number of these objects, in any processes, control the same server.

    Every process of the server inherits the log as its output, and with it the starter's lock on the log: who gets that
    lock knows that no process is left. Unlike a process id, it cannot be stale after a crash or a reboot.
    """

    home: Path

    def start(self) -> None:
        """Starts the server, created if missing, and returns when it accepts logins; it outlives this process.

        Raises:
            EmbeddedPostgresError: the server cannot be created or started, or accepts no logins.
        """
        deadline = time.monotonic() + SERVER_TIMEOUT_SECONDS
        with self._hold_server_lock() as log:
            if self._data.exists():
                self._read_access()
            while not (is_stopped := try_lock_file(log)) and not self.is_running():
                if time.monotonic() > deadline:
                    raise build_error_with_log("a server runs but takes no logins", log)
                time.sleep(0.05)
            if is_stopped:
                self._start_server(log)

    def stop(self) -> None:
        """Stops the server, closing its connections, and returns when none of its processes is left."""
        if not self._folder.exists():
            return
        with self._hold_server_lock() as log:
            if not try_lock_file(log):
                run_program(log, self._data, "pg_ctl", "stop", "--mode=fast", *WAIT_OPTIONS)
                fcntl.flock(log, fcntl.LOCK_EX)

    def is_created(self) -> bool:
        """Whether the home has a server, running or not."""
        return self._data.is_dir()

    def is_running(self) -> bool:
        """Whether the server accepts a login."""
        # Without require_auth, another server on this port could ask for the password in clear text, or accept any.
        connect_options = {"connect_timeout": 10, "require_auth": "scram-sha-256"}
        try:
            with create_engine(self.url(SUPERUSER), poolclass=NullPool, connect_args=connect_options).connect():
                return True
        except (EmbeddedPostgresError, OperationalError):
            return False

    def url(self, database: str) -> str:
        """Returns the SQLAlchemy URL of a database as its owner (`postgres`: superuser); starts may change the port."""
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
    def _hold_server_lock(self) -> Iterator[IO[str]]:
        """Yields the open log while no other process may start or stop this server."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock, log = open_private_file(self._folder / "turn.lock", "a"), open_private_file(self._log, "a")
        except OSError as failure:
            raise EmbeddedPostgresError(f"no place for a server: {describe_error(failure)}") from None
        with lock, log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._log.stat().st_size > MAX_LOG_BYTES:
                log.truncate(0)  # the server appends, also while it runs
            yield log

    def _start_server(self, log: IO[str]) -> None:
        if not self._data.exists():
            self._create_data_folder(log)
        # The server is stopped; PostgreSQL refuses to start if any other process now has the id in this file.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        access = self._read_access()
        port = find_free_port(access.port)
        if port != access.port:
            self._write_access(_ServerAccess(port, access.passwords))
        run_program(log, self._data, "pg_ctl", "start", *WAIT_OPTIONS, f"--options={build_server_options(port)}")
        if not self.is_running():
            raise build_error_with_log("the server has started but refuses the login kept beside it", log)

    def _create_data_folder(self, log: IO[str]) -> None:
        draft = self._folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        access = _ServerAccess()
        self._write_access(access)
        create_cluster(log, draft, access.passwords)
        draft.rename(self._data)

    def _read_access(self) -> _ServerAccess:
        try:
            access = _ServerAccess(**json.loads(self._access_file.read_text()))
            return _ServerAccess(int(access.port), {role: str(password) for role, password in access.passwords.items()})
        except (OSError, ValueError, TypeError, AttributeError) as failure:
            reason = describe_error(failure) if isinstance(failure, OSError) else f"{self._access_file} is damaged"
            raise EmbeddedPostgresError(f"not started yet, or the passwords are lost or not ours: {reason}") from None

    def _write_access(self, access: _ServerAccess) -> None:
        write_private_json(self._access_file, asdict(access))


def find_free_port(preferred: int) -> int:
    """Returns the preferred port of 127.0.0.1 if no server has it, else one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_embedded_postgres(home: Path) -> EmbeddedPostgres:
    """Returns the running server under `home`, started if needed."""
    server = EmbeddedPostgres(home)
    server.start()
    return server
