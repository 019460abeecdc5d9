"""Dagster's own processes say in one line which setting they cannot start with."""

import shutil
import subprocess
from pathlib import Path

import pytest

from crm_pipeline.resources.dagster_storage.instance import DAGSTER_YAML
from crm_pipeline_tests.fixtures.servers.webserver import BIN, environment

MODULE = ("--module-name", "crm_pipeline.definitions")


@pytest.mark.parametrize("command", [("dagster-webserver", *MODULE), ("dagster-daemon", "run", *MODULE)])
def test_a_process_without_its_database_says_so_in_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    shutil.copyfile(DAGSTER_YAML, tmp_path / "dagster.yaml")
    variables = {"DAGSTER_HOME": str(tmp_path), "DAGSTER_PG_URL": "postgresql://ada:hunter2@127.0.0.1:1/dagster"}
    program, *arguments = command
    finished = subprocess.run(
        [str(BIN / program), *arguments], env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    said = finished.stderr.splitlines()[-1]
    assert said == "Error: DAGSTER_PG_URL: database dagster on 127.0.0.1:1 cannot be used: the connection is refused"
    assert "Traceback" not in finished.stdout + finished.stderr
