"""The commands `forget`, `unforget` and `retention`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click
from sqlalchemy.exc import DBAPIError

from crm_pipeline.cli.options import HOME_OPTION, TENANT_OPTION, build_settings, create_console
from crm_pipeline.cli.preflight import require_lake, require_warehouse
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.faults import describe_error
from crm_pipeline.resources.postgres.database_check import ADMINISTRATOR, DAGSTER_STORAGE, WAREHOUSE
from crm_pipeline.settings import Settings

if TYPE_CHECKING:
    from crm_pipeline.cli.privacy_requests import FoundPerson

LOOKUP_OPTIONS: Final[tuple[Literal["email", "phone", "profile"], ...]] = ("profile", "email", "phone")
REASON_OPTION = click.option("--reason", help="Why, for the certificate and the audit; name nobody in it.")


@click.command("forget")
@TENANT_OPTION
@click.option("--profile", help="The profile with this id.")
@click.option("--email", help="Whoever has this email address, if it is one person.")
@click.option("--phone", help="Whoever has this phone number, if it is one person.")
@REASON_OPTION
@click.option("--json", "as_json", is_flag=True, help="The certificate as JSON.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@HOME_OPTION
def forget_command(
    tenant: str, reason: str | None, home: Path | None, *, as_json: bool, is_confirmed: bool, **options: str | None
) -> None:
    """Forget a person: out of every table and version, with a certificate. A killed one is finished by the next."""
    lookups = [(by, value) for by in LOOKUP_OPTIONS if (value := options[by]) is not None]
    if len(lookups) != 1:
        raise click.UsageError("give one of --profile, --email and --phone")
    settings = _open_privacy_settings(home)
    from crm_pipeline.cli import privacy_requests  # noqa: PLC0415
    from crm_pipeline.explain import ProfileLookup  # noqa: PLC0415  saves --help seconds
    from crm_pipeline.privacy.certificate import print_certificate  # noqa: PLC0415
    from crm_pipeline.privacy.erase import require_complete  # noqa: PLC0415

    question = ProfileLookup(tenant, *lookups[0])
    try:
        if person := privacy_requests.find_person(settings, question):
            _confirm_forgetting(person, is_confirmed=is_confirmed)
            certificates = privacy_requests.forget_person(settings, question, reason, _print_progress, person)
        else:
            click.echo("Nobody fits; a forgetting that was interrupted is finished", err=True)
            certificates = privacy_requests.finish_erasures(settings, _print_progress)
    except DBAPIError as error:
        raise click.ClickException(f"not finished, run it again: {describe_error(error)}") from None
    for certificate in certificates:
        if as_json:
            click.echo(json.dumps(certificate, indent=2))
        else:
            print_certificate(create_console(), certificate)
    require_complete(certificates)


@click.command("unforget")
@TENANT_OPTION
@click.option("--certificate", required=True, help="The id of the certificate whose tombstones are a mistake.")
@REASON_OPTION
@HOME_OPTION
def unforget_command(tenant: str, certificate: str, reason: str | None, home: Path | None) -> None:
    """Take tombstones back. What was erased stays erased: the next refresh reads the person from the services."""
    settings = _open_privacy_settings(home)
    from crm_pipeline.cli.privacy_requests import unforget_people  # noqa: PLC0415

    removed_count = unforget_people(settings, tenant, certificate, reason, _print_progress)
    click.echo(f"{removed_count} tombstones are gone; the next refresh reads every row of every service")


@click.command("retention")
@TENANT_OPTION
@click.option(
    "--casual-golfers-months", "months", type=click.IntRange(1, 600), help="Remove them after so many months."
)
@click.option("--forever", is_flag=True, help="Keep them, as is usual.")
@REASON_OPTION
@HOME_OPTION
def retention_command(tenant: str, months: int | None, reason: str | None, home: Path | None, *, forever: bool) -> None:
    """Set how long casual golfers who no longer come are kept; the weekly job removes them as `forget` does."""
    if forever == (months is not None):
        raise click.UsageError("give one of --casual-golfers-months and --forever")
    settings = _open_privacy_settings(home)
    from crm_pipeline.cli.privacy_requests import set_retention_period  # noqa: PLC0415

    set_retention_period(settings, tenant, months, reason, _print_progress)
    click.echo(f"inactive casual golfers of {tenant} are kept {f'for {months} months' if months else 'for ever'}")


def _open_privacy_settings(home: Path | None) -> Settings:
    settings = build_settings(home)
    require_warehouse(settings, WAREHOUSE, ADMINISTRATOR, DAGSTER_STORAGE)
    require_lake(settings)
    return settings


def _print_progress(line: str) -> None:
    click.echo(f"  … {escape_invisible_characters(line)}", err=True)


def _confirm_forgetting(person: "FoundPerson", *, is_confirmed: bool) -> None:
    """Says who is meant, and asks unless that was answered before; ends the command if the answer is no."""
    click.echo(f"{escape_invisible_characters(person.masked_name)}, profile {person.profile_id}", err=True)
    for service, count in person.record_counts.items():
        click.echo(f"  {service}: {count} record{'' if count == 1 else 's'}", err=True)
    if not is_confirmed:
        question = "Everything we hold about this person goes and cannot be brought back. Sure?"
        click.confirm(question, abort=True, err=True)
