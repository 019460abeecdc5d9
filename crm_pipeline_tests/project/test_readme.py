"""What README tells to type works in a copy of the tree: line by line, then backwards; in the soak both twice."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from crm_pipeline.settings import SAMPLE_FILE
from crm_pipeline_tests.fixtures.homes.console import TENANTS
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import stopped_afterwards
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS
from crm_pipeline_tests.fixtures.servers.webserver import Webserver, environment, find_free_port, wait_for_page
from crm_pipeline_tests.project.test_architecture import ROOT

pytestmark = pytest.mark.whole_run

COPIED = ("crm_pipeline", "data/sample", "Makefile", "README.md", "dagster.yaml", "pyproject.toml", "requirements.lock")
TYPED = re.compile(r"^    ((?:make|\.venv/bin/crm-pipeline) .*?) *(?:# *(.*))?$", re.MULTILINE)
HAS_PLACEHOLDER = re.compile(r" [A-Z]+\b")


class Line(NamedTuple):
    """A command, and the comment after it: to psql, what to type there."""

    command: str
    comment: str


README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [Line(*found) for found in TYPED.findall(README) if not HAS_PLACEHOLDER.search(found[0])]
ORDERS = [*LINES, *LINES[::-1]]
TYPED_LINES = list(enumerate(ORDERS * (2 if SOAK else 1)))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the tree in which nothing was run yet; its environment is this one."""
    tree = tmp_path_factory.mktemp("clone")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        (tree / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tree / name)
    (tree / ".venv").mkdir()
    (tree / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (tree / ".venv" / ".ready").touch()
    with stopped_afterwards(tree / "data" / "local"):
        yield tree


def type_line(tree: Path, line: Line) -> subprocess.CompletedProcess[str]:
    """The finished process of a line as a person types it in the tree."""
    return subprocess.run(
        shlex.split(line.command),
        cwd=tree,
        env=environment(PYTHONPATH=str(tree)),
        input=line.comment if line.command.endswith(" psql") else "",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def open_ui(tree: Path, line: Line) -> None:
    """Runs a line that opens Dagster, until its page answers; Ctrl-C ends it."""
    port, path = find_free_port(), tree / "ui.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            shlex.split(line.command),
            cwd=tree,
            env=environment(PYTHONPATH=str(tree), PORT=str(port)),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for_page(Webserver(port, path, process))
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE_SECONDS)


def test_the_readme_has_what_a_first_hour_needs() -> None:
    commands = [line.command for line in LINES]
    assert commands[:2] == ["make run", "make ui"]
    assert len(commands) > 8


@pytest.mark.parametrize(
    ("place", "line"), TYPED_LINES, ids=[f"{place} {line.command[:40]}" for place, line in TYPED_LINES]
)
def test_every_line_works_in_any_order_as_often_as_one_likes(tree: Path, place: int, line: Line) -> None:
    if line.command == "make ui":
        open_ui(tree, line)
        return
    done = type_line(tree, line)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stdout + done.stderr
    if line.command == "make run" and place:
        assert "Nothing changed: 0 rows published" in done.stdout
    if line.command.endswith(" status"):
        shown = [row for row in done.stdout.splitlines() if any(tenant in row for tenant in TENANTS)]
        assert len(shown) == len(TENANTS)
        assert all("2026-03-31 12:00" in row for row in shown)


def test_it_leaves_a_demo_of_the_sample(tree: Path) -> None:
    home = tree / "data" / "local"
    assert (home / SAMPLE_FILE).read_bytes() == (tree / "data" / "sample" / SAMPLE_FILE).read_bytes()


def test_a_line_is_typed_with_its_comment_apart() -> None:
    said = "\n    make run    # sets up\n    .venv/bin/crm-pipeline status\ntext\n    DIR/x.csv\n"
    assert [Line(*found) for found in TYPED.findall(said)] == [
        Line("make run", "sets up"),
        Line(".venv/bin/crm-pipeline status", ""),
    ]
