"""What a command needs is checked before it does or prints anything: one line, exit code 1, nothing created."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from crm_pipeline.cli import main
from crm_pipeline.cli.options import override_environment
from crm_pipeline.cli.preflight import require_refresh_places
from crm_pipeline.resources.postgres import database_check
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.settings import SettingError
from crm_pipeline_tests.fixtures.homes.console import crm_pipeline
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.support import AS_OF, SAMPLE, clean_environment
from crm_pipeline_tests.fixtures.worlds.zephyrine import KEY

ROOT = Path(__file__).parents[2]
NOBODY = "postgresql://ada:hunter2@127.0.0.1:1/crm"
CLUB = ("--tenant", "heather-moor")
READING = {
    "status": ("status",),
    "explain": ("explain", *CLUB, "--record", "SCL:1"),
    "url": ("database", "url"),
    "psql": ("database", "psql"),
    "grant": ("database", "grant", *CLUB),
    "drop-tenant": ("database", "drop-tenant", *CLUB),
    "forget": ("forget", *CLUB, "--profile", "x", "--yes"),
    "unforget": ("unforget", *CLUB, "--certificate", "x"),
    "retention": ("retention", *CLUB, "--forever"),
}
"""Commands on what a refresh has made."""
REFRESHING = {"run": ("run", "--sources", str(SAMPLE)), "ui": ("ui", "--sources", str(SAMPLE), "--port", "3999")}
NEEDS = {
    "WAREHOUSE_URL": ("run", "ui", *(name for name in READING if name != "url")),
    "DAGSTER_PG_URL": ("run", "ui", "forget", "unforget", "retention"),
    "WAREHOUSE_ADMIN_URL": ("explain", "grant", "drop-tenant", "forget", "unforget", "retention"),
}
"""The commands that use the database of a setting."""
PROBE = """
import sys
import click
from crm_pipeline.cli import main
try:
    main(sys.argv[1:], standalone_mode=False)
except click.ClickException as error:
    print(error.message)
print("dagster" in sys.modules)
"""


def done(*arguments: str, **variables: str) -> Result:
    """The result of a command in this process."""
    with clean_environment(ERASURE_KEY=KEY, **variables):
        return CliRunner().invoke(main, arguments)


def assert_refused(result: Result, line: str) -> None:
    """Asserts that this line is all that was said."""
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {line}\n")


@pytest.fixture(scope="module")
def server(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server to connect to by URL."""
    with copied(blank, tmp_path_factory.mktemp("preflight") / "home") as home:
        yield EmbeddedPostgres(home)


