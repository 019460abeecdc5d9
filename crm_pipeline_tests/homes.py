"""Homes that are made once and copied: most tests want one that is up to date, and few want to see it made."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crm_pipeline.cli.options import choose
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres, started
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.service_databases import spare_the_disk
from crm_pipeline_tests.support import clean_environment, stopped_afterwards


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """What the first to ask has made under this name, of all the processes among which the tests are dealt out."""
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    made, draft = shared / name, shared / f"{name}.new"
    with (shared / f"{name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(draft, ignore_errors=True)
            make(draft)
            draft.rename(made)
    return made


@contextmanager
def copied(made: Path, home: Path) -> Iterator[Path]:
    """A home that goes on from a stopped one; its server runs, on a port of its own, and does not outlive the body."""
    # Unlike Python's own, it keeps owners, and a server refuses data that are not its user's.
    subprocess.run(["cp", "-a", str(made), str(home)], check=True)  # noqa: S607
    # Several that start at once would all find the port free that all of them remember.
    remembered = home / "postgres" / "access.json"
    remembered.write_text(json.dumps(json.loads(remembered.read_text()) | {"port": 0}))
    with stopped_afterwards(home):
        EmbeddedPostgres(home).start()
        yield home


def make_blank(home: Path) -> None:
    """A home with all it needs before its first run; its server is for those who never take the power away."""
    with stopped_afterwards(home), clean_environment():
        server = started(home)
        spare_the_disk(server)
        Warehouse(server.url("crm")).prepare()
        open_instance(choose(home)).dispose()
