"""Options that several commands share, settings built from them, and the terminal."""

import os
import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from crm_pipeline.settings import SettingError, Settings, build_source_variable_name, parse_time
from crm_pipeline.vocabulary import Service

PIPE_WIDTH = 200
HOME_OPTION = click.option("--home", type=click.Path(path_type=Path), help="Working folder; data/local by default.")
SOURCES_OPTION = click.option(
    "--sources", type=click.Path(path_type=Path), help="Folder with scl, teetime, messaging and crm in it."
)
TENANT_OPTION = click.option("--tenant", required=True, help="The club.")


def create_console() -> Console:
    """Returns the terminal; a file or a pipe gets a fixed width, so that nothing is cut."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def build_settings(home: Path | None, sources: Path | None = None, as_of: str | None = None) -> Settings:
    """Returns the settings of the environment, overridden by these options.

    Raises:
        click.ClickException: A setting is wrong.
    """
    try:
        return override_environment(home, sources, as_of)
    except SettingError as error:
        raise click.ClickException(str(error)) from None


def parse_time_option(name: str, value: str) -> datetime:
    """Returns the time an option gives.

    Raises:
        click.ClickException: The value is not an ISO 8601 time.
    """
    try:
        return parse_time(name, value)
    except SettingError as error:
        raise click.ClickException(str(error)) from None


def override_environment(home: Path | None = None, sources: Path | None = None, as_of: str | None = None) -> Settings:
    """Returns the settings after writing the options to the environment, for this process and those it starts."""
    if home:
        os.environ["CRM_PIPELINE_HOME"] = str(home)
    if sources:
        for service in Service:
            os.environ[build_source_variable_name(service)] = str((sources / service.lower()).absolute())
    if as_of:
        os.environ["CRM_PIPELINE_AS_OF"] = as_of
    return Settings.from_environment()
