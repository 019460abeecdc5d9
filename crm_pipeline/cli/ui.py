"""`crm-pipeline ui`: Dagster's code server, daemon and web page, which end together and with the runs they started.

Each has a session of its own: Ctrl-C in a terminal reaches the command alone, which ends the others in order.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from crm_pipeline.cli.interrupts import ignore_interrupts
from crm_pipeline.resources.locking import try_lock_file
from crm_pipeline.settings import format_path

CODE_LOCATION = "crm_pipeline.definitions"
GRACE_SECONDS = 60.0
"""Time that runs and processes have to end by themselves; what is left after it is killed."""
PAUSE_SECONDS = 0.2
CODE_SERVER_TIMEOUT = {"DAGSTER_GRPC_TIMEOUT_SECONDS": "600"}
"""Dagster's minute for an answer of the code server is too short for the start of a run on a busy machine."""
UNDER_WAY = dg.RunsFilter(
    statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Keeps other `crm-pipeline ui` away from a home while the body runs; its schedule would start every hour twice.

    Raises:
        click.ClickException: one is there.
    """
    with (home / "ui.lock").open("w") as file:
        if not try_lock_file(file):
            raise click.ClickException(f"another crm-pipeline ui serves {format_path(home)}")
        yield


def serve_dagster(port: int) -> None:
    """Serves Dagster on 127.0.0.1 until KeyboardInterrupt; then none of its processes and no run of theirs is left.

    Prints the address once the page is there.

    Raises:
        click.ClickException: One of the processes ended by itself.
    """
    with tempfile.TemporaryDirectory(prefix="crm-pipeline-") as folder:
        services = DagsterServices(Path(folder))
        try:
            services.start(port)
            services.watch(until=lambda: _is_served(port))
            click.echo(f"Dagster at http://127.0.0.1:{port} (Ctrl-C ends it)")
            services.watch()
        except KeyboardInterrupt:
            click.echo("Ending Dagster and the runs it has started")
        finally:
            ignore_interrupts()
            services.end()


def _is_served(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass(frozen=True)
class DagsterServices:
    """The processes of one `crm-pipeline ui`, by program; the socket between them is in `folder`."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        """The socket of the code server."""
        return self.folder / "code.sock"

    def start(self, port: int) -> None:
        """Starts the code server, and the daemon and the web page as soon as its code is loaded."""
        server = {"location_name": CODE_LOCATION, "host": "localhost", "socket": str(self.socket)}
        workspace = self.folder / "workspace.yaml"
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        target = ("--module-name", CODE_LOCATION, "--socket", str(self.socket))
        self._start_program("dagster", "api", "grpc", *target, "--log-level", "warning")
        self.watch(until=self.socket.exists)
        self._start_program("dagster-daemon", "run", "--workspace", str(workspace))
        address = ("--host", "127.0.0.1", "--port", str(port))
        self._start_program("dagster-webserver", "--workspace", str(workspace), *address)

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Returns as soon as `until` holds.

        Raises:
            click.ClickException: One of the processes has ended.
        """
        while not until():
            for program, process in self.processes.items():
                if process.poll() is not None:
                    raise click.ClickException(f"{program} has ended, with exit code {process.returncode}")
            time.sleep(PAUSE_SECONDS)

    def end(self) -> None:
        """Cancels the runs of these processes and ends the processes; kills what is left after GRACE_SECONDS."""
        deadline = time.monotonic() + GRACE_SECONDS
        try:
            if self.processes:
                self._end_runs(deadline)
                self._end_code_server(deadline)
        finally:
            self._kill_processes()
            self._cancel_killed_runs()

    def _start_program(self, program: str, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        self.processes[program] = subprocess.Popen(  # noqa: S603
            command, env=CODE_SERVER_TIMEOUT | os.environ, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _end_runs(self, deadline: float) -> None:
        """Ends the daemon and the web page, and the runs, among them those that the daemon was starting."""
        code_server, *others = self.processes.values()
        for process in others:
            process.terminate()
        canceled: set[str] = set()
        with dg.DagsterInstance.get() as instance:
            while code_server.poll() is None and time.monotonic() < deadline:
                can_start_runs = any(process.poll() is None for process in others)
                runs = self._find_runs(instance)
                if not runs and not can_start_runs:
                    return
                for run_id in {run.run_id for run in runs} - canceled:
                    # False before the run has a process.
                    if instance.run_launcher.terminate(run_id):
                        canceled.add(run_id)
                time.sleep(PAUSE_SECONDS)

    def _end_code_server(self, deadline: float) -> None:
        code_server = next(iter(self.processes.values()))
        code_server.terminate()
        with suppress(subprocess.TimeoutExpired):
            code_server.wait(max(0.0, deadline - time.monotonic()))

    def _kill_processes(self) -> None:
        for process in self.processes.values():
            # A run has a process of its own in the code server's group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _cancel_killed_runs(self) -> None:
        with dg.DagsterInstance.get() as instance:
            for run in self._find_runs(instance):
                instance.report_run_canceled(run, "its process was killed, since `crm-pipeline ui` was to end")
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)

    def _find_runs(self, instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
        """Returns the runs under way whose process the code server started; others may share Dagster's storage."""
        return [run for run in instance.get_runs(UNDER_WAY) if str(self.socket) in run.tags.get(GRPC_INFO_TAG, "")]
