"""The command line, `crm-pipeline`: one module per group of commands; `run`, `ui` and `status` are here."""

import gc
import os
import sys
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.markup import escape

from crm_pipeline.cli.database import database_commands
from crm_pipeline.cli.demo import pin_sample_end
from crm_pipeline.cli.explain import explain_command, what_if_command
from crm_pipeline.cli.interrupts import accept_interrupts
from crm_pipeline.cli.options import (
    HOME_OPTION,
    JSON_OPTION,
    SOURCES_OPTION,
    build_settings,
    build_time_callback,
    create_console,
    format_command,
    format_option,
    print_json,
)
from crm_pipeline.cli.preflight import require_free_port, require_refresh_places, require_warehouse
from crm_pipeline.cli.privacy import forget_command, retention_command, unforget_command
from crm_pipeline.cli.sample import sample_command
from crm_pipeline.defs.progress_lines import PROGRESS_LINES
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.faults import describe_error
from crm_pipeline.resources.postgres.database_check import WAREHOUSE
from crm_pipeline.settings import Settings, parse_hour
from crm_pipeline.tables import list_source_tables
from crm_pipeline.vocabulary import Service

if TYPE_CHECKING:
    from crm_pipeline.cli.run import RefreshOutcome

GARBAGE_THRESHOLD: Final = 100_000
"""New objects before Python looks for cycles. Imports make a million that stay: by default, a fifth of their time."""
SOURCE_TABLE_NAMES = [f"{service}.{table.name}" for service in Service for table in list_source_tables(service)]


class _Commands(click.Group):
    """Commands whose errors are one line each."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  what the command returns
        """Returns what the command returns.

        Raises:
            click.ClickException: it raised any error but those of click, and of a terminal that is gone.
        """
        gc.set_threshold(GARBAGE_THRESHOLD)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal may have no letters but ASCII
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = escape_invisible_characters(error.message)  # type: ignore[misc]  # final in click
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001  none of them passes as it is
            raise click.ClickException(describe_error(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="crm-pipeline", prog_name="crm-pipeline")
def main() -> None:
    """One customer profile per golfer and club, from SCL, TeeTime, Messaging and the CRM."""


for command in (
    explain_command,
    what_if_command,
    forget_command,
    unforget_command,
    retention_command,
    sample_command,
    database_commands,
):
    main.add_command(command)


@main.command("run")
@SOURCES_OPTION
@HOME_OPTION
@click.option("--tenant", "tenants", multiple=True, help="Refresh only this tenant; may be given again.")
@click.option(
    "--as-of", callback=build_time_callback(parse_hour), help="The hour the data speak of, ISO 8601; now by default."
)
@click.option(
    "--believe",
    "accepted_shrinks",
    multiple=True,
    type=click.Choice(SOURCE_TABLE_NAMES),
    metavar="SERVICE.TABLE",
    help="Accept that this table really shrank.",
)
@click.option("--dry-run", is_flag=True, help="Report what a run would find, and publish nothing.")
@JSON_OPTION
def run_command(  # noqa: PLR0913  one for each option
    sources: Path | None,
    home: Path | None,
    tenants: tuple[str, ...],
    as_of: datetime | None,
    accepted_shrinks: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Refresh the profiles and timelines once."""
    accept_interrupts()
    settings = build_settings(home, sources, as_of)
    if not settings.as_of:
        _require_sources(settings)
    require_refresh_places(settings, dry_run=dry_run)
    settings = pin_sample_end(settings, keep=not dry_run)
    click.get_current_context().with_resource(PROGRESS_LINES.never_silent())
    from crm_pipeline.cli.lake_copy import create_working_copy  # noqa: PLC0415
    from crm_pipeline.cli.output.run_summary import build_run_document, print_summary, read_summary  # noqa: PLC0415
    from crm_pipeline.cli.run import refresh_tenants  # noqa: PLC0415
    from crm_pipeline.resources.connections import open_lake  # noqa: PLC0415  saves other commands seconds

    console = create_console(stderr=as_json)
    console.print(f"Refreshing {'(dry run, nothing is published) ' if dry_run else ''}in {settings.home}")
    with create_working_copy(settings, dry_run=dry_run) as run_settings:
        if run_settings.is_replay:
            console.print(f"Replaying what was known at {run_settings.as_of:%Y-%m-%d %H:%M} UTC; no service is read")
        else:
            _require_sources(settings)
        outcome = refresh_tenants(run_settings, tenants, accepted_shrinks, dry_run=dry_run)
        summary = read_summary(open_lake(run_settings))
    if as_json:
        print_json(build_run_document(outcome, summary, dry_run=dry_run))
    else:
        print_summary(console, summary, outcome.as_of)
    _print_outcome(console, outcome, sources, dry_run=dry_run)


