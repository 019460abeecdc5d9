"""The command `crm-pipeline sample`: synthetic clubs as files, or as databases of a PostgreSQL server."""

import shlex
import tempfile
from datetime import datetime
from pathlib import Path

import click

from crm_pipeline.cli.options import build_time_callback, format_command, format_option
from crm_pipeline.settings import (
    FORBIDDEN_PATH_PATTERN,
    SAMPLE_FILE,
    build_source_variable_name,
    format_path,
    format_time,
    parse_time,
)

DATABASES_HOME = "sample-home"


@click.command("sample")
@click.option("--tenants", default=3, show_default=True, type=click.IntRange(1))
@click.option("--people", default=400, show_default=True, type=click.IntRange(1))
@click.option("--events", default=8000, show_default=True, type=click.IntRange(0))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option(
    "--until",
    default="2026-03-31T12:00:00Z",
    show_default=True,
    callback=build_time_callback(parse_time),
    help="When the data end.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to.")
@click.option("--to", "server", metavar="URL", help="PostgreSQL to write to, a database per service; without faults.")
def sample_command(until: datetime, out: Path | None, server: str | None, **size: int) -> None:
    """Make up clubs, as files with truth.csv, which says who is who, or as databases to read from."""
    if (out is None) == (server is None):
        raise click.UsageError("give one of --out and --to")
    if out is not None:
        _require_sample_folder(out)
    from crm_pipeline.sample import DEFAULT_FAULTS, generate_sample  # noqa: PLC0415  saves other commands a second

    with tempfile.TemporaryDirectory() as scratch:
        folder, faults = (Path(scratch), 0.0) if out is None else (out, DEFAULT_FAULTS)
        generate_sample(**size, out=folder, until=until, faults=faults)
        if server is not None:
            _load_databases(server, folder, until)
    if out is not None:
        clubs = f"{size['people']:,} people of {size['tenants']} clubs are in {out}"
        click.echo(f"{clubs}. Refresh them, in a home of their own, with")
        options = format_option("--sources", out) + format_option("--as-of", format_time(until))
        click.echo(_format_run(_build_home_path(out), options))


def _require_sample_folder(out: Path) -> None:
    """Raises ClickException where the folder is a URL, or has files that are no sample's."""
    if out.parts[0].endswith(":"):
        raise click.UsageError("--out is a folder; a URL is for --to")
    if out.is_dir() and any(out.iterdir()) and not (out / SAMPLE_FILE).is_file():
        raise click.ClickException(f"{format_path(out)} has other files: give a new folder")


def _load_databases(server: str, folder: Path, until: datetime) -> None:
    """Prints the settings that name the new databases, for a shell to read, and how to refresh from them."""
    from crm_pipeline.resources.postgres.source_databases import SourceDatabaseError, create_source_databases  # noqa: PLC0415

    try:
        urls = create_source_databases(server, folder)
    except SourceDatabaseError as error:
        raise click.ClickException(f"--to: {error}") from None
    for service, url in urls.items():
        value = url.render_as_string(hide_password=False)
        click.echo(f"export {build_source_variable_name(service)}={shlex.quote(value)}")
    click.echo(f"export CRM_PIPELINE_AS_OF={format_time(until)}")
    click.echo(
        f"With these settings, refresh them in a home of their own with\n{_format_run(DATABASES_HOME)}", err=True
    )


def _format_run(home: str, options: str = "") -> str:
    return f"  {format_command('run')}{options}{format_option('--home', home)}"


def _build_home_path(out: Path) -> str:
    """Returns a folder next to the sample that the pipeline can work in."""
    folder = out if out.name.strip(".") else out.resolve()
    return str(folder.with_name(FORBIDDEN_PATH_PATTERN.sub("-", f"{folder.name}-home")))
