"""What is checked before a command does or prints anything: databases, folders, the port of the web page.

A command that only uses what a refresh has made creates no home, so that a mistyped one is said and not filled.
"""

from pathlib import Path
from tempfile import TemporaryFile

import click

from crm_pipeline.resources.postgres.database_check import (
    DAGSTER_STORAGE,
    WAREHOUSE,
    DatabaseNeed,
    check_databases,
)
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres, find_free_port
from crm_pipeline.settings import DATABASE_SCHEME_PATTERN, SettingError, Settings, format_path


def require_refresh_places(settings: Settings, *, dry_run: bool = False) -> None:
    """Checks what `run` and `ui` read and write: services' folders, home, lake and databases.

    Names the folders of single services that are missing: the last snapshot of each serves.

    Raises:
        SettingError: a database or folder cannot be used.
        click.ClickException: no service's folder is there.
    """
    folders = {service: url for service, url in settings.sources.items() if not DATABASE_SCHEME_PATTERN.match(url)}
    missing = {service: format_path(folder) for service, folder in folders.items() if not Path(folder).is_dir()}
    if missing and len(missing) == len(settings.sources):
        raise click.ClickException(f"no service can be read: there is no folder {', '.join(missing.values())}")
    _check_writable_folder("the home", settings.home)
    # A dry run and the replay of an earlier hour work on a copy, so that they may only read the lake.
    if not (Path(settings.lake_url).is_dir() and (dry_run or settings.as_of)):
        _check_writable_folder("LAKE_URL:", Path(settings.lake_url))
    check_databases(settings, WAREHOUSE, DAGSTER_STORAGE)
    for service, folder in missing.items():
        click.echo(f"Warning: {service} cannot be read: there is no folder {folder}", err=True)


def require_embedded_server(settings: Settings, alternative: str = "") -> None:
    """Checks that the home has an embedded server; `alternative` is what else the message proposes.

    Raises:
        click.ClickException: it has none, or there is no such home.
    """
    if not EmbeddedPostgres(settings.home).is_created():
        home = format_path(settings.home)
        raise click.ClickException(f"there is no database in {home}: give the --home of a refresh{alternative}")


def require_warehouse(settings: Settings, *needs: DatabaseNeed) -> None:
    """Checks that there is a warehouse, and that the needed databases can be used.

    Raises:
        click.ClickException: the home has none and the settings name none.
        SettingError: one cannot be used.
    """
    if not settings.warehouse_url:
        require_embedded_server(settings, ", or set WAREHOUSE_URL")
    check_databases(settings, *needs)


def require_lake(settings: Settings) -> None:
    """Checks that home and lake are there.

    Raises:
        click.ClickException: one of them is missing.
    """
    for name, folder in (("home", settings.home), ("lake", Path(settings.lake_url))):
        if not folder.is_dir():
            raise click.ClickException(f"there is no {name} in {format_path(folder)}: crm-pipeline run makes it")


def require_free_port(port: int) -> None:
    """Checks that no server has the port of 127.0.0.1.

    Raises:
        click.ClickException: one has it; the message proposes a free one.
    """
    if (free_port := find_free_port(port)) != port:
        raise click.ClickException(
            f"port {port} of 127.0.0.1 is not free: use another, such as --port {free_port} (make ui PORT={free_port})"
        )


def _check_writable_folder(name: str, folder: Path) -> None:
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        with TemporaryFile(dir=existing):
            return
    except OSError as error:
        raise SettingError(f"{name} {format_path(folder)} cannot be written: {error.strerror}") from None