def _print_outcome(console: Console, outcome: "RefreshOutcome", sources: Path | None, *, dry_run: bool) -> None:
    if not dry_run:
        rows = outcome.published_rows
        console.print(f"{rows:,} rows changed in the published tables" if rows else "Nothing changed: 0 rows published")
    console.print(f"Took {outcome.seconds:.1f} s")
    if outcome.failures:
        for failure in outcome.failures:
            console.print(f"[bold red]failed[/] {escape(escape_invisible_characters(failure))}", highlight=False)
        sys.exit(1)
    if not dry_run:
        home = format_option("--home", os.environ.get("CRM_PIPELINE_HOME"))
        console.print(
            f"""
Look further:
  {format_command("status")}{home}
  {format_command("database psql")}{home}
      then: select display_name, lifecycle_stage, churn_risk_score from crm.customer_profiles limit 10;
  {format_command("ui")}{home}{format_option("--sources", sources)}""",
            highlight=False,
            soft_wrap=True,
        )


@main.command("ui")
@SOURCES_OPTION
@HOME_OPTION
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port of the web page, on 127.0.0.1."
)
def ui_command(sources: Path | None, home: Path | None, port: int) -> None:
    """Open Dagster, with the hourly schedule and the sensor on, until Ctrl-C."""
    accept_interrupts()
    settings = build_settings(home, sources)
    _require_sources(settings)
    require_free_port(port)
    require_refresh_places(settings)
    settings = pin_sample_end(settings, keep=True)
    from crm_pipeline.cli.ui import hold_home, serve_dagster  # noqa: PLC0415
    from crm_pipeline.resources.dagster_storage.instance import open_instance  # noqa: PLC0415  seconds for other commands

    with hold_home(settings.home):
        click.echo("Dagster is being started")
        open_instance(settings).dispose()
        serve_dagster(port)


@main.command("status")
@JSON_OPTION
@HOME_OPTION
def status_command(home: Path | None, *, as_json: bool) -> None:
    """Say how fresh each tenant is, how old each service's snapshot, and what is open."""
    settings = build_settings(home)
    require_warehouse(settings, WAREHOUSE)
    from crm_pipeline.cli.output.status import build_status_document, print_status, read_status  # noqa: PLC0415
    from crm_pipeline.resources.connections import open_warehouse  # noqa: PLC0415

    clubs = read_status(open_warehouse(settings))
    if as_json:
        print_json(build_status_document(clubs))
    else:
        print_status(create_console(), clubs)


def _require_sources(settings: Settings) -> None:
    """Raises ClickException, which says how to set up services, if there is none."""
    if not settings.sources:
        raise click.ClickException(
            "no service is set up: give --sources DIR, or set SCL_SOURCE, TEETIME_SOURCE,"
            " MESSAGING_SOURCE and CRM_SOURCE"
        )


# Click would cut a help text to the width of the terminal.
for command in (*main.commands.values(), *database_commands.commands.values()):
    command.short_help = command.help
