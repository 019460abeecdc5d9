"""Settings that cannot be used are refused by name."""

from pathlib import Path

import pytest

from crm_pipeline.settings import ERASURE_KEY_FILE, SettingError, Settings, format_time, parse_time
from crm_pipeline_tests.fixtures.homes.support import clean_environment


@pytest.mark.parametrize("name", ["CRM_PIPELINE_HOME", "LAKE_URL"])
@pytest.mark.parametrize("sign", list("[]%=*?\\^|\n\t\x1b\x7f"))
def test_folders_no_list_of_files_can_hold_are_refused(tmp_path: Path, name: str, sign: str) -> None:
    with (
        clean_environment(**{name: str(tmp_path / f"a{sign}b")}),
        pytest.raises(SettingError, match=f"{name}: .* contains") as error,
    ):
        Settings.from_environment()
    assert str(error.value).isprintable()


@pytest.mark.parametrize("folder", ["{a,b}", "it's", "~club", "a b", "Übersee", "a+b&c#d"])
def test_a_home_may_have_any_other_name(tmp_path: Path, folder: str) -> None:
    with clean_environment(CRM_PIPELINE_HOME=str(tmp_path / folder)):
        assert Settings.from_environment().lake_url == str(tmp_path / folder / "lake")


def test_a_lake_is_a_folder_wherever_it_is_named_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lake", f"file://{tmp_path}/la%6Be", "./lake"):
        with clean_environment(LAKE_URL=name):
            assert Path(Settings.from_environment().lake_url) == tmp_path / "lake"
    with clean_environment(LAKE_URL="~/lake"):
        assert Settings.from_environment().lake_url == str(tmp_path / "~" / "lake")  # no shell, no home of anybody
    with clean_environment(LAKE_URL="s3://bucket/lake"), pytest.raises(SettingError, match="LAKE_URL must be a folder"):
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


def test_the_key_kept_in_the_home_is_that_of_the_embedded_server_alone(tmp_path: Path) -> None:
    (tmp_path / ERASURE_KEY_FILE).write_text(f"{'k' * 32}\n")
    home = {"CRM_PIPELINE_HOME": str(tmp_path)}
    for variables, key in (
        ({}, "k" * 32),
        ({"ERASURE_KEY": "e" * 40}, "e" * 40),
        ({"WAREHOUSE_URL": "postgresql://somewhere/crm"}, None),
    ):
        with clean_environment(**home, **variables):
            assert Settings.from_environment().erasure_key == key


def test_a_time_is_written_as_it_is_read() -> None:
    assert format_time(parse_time("x", "2026-03-31T14:00:00+02:00")) == "2026-03-31T12:00:00Z"
