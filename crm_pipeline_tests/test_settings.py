"""Settings that cannot be used are refused by name."""

from pathlib import Path

import pytest

from crm_pipeline.settings import SettingError, Settings
from crm_pipeline_tests.fixtures.homes.support import clean_environment


@pytest.mark.parametrize("name", ["CRM_PIPELINE_HOME", "LAKE_URL"])
@pytest.mark.parametrize("sign", list("[]%="))
def test_folders_no_list_of_files_can_hold_are_refused(tmp_path: Path, name: str, sign: str) -> None:
    with (
        clean_environment(**{name: str(tmp_path / f"a{sign}b")}),
        pytest.raises(SettingError, match=f"{name}: .* contains"),
    ):
        Settings.from_environment()


def test_a_time_that_is_none_is_refused() -> None:
    with clean_environment(CRM_PIPELINE_AS_OF="noon"), pytest.raises(SettingError, match="CRM_PIPELINE_AS_OF: 'noon'"):
        Settings.from_environment()


@pytest.mark.parametrize("amount", ["much", "0GB", "4", "-1GB"])
def test_an_amount_of_memory_that_is_none_is_refused(amount: str) -> None:
    with (
        clean_environment(CRM_PIPELINE_MEMORY=amount),
        pytest.raises(SettingError, match=r"CRM_PIPELINE_MEMORY: .* such as 512MB or 4GB"),
    ):
        Settings.from_environment()
