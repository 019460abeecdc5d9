"""The command line: `crm-pipeline run | ui | status | sample | database`. Options here, work elsewhere.

The commands that answer a question, `explain` and `what-if`, are in `cli_questions`, `forget`, `unforget` and
`retention` in `cli_privacy`, those of the warehouse's administrator in `cli_warehouse`.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from sqlalchemy import make_url

from crm_pipeline.cli_options import HOME, SOURCES
from crm_pipeline.cli_options import console_of_stdout as _console
from crm_pipeline.cli_options import settings_of as _settings
from crm_pipeline.cli_options import time_of as _time
from crm_pipeline.cli_privacy import forget, retention, unforget
from crm_pipeline.cli_questions import explain, what_if
from crm_pipeline.cli_warehouse import drop_tenant, grant
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.resources.postgres.embedded import embedded
from crm_pipeline.settings import Settings

if TYPE_CHECKING:
    from crm_pipeline.refresh_run import Outcome


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """One customer profile per golfer and club, from SCL, TeeTime, Messaging and the CRM."""


main.add_command(explain)
main.add_command(what_if)
main.add_command(forget)
main.add_command(unforget)
main.add_command(retention)


@main.command()
@SOURCES
@HOME
@click.option("--tenant", "tenants", multiple=True, help="Refresh only this tenant; may be given again.")
@click.option("--as-of", help="The hour the data speak of, ISO 8601; now by default.")
@click.option("--believe", multiple=True, metavar="SERVICE.TABLE", help="Accept that this table really shrank.")
@click.option("--dry-run", is_flag=True, help="Report what a run would find, and publish nothing.")
def run(
    sources: Path | None,
    home: Path | None,
    tenants: tuple[str, ...],
    as_of: str | None,
    believe: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Refresh the profiles and timelines once."""
    settings = _settings(home, sources, as_of)
    from crm_pipeline.refresh_run import UnknownTenantError, refresh_once  # noqa: PLC0415
    from crm_pipeline.resources.connections import lake_of  # noqa: PLC0415  seconds that other commands need not wait
    from crm_pipeline.resources.sources.sources import SourceError  # noqa: PLC0415
    from crm_pipeline.summary import print_summary  # noqa: PLC0415
    from crm_pipeline.working_copy import working_copy  # noqa: PLC0415

    console = _console()
    console.print(f"Refreshing {'(dry run, nothing is published) ' if dry_run else ''}in {settings.home}")
    with working_copy(settings, dry_run=dry_run) as used:
        if used.is_replay:
            console.print(f"Replaying what was known at {used.as_of:%Y-%m-%d %H:%M} UTC; no service is read")
        else:
            _settle(settings)
        try:
            outcome = refresh_once(used, tenants, believe, dry_run=dry_run)
        except (SourceError, UnknownTenantError) as error:
            raise click.ClickException(str(error)) from None
        print_summary(console, lake_of(used), outcome.as_of)
    _conclude(console, outcome, sources, dry_run=dry_run)


def _conclude(console: Console, outcome: "Outcome", sources: Path | None, *, dry_run: bool) -> None:
    if not dry_run:
        rows = outcome.published_rows
        console.print(f"{rows:,} rows changed in the published tables" if rows else "Nothing changed: 0 rows published")
    console.print(f"Took {outcome.seconds:.1f} s")
    if outcome.faults:
        for fault in outcome.faults:
            console.print(f"[bold red]failed[/] {escape(fault)}", highlight=False)
        sys.exit(1)
    if not dry_run:
        program, home = sys.argv[0], _option("--home", os.environ.get("CRM_PIPELINE_HOME"))
        console.print(
            f"""
Look further:
  {program} status{home}
  {program} database psql{home}
      then: select display_name, lifecycle_stage, churn_risk_score from crm.customer_profiles limit 10;
  {program} ui{home}{_option("--sources", sources)}""",
            highlight=False,
            soft_wrap=True,
        )


def _option(name: str, value: object) -> str:
    return f" {name} {shlex.quote(str(value))}" if value else ""


@main.command()
@SOURCES
@HOME
@click.option("--port", default=3000, show_default=True, help="Port of the web page, on 127.0.0.1.")
def ui(sources: Path | None, home: Path | None, port: int) -> None:
    """Open Dagster, with the hourly schedule and the sensor on, until Ctrl-C."""
    settings = _settings(home, sources, None)
    _settle(settings)
    open_instance(settings).dispose()
    # `dg dev`, which it recommends instead, belongs to the development tools.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command`")
    command = Path(sys.executable).parent / "dagster"
    arguments = ["dev", "--module-name", "crm_pipeline.definitions", "--host", "127.0.0.1", "--port", str(port)]
    click.echo(f"Dagster at http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execv(command, [str(command), *arguments])  # noqa: S606  Ctrl-C goes to Dagster itself


@main.command()
@HOME
def status(home: Path | None) -> None:
    """Say how fresh each tenant is, how old each service's snapshot, and what is open."""
    from crm_pipeline.resources.connections import warehouse_of  # noqa: PLC0415
    from crm_pipeline.status import print_status  # noqa: PLC0415

    print_status(_console(), warehouse_of(_settings(home, None, None)))


@main.command()
@click.option("--tenants", default=3, show_default=True, type=click.IntRange(1))
@click.option("--people", default=400, show_default=True, type=click.IntRange(1))
@click.option("--events", default=8000, show_default=True, type=click.IntRange(0))
@click.option("--seed", default=1, show_default=True)
@click.option("--until", default="2026-03-31T12:00:00Z", show_default=True, help="When the data end.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
def sample(tenants: int, people: int, events: int, seed: int, until: str, out: Path) -> None:
    """Write synthetic clubs, and truth.csv that says who is who."""
    from crm_pipeline.sample import generate  # noqa: PLC0415

    generate(tenants=tenants, people=people, events=events, seed=seed, out=out, until=_time("--until", until))
    click.echo(f"{people:,} people of {tenants} clubs are in {out}; refresh with: crm-pipeline run --sources {out}")


@main.group()
def database() -> None:
    """The warehouse: the embedded server, and who may see what."""


database.add_command(grant)
database.add_command(drop_tenant)


@database.command()
@HOME
def url(home: Path | None) -> None:
    """Print the warehouse's URL, starting the server if needed."""
    settings = _settings(home, None, None)
    click.echo(settings.warehouse_url or _plain(embedded(settings).url("crm")))


@database.command()
@HOME
def psql(home: Path | None) -> None:
    """Open psql on the warehouse."""
    from crm_pipeline.resources.postgres.programs import binary  # noqa: PLC0415

    settings = _settings(home, None, None)
    target = settings.warehouse_url or embedded(settings).url("crm")
    address = make_url(target)
    os.environ["PGPASSWORD"] = address.password or ""
    os.environ["PGOPTIONS"] = "-c search_path=crm,public"
    program = str(binary("psql"))
    os.execv(program, [program, _plain(address._replace(password=None).render_as_string())])  # noqa: S606


@database.command()
@HOME
def stop(home: Path | None) -> None:
    """Stop the embedded server."""
    from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres  # noqa: PLC0415

    EmbeddedPostgres(_settings(home, None, None).home).stop()


def _settle(settings: Settings) -> None:
    """Say where services are read from when nothing says it."""
    if not settings.sources:
        raise click.ClickException(
            "no service is set up: give --sources DIR, or set SCL_SOURCE, TEETIME_SOURCE,"
            " MESSAGING_SOURCE and CRM_SOURCE"
        )


def _plain(address: str) -> str:
    """A URL that psql and every other client understands."""
    return address.replace("postgresql+psycopg2://", "postgresql://", 1)
