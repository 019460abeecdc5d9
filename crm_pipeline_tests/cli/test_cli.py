"""Help, mistakes and reading commands of the command line.

Help and mistakes are many and start nothing, so they run in this process, and once each as users run them.
"""

import re
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from crm_pipeline.cli import main
from crm_pipeline.cli.database import database_commands
from crm_pipeline.settings import SAMPLE_FILE
from crm_pipeline_tests.fixtures.homes.console import TENANTS, assert_one_clear_line, crm_pipeline, here
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, clean_environment
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS
from crm_pipeline_tests.fixtures.servers.webserver import BIN, environment


@pytest.mark.parametrize(
    "command",
    ["", "run", "ui", "status", "explain", "what-if", "sample", "database", "database url", "database stop"],
)
def test_help_says_what_a_command_does(command: str) -> None:
    done = here(*command.split(), "--help")
    assert done.exit_code == 0
    assert f"Usage: {' '.join(['crm-pipeline', *command.split()])} [OPTIONS]" in done.stdout


def test_the_console_script_gives_help() -> None:
    done = crm_pipeline("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: crm-pipeline [OPTIONS]" in done.stdout


def test_help_for_80_columns_has_every_sentence_to_its_end() -> None:
    for group, commands in ((main, ""), (database_commands, "database")):
        with clean_environment(COLUMNS="80"):
            said = CliRunner().invoke(main, [*commands.split(), "--help"], terminal_width=80).stdout
        assert max(map(len, said.splitlines())) <= 80
        assert "..." not in said.partition("Commands:")[2]
        words = " ".join(said.split())
        for command in group.commands.values():
            assert command.help
            assert command.help in words


def test_the_version_is_that_of_the_package() -> None:
    assert here("--version").stdout == f"crm-pipeline, version {version('crm-pipeline')}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--sources", str(SAMPLE), "--as-of", "yesterday"], "--as-of: 'yesterday' is not an ISO 8601 time"),
        (
            ["run", "--as-of", "2262-03-31T12:00:00Z"],
            "--as-of: 2262-03-31T12:00:00Z is more than a day ahead of the clock",
        ),
        (["run", "--as-of", "9999-12-31T23:59:59Z"], "--as-of: 9999-12-31T23:59:59Z is more than a day ahead"),
        (["run", "--as-of", ""], "--as-of: '' is not an ISO 8601 time"),
        (["run", "--as-of", "0001-01-01T00:00:00+14:00"], "--as-of: '0001-01-01T00:00:00+14:00' is not an ISO"),
        (["run", "--believe", "foo"], "'--believe': 'foo' is not one of 'SCL.Member'"),
        (["run", "--believe", "SCL.Tenant"], "'--believe': 'SCL.Tenant' is not one of"),
        (["run"], "no service is set up: give --sources DIR, or set SCL_SOURCE"),
        (["run", "--sources", str(SAMPLE), "--home", "/tmp/100%"], "/tmp/100% contains %"),  # noqa: S108
        (["status", "--home", "/tmp/100%"], "/tmp/100% contains %"),  # noqa: S108
        (["ui"], "no service is set up"),
        (["ui", "--port", "70000"], "'--port': 70000 is not in the range"),
        (["sample", "--until", "tomorrow", "--out", "nowhere"], "--until: 'tomorrow' is not an ISO 8601 time"),
        (["sample", "--seed", "-1", "--out", "nowhere"], "'--seed': -1 is not in the range"),
        (["sample", "--out", __file__], f"'--out': Directory '{__file__}' is a file"),
        (["sample", "--out", str(Path(__file__).parent)], "cli has other files: give a new folder"),
        (["sample", "--out", "postgresql://ada:secret@db/crm"], "--out is a folder; a URL is for --to"),
        (["sample", "--out", "/proc/sample"], "/proc/sample: No such file or directory"),
        (["sample"], "give one of --out and --to"),
        (["sample", "--out", "nowhere", "--to", "postgresql://somewhere"], "give one of --out and --to"),
        (["what-if", "--tenant", "t", "--min-confidence", "high"], "'--min-confidence': 'high' is not a valid float"),
        (["what-if", "--tenant", "t", "--min-confidence", "1.5"], "'--min-confidence': 1.5 is not in the range"),
        (["what-if", "--tenant", "t", "--min-confidence", "nan"], "'--min-confidence': nan is no number"),
    ],
)
def test_a_mistake_is_named_in_one_line(arguments: list[str], named: str) -> None:
    done = here(*arguments)
    assert_one_clear_line(done.exit_code, done.stderr, named)


def test_status_says_how_fresh_every_tenant_is(sample_home: Path) -> None:
    done = crm_pipeline("status", home=sample_home)
    assert done.returncode == 0, done.stderr
    for tenant in TENANTS:
        (line,) = (line for line in done.stdout.splitlines() if tenant in line)
        assert "2026-03-31 12:00" in line
    assert done.stdout.count("SCL FRESH 2026-03-31 12:00") == len(TENANTS)
    assert "…" not in done.stdout


def test_status_through_a_pipe_is_as_wide_as_columns_says(sample_home: Path) -> None:
    done = crm_pipeline("status", home=sample_home, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.count("SCL FRESH 2026-03-31 12:00") == len(TENANTS)


@pytest.mark.parametrize("terminal", [{"PYTHONIOENCODING": "ascii"}, {"COLUMNS": "\u00b2"}])
def test_status_is_said_in_any_terminal(sample_home: Path, terminal: dict[str, str]) -> None:
    done = crm_pipeline("status", home=sample_home, **terminal)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("SCL FRESH 2026-03-31 12:00") == len(TENANTS)


def test_what_cannot_be_written_is_one_line(sample_home: Path) -> None:
    command = [str(BIN / "crm-pipeline"), "status", "--home", str(sample_home)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device\n")


def test_database_url_is_all_that_is_printed_and_takes_logins(sample_home: Path) -> None:
    done = crm_pipeline("database", "url", home=sample_home)
    assert (done.returncode, done.stderr) == (0, "")
    (address,) = done.stdout.splitlines()
    assert address.startswith("postgresql://")
    with create_engine(address.replace("postgresql://", "postgresql+psycopg2://")).connect() as connection:
        tenants = connection.execute(text("select count(distinct tenant_id) from crm.customer_profiles"))
        assert tenants.scalar_one() == len(TENANTS)


def test_database_psql_is_a_session_on_the_schema(sample_home: Path) -> None:
    command = [str(BIN / "crm-pipeline"), "database", "psql", "--home", str(sample_home)]
    asked = "\\t\nselect count(distinct tenant_id) from customer_profiles"
    done = subprocess.run(
        command, env=environment(), input=asked, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[-1] == str(len(TENANTS))


def test_sample_prints_a_run_into_a_home_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "two clubs [1]"
    done = here("sample", "--tenants", "2", "--people", "20", "--events", "90", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert (out / SAMPLE_FILE).is_file()
    said, printed = done.stdout.splitlines()
    assert said.startswith(f"20 people of 2 clubs are in {out}.")
    _, *options = shlex.split(printed)
    home = tmp_path / "two clubs -1--home"
    assert options == ["run", "--sources", str(out), "--as-of", "2026-03-31T12:00:00Z", "--home", str(home)]


def test_completion_of_the_shell_knows_every_command() -> None:
    done = crm_pipeline(_CRM_PIPELINE_COMPLETE="bash_complete", COMP_WORDS="crm-pipeline ", COMP_CWORD="1")
    assert set(re.findall(r"^plain,([\w-]+)$", done.stdout, re.MULTILINE)) == set(main.commands)
