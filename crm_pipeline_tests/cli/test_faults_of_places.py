"""What is wrong with a home, a lake or this machine ends a command with one line and exit code 1."""

from pathlib import Path

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline_tests.fixtures.homes.console import here
from crm_pipeline_tests.fixtures.homes.support import SAMPLE
from crm_pipeline_tests.fixtures.servers.lake_rows import TABLE, a_row, put

WHAT_IF = ("what-if", "--tenant", "links", "--min-confidence", "0.5")
CLUB = ("--tenant", "links")
COMMANDS = {
    "run": ("run", "--sources", str(SAMPLE)),
    "status": ("status",),
    "explain": ("explain", *CLUB, "--record", "SCL:1"),
    "what-if": WHAT_IF,
    "url": ("database", "url"),
    "stop": ("database", "stop"),
}


def assert_one_line(home: Path, command: tuple[str, ...], line: str) -> None:
    """Asserts that the command says this, and nothing else."""
    result = here(*command, "--home", str(home))
    said = result.stderr.splitlines()
    assert (result.exit_code, len(said)) == (1, 1), result.output
    assert said[0].startswith("Error: ")
    assert line in said[0]
    assert "jean@example.org" not in result.output


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_home_that_is_a_file(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "home").write_text("jean@example.org")
    assert_one_line(tmp_path / "home", command, str(tmp_path / "home"))


@pytest.mark.parametrize("command", [COMMANDS["status"], COMMANDS["url"]])
def test_damaged_passwords_of_the_embedded_server(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "postgres/data").mkdir(parents=True)
    (tmp_path / "postgres/access.json").write_text('{"port": 5432, "passwords": {"jean@example.org')
    assert_one_line(tmp_path, command, "access.json is damaged")


@pytest.mark.parametrize("left", [0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("commit", [0, 1])
def test_a_truncated_delta_log(tmp_path: Path, commit: int, left: float) -> None:
    lake = Lake(str(tmp_path / "lake"), tmp_path / "spill")
    put(lake, [a_row("jean@example.org", "A")])
    put(lake, [a_row("jean@example.org", "A", 2)])
    log = Path(lake.path(TABLE)).rename(tmp_path / "lake/service_snapshots") / "_delta_log" / f"{commit:020}.json"
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * left)])
    assert_one_line(tmp_path, WHAT_IF, "table service_snapshots of the lake cannot be read")
