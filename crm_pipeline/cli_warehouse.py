"""The commands of an administrator of the warehouse: `crm-pipeline database grant | drop-tenant`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from crm_pipeline.cli_options import HOME, TENANT, settings_of
from crm_pipeline.resources.postgres.admin import administrator_engine
from crm_pipeline.settings import SettingError, Settings

KNOWN = "select from crm.publications where tenant_id = %s limit 1"


@click.command()
@HOME
@TENANT
def grant(home: Path | None, tenant: str) -> None:
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


@click.command("drop-tenant")
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
