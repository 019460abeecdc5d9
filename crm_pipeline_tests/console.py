"""What tests of the command line share: the console script in a process of its own, and the same in this one."""

import subprocess
from pathlib import Path

from click.testing import CliRunner, Result

from crm_pipeline.cli import main
from crm_pipeline_tests.support import clean_environment
from crm_pipeline_tests.webserver import BIN, environment

TENANTS = ("fynbos-links", "heather-moor", "saguaro-ridge")
SECONDS = 90


def crm_pipeline(*arguments: str, home: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a command says, its output going where no terminal is."""
    command = [str(BIN / "crm-pipeline"), *arguments, *(("--home", str(home)) if home else ())]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def here(*arguments: str) -> Result:
    """What a command says in this process."""
    with clean_environment():
        return CliRunner().invoke(main, arguments, prog_name="crm-pipeline")


def assert_one_clear_line(exit_code: int, said: str, named: str) -> None:
    """The command failed, and its last word, on a line of its own, names the mistake."""
    assert exit_code in {1, 2}
    assert named in said.splitlines()[-1]
    assert said.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in said
