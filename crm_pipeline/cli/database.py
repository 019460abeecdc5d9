"""The commands `crm-pipeline database url | psql | stop | grant | check | drop-tenant`."""

import os
from pathlib import Path

import click
from sqlalchemy import make_url

from crm_pipeline.cli.options import HOME_OPTION, TENANT_OPTION, build_settings
from crm_pipeline.cli.preflight import require_embedded_server, require_warehouse
from crm_pipeline.resources.postgres.admin import create_administrator_engine
from crm_pipeline.resources.postgres.database_check import ADMINISTRATOR, READERS_WAREHOUSE, WAREHOUSE, DatabaseNeed
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres, start_embedded_postgres
from crm_pipeline.settings import Settings, format_libpq_url

PUBLISHED_HOUR_QUERY = "select as_of, reason from crm.tenant_freshness where tenant_id = %s"


@click.group("database")
def database_commands() -> None:
    """The warehouse: the embedded server, and who may see what."""


@database_commands.command("url")
@HOME_OPTION
def print_url(home: Path | None) -> None:
    """Print the warehouse's URL, starting the server if needed."""
    click.echo(format_libpq_url(_find_warehouse_url(build_settings(home))))


@database_commands.command("psql")
@HOME_OPTION
def open_psql(home: Path | None) -> None:
    """Open psql on the warehouse."""
    from crm_pipeline.resources.postgres.programs import find_program  # noqa: PLC0415

    address = make_url(_find_warehouse_url(build_settings(home), READERS_WAREHOUSE))
    os.environ["PGPASSWORD"] = address.password or ""
    os.environ["PGOPTIONS"] = "-c search_path=crm,public"
    program = str(find_program("psql"))
    os.execv(program, [program, format_libpq_url(address._replace(password=None))])  # noqa: S606


@database_commands.command("stop")
@HOME_OPTION
def stop_server(home: Path | None) -> None:
    """Stop the embedded server."""
    settings = build_settings(home)
    require_embedded_server(settings)
    EmbeddedPostgres(settings.home).stop()


@database_commands.command("grant")
@HOME_OPTION
@TENANT_OPTION
def grant_login(home: Path | None, tenant: str) -> None:
    """Create a login that sees this club alone, read-only, and print its URL."""
    settings = build_settings(home)
    require_warehouse(settings, WAREHOUSE, ADMINISTRATOR)
    from crm_pipeline.resources.connections import open_warehouse  # noqa: PLC0415  saves other commands seconds
    from crm_pipeline.resources.privacy import schema as privacy_schema  # noqa: PLC0415
    from crm_pipeline.resources.warehouse import bi_access  # noqa: PLC0415

    warehouse = open_warehouse(settings)
    with create_administrator_engine(settings).begin() as administrator:
        freshness = administrator.exec_driver_sql(PUBLISHED_HOUR_QUERY, (tenant,)).one_or_none()
        if freshness is None or freshness.as_of is None:
            reason = f": {freshness.reason}" if freshness else ""
            raise click.ClickException(f"nothing is published of {tenant}{reason}")
        login = bi_access.grant_bi_access(administrator, tenant, warehouse.url)
        privacy_schema.create_privacy_schema(administrator, warehouse.url)
        privacy_schema.write_log_entry(administrator, "GRANT", tenant, subject=make_url(login.url).username)
    for database in login.open_databases:
        click.echo(f"It may connect to database {database} as well: revoke connect on it from public.", err=True)
    click.echo(login.url)


@database_commands.command("check")
@HOME_OPTION
def check_limits(home: Path | None) -> None:
    """Print which limits on clubs' logins the server lacks; exits with 1 where a club could see or stop another."""
    settings = build_settings(home)
    require_warehouse(settings, WAREHOUSE, ADMINISTRATOR)
    from crm_pipeline.resources.connections import open_warehouse  # noqa: PLC0415  saves other commands seconds
    from crm_pipeline.resources.warehouse import bi_limits  # noqa: PLC0415

    pipeline = str(make_url(open_warehouse(settings).url).username)
    with create_administrator_engine(settings).begin() as administrator:
        shortcomings = bi_limits.find_shortcomings(administrator, pipeline)
    for each in shortcomings:
        click.echo(f"{'!' if each.is_critical else '-'} lacks {each.limit}: {each.consequence}")
    if not shortcomings:
        click.echo("The server has every limit that clubs' logins need.")
    elif any(each.is_critical for each in shortcomings):
        raise click.ClickException("a club could see or stop another; docs/warehouse.md says how to set the limits")


@database_commands.command("drop-tenant")
@HOME_OPTION
@TENANT_OPTION
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
def drop_tenant(home: Path | None, tenant: str, *, is_confirmed: bool) -> None:
    """Drop a closed club from the warehouse; one that is still open comes back with the next run."""
    settings = build_settings(home)
    require_warehouse(settings, WAREHOUSE, ADMINISTRATOR)
    if not is_confirmed:
        click.confirm("Everything published of this club, and every login to it, goes. Sure?", abort=True)
    from crm_pipeline.resources.connections import open_warehouse  # noqa: PLC0415
    from crm_pipeline.resources.warehouse import bi_access, run_lock, tenant_removal  # noqa: PLC0415

    warehouse = open_warehouse(settings)
    with (
        run_lock.hold_tenants(warehouse, "drop-tenant", [tenant], click.echo),
        create_administrator_engine(settings).begin() as administrator,
    ):
        bi_access.revoke_bi_access(administrator, tenant)
        rows = tenant_removal.delete_tenant_rows(warehouse, tenant)
    tenant_removal.drop_tenant_partitions(warehouse, tenant)
    click.echo(f"{rows:,} rows of {tenant} are gone")


def _find_warehouse_url(settings: Settings, *needs: DatabaseNeed) -> str:
    """Returns the URL of the warehouse, whose embedded server is started if needed."""
    require_warehouse(settings, *needs)
    return settings.warehouse_url or start_embedded_postgres(settings.home).url("crm")
