"""The commands about the warehouse: `crm-pipeline database url | psql | stop | grant | drop-tenant`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from crm_pipeline.cli.options import HOME, TENANT, settings_of
from crm_pipeline.resources.postgres.admin import administrator_engine
from crm_pipeline.resources.postgres.embedded import started
from crm_pipeline.settings import SettingError, Settings

KNOWN = "select from crm.publications where tenant_id = %s limit 1"


@click.group("database")
def database_commands() -> None:
    """The warehouse: the embedded server, and who may see what."""


@database_commands.command("url")
@HOME
def print_url(home: Path | None) -> None:
    """Print the warehouse's URL, starting the server if needed."""
    settings = settings_of(home)
    click.echo(settings.warehouse_url or _plain(started(settings.home).url("crm")))


@database_commands.command("psql")
@HOME
def open_psql(home: Path | None) -> None:
    """Open psql on the warehouse."""
    from crm_pipeline.resources.postgres.programs import binary  # noqa: PLC0415

    settings = settings_of(home)
    target = settings.warehouse_url or started(settings.home).url("crm")
    address = make_url(target)
    os.environ["PGPASSWORD"] = address.password or ""
    os.environ["PGOPTIONS"] = "-c search_path=crm,public"
    program = str(binary("psql"))
    os.execv(program, [program, _plain(address._replace(password=None).render_as_string())])  # noqa: S606


@database_commands.command("stop")
@HOME
def stop_server(home: Path | None) -> None:
    """Stop the embedded server."""
    from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres  # noqa: PLC0415

    EmbeddedPostgres(settings_of(home).home).stop()


@database_commands.command("grant")
@HOME
@TENANT
def grant_login(home: Path | None, tenant: str) -> None:
    """Create a login that sees this club alone, read-only, and print its URL."""
    from crm_pipeline.resources.connections import warehouse_of  # noqa: PLC0415  seconds that other commands need not wait
    from crm_pipeline.resources.privacy import schema  # noqa: PLC0415
    from crm_pipeline.resources.warehouse import bi_access  # noqa: PLC0415

    settings = settings_of(home)
    warehouse = warehouse_of(settings)
    with _administrator(settings) as administrator:
        if not administrator.exec_driver_sql(KNOWN, (tenant,)).all():
            raise click.ClickException(f"nothing is published of {tenant}")
        login = bi_access.grant(administrator, tenant, warehouse.url)
        schema.prepare(administrator, warehouse.url)
        schema.record(administrator, "GRANT", tenant, subject=make_url(login.url).username)
    for database in login.open_databases:
        click.echo(f"It may connect to database {database} as well: revoke connect on it from public.", err=True)
    click.echo(login.url)


@database_commands.command("drop-tenant")
@HOME
@TENANT
@click.confirmation_option(prompt="Everything published of this club, and every login to it, goes. Sure?")
def drop_tenant(home: Path | None, tenant: str) -> None:
    """Drop a closed club from the warehouse; one that is still open comes back with the next run."""
    from crm_pipeline.resources.connections import warehouse_of  # noqa: PLC0415
    from crm_pipeline.resources.warehouse import bi_access, run_lock, tenant_removal  # noqa: PLC0415

    settings = settings_of(home)
    warehouse = warehouse_of(settings)
    try:
        with run_lock.hold_tenants(warehouse, "drop-tenant", [tenant], click.echo), _administrator(settings) as admin:
            bi_access.revoke(admin, tenant)
            rows = tenant_removal.drop_rows(warehouse, tenant)
        tenant_removal.drop_partitions(warehouse, tenant)
    except run_lock.TenantsBusyError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{rows:,} rows of {tenant} are gone")


@contextmanager
def _administrator(settings: Settings) -> Iterator[Connection]:
    """A transaction of whoever may make roles."""
    try:
        with administrator_engine(settings).begin() as connection:
            yield connection
    except SettingError as error:
        raise click.ClickException(str(error)) from None
    except DBAPIError as error:
        raise click.ClickException(str(error.orig).splitlines()[0]) from None


def _plain(address: str) -> str:
    """A URL that psql and every other client understands."""
    return address.replace("postgresql+psycopg2://", "postgresql://", 1)
