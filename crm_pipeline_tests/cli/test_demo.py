"""A home first refreshed from a sample is its demo: from then on it is as of the hour at which the data end."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from crm_pipeline.cli.demo import pin_sample_end
from crm_pipeline.cli.options import override_environment
from crm_pipeline.settings import SAMPLE_FILE, SettingError, Settings
from crm_pipeline_tests.fixtures.homes.console import assert_one_clear_line, here
from crm_pipeline_tests.fixtures.homes.support import AS_OF, SAMPLE, clean_environment

END = datetime(2026, 3, 31, 12, tzinfo=UTC)
LATER = "2026-03-31T13:00:00Z"


def pinned(home: Path, sources: Path | None = SAMPLE, as_of: str | None = None, *, keep: bool = True) -> Settings:
    """The settings of `crm-pipeline run`."""
    with clean_environment():
        return pin_sample_end(override_environment(home, sources, as_of), keep=keep)


def hour_of(home: Path) -> datetime | None:
    """The hour of every other process that is given the home: a command, or a run that the schedule started."""
    with clean_environment(CRM_PIPELINE_HOME=str(home)):
        return Settings.from_environment().as_of


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A home after the beginning of its first run from the sample."""
    assert pinned(tmp_path / "demo").as_of == END
    return tmp_path / "demo"


@pytest.fixture
def another_sample(tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "another"))
    described = json.loads((SAMPLE / SAMPLE_FILE).read_text())
    (folder / SAMPLE_FILE).write_text(json.dumps(described | {"seed": 7}))
    return folder


def test_every_process_on_a_demo_is_as_of_the_end_of_its_data(demo: Path) -> None:
    assert hour_of(demo) == END


def test_the_hour_may_be_given_as_well(tmp_path: Path) -> None:
    assert pinned(tmp_path / "home", as_of=AS_OF).as_of == END
    assert hour_of(tmp_path / "home") == END


def test_a_demo_goes_on_from_a_copy_of_its_sample_and_without_sources(demo: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(SAMPLE, tmp_path / "copy"))
    assert pinned(demo, copy).as_of == pinned(demo, None).as_of == END


def test_a_dry_run_is_as_of_the_end_and_leaves_nothing(tmp_path: Path) -> None:
    assert pinned(tmp_path / "home", keep=False).as_of == END
    assert not (tmp_path / "home").exists()


def test_another_hour_or_other_sources_than_the_samples_make_no_demo(tmp_path: Path) -> None:
    other = Path(shutil.copytree(SAMPLE, tmp_path / "other", ignore=shutil.ignore_patterns(SAMPLE_FILE)))
    for home, settings in (
        (tmp_path / "later", pinned(tmp_path / "later", as_of=LATER)),
        (tmp_path / "real", pinned(tmp_path / "real", other)),
    ):
        assert settings.as_of != END
        assert hour_of(home) is None


def test_a_home_that_has_a_lake_becomes_no_demo(tmp_path: Path) -> None:
    (tmp_path / "home" / "lake").mkdir(parents=True)
    assert pinned(tmp_path / "home").as_of is None
    assert hour_of(tmp_path / "home") is None


@pytest.mark.parametrize("sources", [SAMPLE / "scl", None])
def test_a_demo_of_other_sources_is_refused_with_the_way_out(
    demo: Path, another_sample: Path, sources: Path | None
) -> None:
    with pytest.raises(click.ClickException) as error:
        pinned(demo, sources or another_sample)
    assert error.value.message == f"{demo} is the demo of another sample; give these sources another --home"


def test_another_hour_of_a_demo_is_refused_with_the_way_out(demo: Path) -> None:
    way_out = "whose data end at 2026-03-31T12:00:00Z: leave out --as-of and CRM_PIPELINE_AS_OF, or give another --home"
    with clean_environment(CRM_PIPELINE_AS_OF=LATER), pytest.raises(SettingError, match=f"{demo} is a demo, {way_out}"):
        override_environment(demo)
    done = here("run", "--sources", str(SAMPLE), "--home", str(demo), "--as-of", LATER)
    assert_one_clear_line(done.exit_code, done.stderr, f"{demo} is a demo, {way_out}")


@pytest.mark.parametrize("words", ["", "[]", "{}", '{"until": "soon"}'])
def test_a_sample_that_does_not_say_when_it_ends_is_named(tmp_path: Path, words: str) -> None:
    (tmp_path / "sample" / "scl").mkdir(parents=True)
    (tmp_path / "sample" / SAMPLE_FILE).write_text(words)
    done = here("run", "--sources", str(tmp_path / "sample"), "--home", str(tmp_path / "home"))
    assert_one_clear_line(done.exit_code, done.stderr, str(tmp_path / "sample" / SAMPLE_FILE))
