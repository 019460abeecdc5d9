"""Help, mistakes and reading commands of the command line.

Help and mistakes are many and start nothing, so they run in this process, and once each as users run them.
"""

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from crm_pipeline_tests.fixtures.homes.console import TENANTS, assert_one_clear_line, crm_pipeline, here
from crm_pipeline_tests.fixtures.homes.support import SAMPLE
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


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--sources", str(SAMPLE), "--as-of", "yesterday"], "'yesterday' is not an ISO 8601 time"),
        (["run"], "no service is set up: give --sources DIR, or set SCL_SOURCE"),
        (["run", "--sources", str(SAMPLE), "--home", "/tmp/100%"], "/tmp/100% contains %"),  # noqa: S108
        (["status", "--home", "/tmp/100%"], "/tmp/100% contains %"),  # noqa: S108
        (["ui"], "no service is set up"),
        (["sample", "--until", "tomorrow", "--out", "nowhere"], "'tomorrow' is not an ISO 8601 time"),
        (["sample"], "Missing option '--out'"),
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
    assert done.stdout.count("SCL 2026-03-31 12:00") == len(TENANTS)
    assert "…" not in done.stdout


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
