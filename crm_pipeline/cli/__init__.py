"""The command line, `crm-pipeline`: one module per group of commands; `run`, `ui`, `status` and `sample` are here."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from crm_pipeline.cli.database import database_commands
from crm_pipeline.cli.explain import explain_command, what_if_command
from crm_pipeline.cli.options import (
    HOME_OPTION,
    JSON_OPTION,
    SOURCES_OPTION,
    build_settings,
    create_console,
    parse_time_option,
    print_json,
)
from crm_pipeline.cli.privacy import forget_command, retention_command, unforget_command
from crm_pipeline.settings import Settings

if TYPE_CHECKING:
    from crm_pipeline.cli.run import RefreshOutcome


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """One customer profile per golfer and club, from SCL, TeeTime, Messaging and the CRM."""


for command in (
    explain_command,
    what_if_command,
    forget_command,
    unforget_command,
    retention_command,
    database_commands,
):
    main.add_command(command)


@main.command("run")
@SOURCES_OPTION
@HOME_OPTION
@click.option("--tenant", "tenants", multiple=True, help="Refresh only this tenant; may be given again.")
@click.option("--as-of", help="The hour the data speak of, ISO 8601; now by default.")
@click.option(
    "--believe",
    "accepted_shrinks",
    multiple=True,
    metavar="SERVICE.TABLE",
    help="Accept that this table really shrank.",
)
@click.option("--dry-run", is_flag=True, help="Report what a run would find, and publish nothing.")
@JSON_OPTION
def run_command(  # noqa: PLR0913  one for each option
    sources: Path | None,
    home: Path | None,
    tenants: tuple[str, ...],
    as_of: str | None,
    accepted_shrinks: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Refresh the profiles and timelines once."""
    settings = build_settings(home, sources, as_of)
    from crm_pipeline.cli.lake_copy import create_working_copy  # noqa: PLC0415
    from crm_pipeline.cli.run import UnknownTenantError, refresh_tenants  # noqa: PLC0415
    from crm_pipeline.cli.run_summary import build_run_document, print_summary, read_summary  # noqa: PLC0415
    from crm_pipeline.resources.connections import open_lake  # noqa: PLC0415  saves other commands seconds
    from crm_pipeline.resources.sources.sources import SourceError  # noqa: PLC0415

    console = create_console(stderr=as_json)
    console.print(f"Refreshing {'(dry run, nothing is published) ' if dry_run else ''}in {settings.home}")
    with create_working_copy(settings, dry_run=dry_run) as run_settings:
        if run_settings.is_replay:
            console.print(f"Replaying what was known at {run_settings.as_of:%Y-%m-%d %H:%M} UTC; no service is read")
        else:
            _require_sources(settings)
        try:
            outcome = refresh_tenants(run_settings, tenants, accepted_shrinks, dry_run=dry_run)
        except (SourceError, UnknownTenantError) as error:
            raise click.ClickException(str(error)) from None
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
            console.print(f"[bold red]failed[/] {escape(failure)}", highlight=False)
        sys.exit(1)
    if not dry_run:
        program, home = sys.argv[0], _format_option("--home", os.environ.get("CRM_PIPELINE_HOME"))
        console.print(
            f"""
Look further:
  {program} status{home}
  {program} database psql{home}
      then: select display_name, lifecycle_stage, churn_risk_score from crm.customer_profiles limit 10;
  {program} ui{home}{_format_option("--sources", sources)}""",
            highlight=False,
            soft_wrap=True,
        )


def _format_option(name: str, value: object) -> str:
    return f" {name} {shlex.quote(str(value))}" if value else ""


@main.command("ui")
@SOURCES_OPTION
@HOME_OPTION
@click.option("--port", default=3000, show_default=True, help="Port of the web page, on 127.0.0.1.")
def ui_command(sources: Path | None, home: Path | None, port: int) -> None:
    """Open Dagster, with the hourly schedule and the sensor on, until Ctrl-C."""
    settings = build_settings(home, sources)
    _require_sources(settings)
    from crm_pipeline.resources.dagster_storage.instance import open_instance  # noqa: PLC0415  seconds for other commands

    open_instance(settings).dispose()
    # The warning recommends `dg dev`, which is installed with the development tools only.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command`")
    command = Path(sys.executable).parent / "dagster"
    arguments = ["dev", "--module-name", "crm_pipeline.definitions", "--host", "127.0.0.1", "--port", str(port)]
    click.echo(f"Dagster at http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execv(command, [str(command), *arguments])  # noqa: S606  sends Ctrl-C to Dagster itself


@main.command("status")
@JSON_OPTION
@HOME_OPTION
def status_command(home: Path | None, *, as_json: bool) -> None:
    """Say how fresh each tenant is, how old each service's snapshot, and what is open."""
    from crm_pipeline.cli.status import build_status_document, print_status, read_status  # noqa: PLC0415
    from crm_pipeline.resources.connections import open_warehouse  # noqa: PLC0415

    clubs = read_status(open_warehouse(build_settings(home)))
    if as_json:
        print_json(build_status_document(clubs))
    else:
        print_status(create_console(), clubs)


@main.command("sample")
@click.option("--tenants", default=3, show_default=True, type=click.IntRange(1))
@click.option("--people", default=400, show_default=True, type=click.IntRange(1))
@click.option("--events", default=8000, show_default=True, type=click.IntRange(0))
@click.option("--seed", default=1, show_default=True)
@click.option("--until", default="2026-03-31T12:00:00Z", show_default=True, help="When the data end.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
def sample_command(tenants: int, people: int, events: int, seed: int, until: str, out: Path) -> None:
    """Write synthetic clubs, and truth.csv that says who is who."""
    from crm_pipeline.sample import generate_sample  # noqa: PLC0415

    generate_sample(
        tenants=tenants, people=people, events=events, seed=seed, out=out, until=parse_time_option("--until", until)
    )
    click.echo(f"{people:,} people of {tenants} clubs are in {out}; refresh with: crm-pipeline run --sources {out}")


def _require_sources(settings: Settings) -> None:
    """Raises ClickException, which says how to set up services, if there is none."""
    if not settings.sources:
        raise click.ClickException(
            "no service is set up: give --sources DIR, or set SCL_SOURCE, TEETIME_SOURCE,"
            " MESSAGING_SOURCE and CRM_SOURCE"
        )
