"""Options that several commands share, settings built from them, and the terminal."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from crm_pipeline.resources.home import close_home
from crm_pipeline.settings import SettingError, Settings, build_source_variable_name, format_time
from crm_pipeline.vocabulary import Service

PIPE_WIDTH = 200
HOME_OPTION = click.option("--home", type=click.Path(path_type=Path), help="Working folder; data/local by default.")
SOURCES_OPTION = click.option(
    "--sources", type=click.Path(path_type=Path), help="Folder with scl, teetime, messaging and crm in it."
)
TENANT_OPTION = click.option("--tenant", required=True, help="The club.")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="The whole answer as one JSON document.")


def create_console(*, stderr: bool = False) -> Console:
    """Returns the terminal; a file or a pipe is as wide as COLUMNS says, or PIPE_WIDTH."""
    columns = os.environ.get("COLUMNS", "")
    if not (columns.isascii() and columns.isdecimal()):
        os.environ.pop("COLUMNS", None)  # rich takes every digit of Unicode for one that int() reads
        columns = ""
    has_width = (sys.stderr if stderr else sys.stdout).isatty() or columns
    return Console(width=None if has_width else PIPE_WIDTH, stderr=stderr)


def print_json(document: Mapping[str, Any]) -> None:
    """Prints a document, with times in ISO 8601."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=datetime.isoformat))


def build_settings(home: Path | None, sources: Path | None = None, as_of: datetime | None = None) -> Settings:
    """Returns the settings of the environment, overridden by these options; closes the home to other users.

    Raises:
        SettingError: a setting is wrong.
    """
    settings = override_environment(home, sources, format_time(as_of) if as_of else None)
    close_home(settings)
    return settings


def build_time_callback(
    parse: Callable[[str, str], datetime],
) -> Callable[[click.Context, click.Parameter, str | None], datetime | None]:
    """Returns the callback of an option for a time, which raises UsageError where `parse` raises SettingError."""

    def parse_option(context: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
        try:
            return None if value is None else parse(option.opts[0], value)
        except SettingError as error:
            raise click.UsageError(str(error), context) from None

    return parse_option


def format_command(name: str) -> str:
    """Returns a command of this program as it is printed, quoted for the shell."""
    return f"{shlex.quote(sys.argv[0])} {name}"


def format_option(name: str, value: object) -> str:
    """Returns an option for a command that is printed, quoted for the shell; nothing without a value."""
    return f" {name} {shlex.quote(str(value))}" if value else ""


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
