"""Demos: homes first refreshed from a sample as of the end of its data. Every run on one is as of that hour."""

from dataclasses import replace
from pathlib import Path

import click

from crm_pipeline.settings import SAMPLE_FILE, Settings, format_path, format_time, read_sample_end


def pin_sample_end(settings: Settings, *, keep: bool) -> Settings:
    """Returns the settings of a run, as of the end of the sample it reads where the home is, or becomes, its demo.

    Args:
        settings: the settings of the environment and the options.
        keep: whether a home without a lake becomes the demo of the sample.

    Raises:
        click.ClickException: the home is the demo of another sample.
        SettingError: the sample does not say when it ends.
    """
    folder, demo = _find_sample_folder(settings), settings.home / SAMPLE_FILE
    if demo.is_file():
        if settings.sources and not (folder and (folder / SAMPLE_FILE).read_bytes() == demo.read_bytes()):
            raise click.ClickException(
                f"{format_path(settings.home)} is the demo of another sample; give these sources another --home"
            )
        return settings
    if folder is None or Path(settings.lake_url).exists():
        return settings
    end = read_sample_end(folder)
    if settings.as_of not in (None, end):
        return settings
    if keep and end:
        _create_demo(settings.home, folder)
        hour = format_time(end)
        click.echo(
            f"{format_path(settings.home)} is a demo: its data end at {hour}, and every run is as of then", err=True
        )
    return replace(settings, as_of=end)


def _find_sample_folder(settings: Settings) -> Path | None:
    """Returns the folder of the sample that all services are read from, None for other sources."""
    folders = {Path(url).parent for url in settings.sources.values()}
    folder = folders.pop() if len(folders) == 1 else None
    return folder if folder and (folder / SAMPLE_FILE).is_file() else None


def _create_demo(home: Path, folder: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f"{SAMPLE_FILE}.new"
    draft.write_bytes((folder / SAMPLE_FILE).read_bytes())
    draft.replace(home / SAMPLE_FILE)