@pytest.mark.parametrize(("setting", "command"), [(name, command) for name, used in NEEDS.items() for command in used])
def test_a_database_that_does_not_answer_is_all_that_is_said(
    setting: str, command: str, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    good = {"WAREHOUSE_URL": server.url("crm"), "DAGSTER_PG_URL": server.url("dagster")}
    result = done(*(READING | REFRESHING)[command], "--home", str(tmp_path / "home"), **good | {setting: NOBODY})
    assert_refused(result, f"{setting}: database crm on 127.0.0.1:1 cannot be used: the connection is refused")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("setting", NEEDS)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": "open-sesame"}, "the role or its password is wrong"),
        ({"database": "lost"}, "there is no such database or role"),
        (
            {"query": {"options": "-c default_transaction_read_only=on"}},
            "it is read-only: a standby, or with default_transaction_read_only on",
        ),
        ({}, "its PostgreSQL 18 is too old, 99 or newer is needed"),
    ],
)
def test_each_fault_of_each_database_is_one_line(
    setting: str,
    change: dict[str, Any],
    reason: str,
    server: EmbeddedPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = {"WAREHOUSE_URL": "crm", "DAGSTER_PG_URL": "dagster", "WAREHOUSE_ADMIN_URL": "postgres"}[setting]
    wrong = make_url(server.url(database)).set(**change)
    if not change:
        monkeypatch.setattr(database_check, "MIN_SERVER_VERSION", 99)
    command = READING["grant"] if setting == "WAREHOUSE_ADMIN_URL" else REFRESHING["run"]
    variables = {setting: wrong.render_as_string(hide_password=False)}
    (tmp_path / "postgres/data").mkdir(parents=True)
    result = done(*command, "--home", str(tmp_path), **variables)
    place = f"database {wrong.database} on 127.0.0.1:{wrong.port}"
    assert_refused(result, f"{setting}: {place} cannot be used: {reason}")


@pytest.mark.parametrize("setting", [*NEEDS, "SCL_SOURCE", "TEETIME_SOURCE", "MESSAGING_SOURCE", "CRM_SOURCE"])
def test_a_malformed_url_is_refused_by_every_command(setting: str) -> None:
    for command in (("run",), ("ui",), *READING.values()):
        result = done(*command, **{setting: "postgresql://ada:hun@ter2@127.0.0.1/crm"})
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: {setting} is no database URL such as ")
        assert "ter2" not in result.stderr


def test_the_console_script_says_it_in_one_line(tmp_path: Path) -> None:
    finished = crm_pipeline("run", "--sources", str(SAMPLE), home=tmp_path / "home", WAREHOUSE_URL=NOBODY)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.splitlines() == [
        "Error: WAREHOUSE_URL: database crm on 127.0.0.1:1 cannot be used: the connection is refused"
    ]


@pytest.mark.parametrize("command", READING)
def test_a_home_that_is_not_there_is_said_and_not_made(command: str, tmp_path: Path) -> None:
    for home in (tmp_path / "typo", tmp_path):
        found = sorted(tmp_path.iterdir())
        asked = "" if command == "stop" else ", or set WAREHOUSE_URL"
        line = f"there is no database in {home}: give the --home of a refresh{asked}"
        assert_refused(done(*READING[command], "--home", str(home)), line)
        assert sorted(tmp_path.iterdir()) == found


def test_a_server_that_is_not_there_cannot_be_stopped(tmp_path: Path) -> None:
    home = tmp_path / "typo"
    result = done("database", "stop", "--home", str(home))
    assert_refused(result, f"there is no database in {home}: give the --home of a refresh")
    assert not home.exists()


def test_what_if_needs_a_lake(tmp_path: Path) -> None:
    asked = ("what-if", *CLUB, "--min-confidence", "0.9")
    home = tmp_path / "typo"
    assert_refused(done(*asked, "--home", str(home)), f"there is no home in {home}: crm-pipeline run makes it")
    assert not home.exists()
    result = done(*asked, "--home", str(tmp_path), LAKE_URL=str(home))
    assert_refused(result, f"there is no lake in {home}: crm-pipeline run makes it")


@pytest.mark.parametrize("command", ["run", "ui"])
def test_sources_that_are_not_there_are_said_before_anything_is_made(command: str, tmp_path: Path) -> None:
    typo, home = tmp_path / "typo", tmp_path / "home"
    result = done(command, "--sources", str(typo), "--home", str(home))
    folders = ", ".join(str(typo / name) for name in ("scl", "teetime", "messaging", "crm"))
    assert_refused(result, f"no service can be read: there is no folder {folders}")
    assert not home.exists()


@pytest.mark.parametrize(
    "asked", [("run", "--sources", "typo"), ("status", "--home", "typo"), ("run", "--home", "/proc/x")]
)
def test_what_is_missing_is_said_before_dagster_is_imported(asked: tuple[str, ...]) -> None:
    with clean_environment(SCL_SOURCE=str(SAMPLE / "scl")):
        probed = subprocess.run([sys.executable, "-c", PROBE, *asked], capture_output=True, text=True, check=True)
    message, is_imported = probed.stdout.splitlines()
    assert message
    assert is_imported == "False"


@pytest.mark.parametrize("command", REFRESHING)
def test_a_home_or_lake_that_cannot_be_written_is_one_line(command: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder, reason in (
        (file, "Not a directory"),
        (file / "in", "Not a directory"),
        ("/proc/in", "No such file or directory"),
    ):
        result = done(*REFRESHING[command], "--home", str(folder))
        assert_refused(result, f"the home {folder} cannot be written: {reason}")
        result = done(*REFRESHING[command], "--home", str(tmp_path / "home"), LAKE_URL=str(folder))
        assert_refused(result, f"LAKE_URL: {folder} cannot be written: {reason}")
    assert not (tmp_path / "home").exists()


def test_a_lake_that_is_only_read_need_not_be_writable(tmp_path: Path) -> None:
    with clean_environment(LAKE_URL="/proc"):
        refresh = override_environment(tmp_path, SAMPLE)
        replay = override_environment(tmp_path, SAMPLE, AS_OF)
    with pytest.raises(SettingError, match="LAKE_URL: /proc cannot be written"):
        require_refresh_places(refresh)
    require_refresh_places(refresh, dry_run=True)
    require_refresh_places(replay)


def test_a_port_that_is_taken_is_said_at_once_with_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = done("ui", "--sources", str(SAMPLE), "--home", str(tmp_path / "home"), "--port", str(port))
    proposed = re.search(r"--port (\d+) \(make ui PORT=\1\)", result.stderr)
    assert proposed
    line = f"port {port} of 127.0.0.1 is not free: use another, such as {proposed[0]}"
    assert_refused(result, line)
    with socket.create_server(("127.0.0.1", int(proposed[1]))):
        assert not (tmp_path / "home").exists()


def test_make_ui_takes_the_port() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "ui", "PORT=3001"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1].endswith("crm-pipeline ui --sources data/sample --port 3001")
