"""The sample's services, for tests in which something happens to them."""

import shutil
from pathlib import Path

import pytest

from crm_pipeline_tests.support import SAMPLE


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """The sample's sources, to be changed."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "services"))
