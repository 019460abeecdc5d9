"""What the commands share: options, settings made from them, and the terminal. No command belongs here."""

import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from crm_pipeline.settings import SettingError, Settings, parse_time
from crm_pipeline.workplace import choose

PIPE_WIDTH = 200
HOME = click.option("--home", type=click.Path(path_type=Path), help="Working folder; data/local by default.")
SOURCES = click.option(
    "--sources", type=click.Path(path_type=Path), help="Folder with scl, teetime, messaging and crm in it."
)
TENANT = click.option("--tenant", required=True, help="The club.")


def console_of_stdout() -> Console:
    """The terminal; a file or a pipe has no edge at which anything would have to be cut."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def settings_of(home: Path | None, sources: Path | None = None, as_of: str | None = None) -> Settings:
    """The settings of the environment, with these options before them."""
    try:
        return choose(home, sources, as_of)
    except SettingError as error:
        raise click.ClickException(str(error)) from None


def time_of(name: str, value: str) -> datetime:
    """The time an option means."""
    try:
        return parse_time(name, value)
    except SettingError as error:
        raise click.ClickException(str(error)) from None
