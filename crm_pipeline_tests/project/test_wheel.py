"""What is installed is whole: the wheel, far from the repository, has all that Dagster loads."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from crm_pipeline_tests.project.test_architecture import ROOT

LOADS = """
from pathlib import Path
import crm_pipeline.definitions
from crm_pipeline.resources.dagster_storage.instance import DAGSTER_YAML
assert DAGSTER_YAML.is_file()
assert Path(crm_pipeline.definitions.__file__).is_relative_to(Path.cwd())
print(*sorted(key.to_user_string() for key in crm_pipeline.definitions.defs.resolve_asset_graph().get_all_asset_keys()))
"""


@pytest.mark.whole_run
def test_the_installed_wheel_loads_its_definitions_without_a_warning(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed),
        "CRM_PIPELINE_HOME": str(tmp_path / "home"),
    }
    loaded = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOADS],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (loaded.returncode, loaded.stderr) == (0, "")
    assert {"customer_profiles", "customer_timeline", "churn_model"} <= set(loaded.stdout.split())
