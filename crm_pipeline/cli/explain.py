"""The read-only commands `explain` and `what-if`."""

import json
import math
from pathlib import Path
from typing import Final, Literal

import click

from crm_pipeline.cli.options import HOME_OPTION, JSON_OPTION, TENANT_OPTION, build_settings, create_console
from crm_pipeline.cli.preflight import require_lake, require_warehouse
from crm_pipeline.resources.postgres.database_check import ADMINISTRATOR, OFFICERS_WAREHOUSE

LOOKUP_OPTIONS: Final[tuple[Literal["email", "phone", "profile", "record"], ...]] = (
    "email",
    "phone",
    "profile",
    "record",
)


def _refuse_nan(_: click.Context, option: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("nan is no number", param=option)
    return value


@click.command("explain")
@TENANT_OPTION
@click.option("--email", help="Whoever has this email address.")
@click.option("--phone", help="Whoever has this phone number, as it is dialled in the club's country.")
@click.option("--profile", help="The profile with this id; a former id leads to the one it became.")
@click.option("--record", metavar="SERVICE:ID", help="The person behind a record, such as SCL:1042.")
@JSON_OPTION
@HOME_OPTION
def explain_command(tenant: str, home: Path | None, *, as_json: bool, **options: str | None) -> None:
    """Say who somebody is, why, and what every number about them is made of. Prints personal data."""
    lookups = [(by, value) for by in LOOKUP_OPTIONS if (value := options[by]) is not None]
    if len(lookups) != 1:
        raise click.UsageError("give one of --email, --phone, --profile and --record")
    settings = build_settings(home)
    require_warehouse(settings, OFFICERS_WAREHOUSE, ADMINISTRATOR)
    require_lake(settings)
    from crm_pipeline.cli.privacy_requests import write_explain_log  # noqa: PLC0415
    from crm_pipeline.explain import ProfileLookup, explain_profiles  # noqa: PLC0415  saves --help seconds
    from crm_pipeline.explain.text_page import print_answer  # noqa: PLC0415

    question = ProfileLookup(tenant, *lookups[0])
    write_explain_log(settings, question)
    answer = explain_profiles(settings, question)
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print_answer(create_console(), answer)


@click.command("what-if")
@TENANT_OPTION
@click.option(
    "--min-confidence",
    required=True,
    type=click.FloatRange(0, 1, min_open=True),
    callback=_refuse_nan,
    help="The least confidence that would link two records.",
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="Most changes to list.")
@JSON_OPTION
@HOME_OPTION
def what_if_command(tenant: str, min_confidence: float, limit: int, home: Path | None, *, as_json: bool) -> None:
    """Say who would become one person, or several, at another least confidence. Changes nothing."""
    settings = build_settings(home)
    require_lake(settings)
    from crm_pipeline.explain.what_if import evaluate_min_confidence, print_what_if_result  # noqa: PLC0415

    result = evaluate_min_confidence(settings, tenant, min_confidence)
    if as_json:
        click.echo(json.dumps(result.as_document(limit), indent=2))
    else:
        print_what_if_result(create_console(), result, limit)
