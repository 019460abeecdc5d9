"""A run in a terminal is never silent for long."""

import re

import pytest

from crm_pipeline.defs import progress_lines
from crm_pipeline.defs.progress_lines import ProgressLines
from crm_pipeline_tests.fixtures.servers.patience import wait_until


def test_a_line_says_that_silent_work_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_lines, "SILENT_SECONDS", 0.1)
    lines = ProgressLines()
    with lines.never_silent():
        said = wait_until(lambda: capsys.readouterr().err, bool, "a line")
    assert all(re.fullmatch(r"  … \d+ s", line) for line in said.splitlines())


def test_work_that_says_enough_itself_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ProgressLines()
    with lines.never_silent():
        lines.write("step")
    assert capsys.readouterr().err == "step\n"
