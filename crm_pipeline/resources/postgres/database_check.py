"""Checks that the databases of the settings can be used, so that a fault is reported before anything is done."""

from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import psycopg2  # type: ignore[import-untyped]
from sqlalchemy import URL, make_url

from crm_pipeline.faults import describe_postgres_error
from crm_pipeline.settings import SettingError, Settings, format_libpq_url, format_path

MIN_SERVER_VERSION: Final = 15
"""The oldest major version of PostgreSQL that is tested."""
DEFAULT_PORT: Final = 5432
CONNECTION_OPTIONS: Final = {"application_name": "crm-pipeline check", "connect_timeout": "10"}


@dataclass(frozen=True)
class DatabaseNeed:
    """What a command needs of the database that a setting names."""

    setting: str
    must_write: bool = True
    right: str = "true"
    """SQL that is true where the role has the right it needs."""
    denied_action: str = ""
    """What the role may not do without that right."""


WAREHOUSE: Final = DatabaseNeed(
    "WAREHOUSE_URL",
    right="""coalesce(has_schema_privilege(to_regnamespace('crm'), 'create'),
        has_database_privilege(current_database(), 'create'))""",
    denied_action="create schema crm or tables in it",
)
"""The warehouse of a refresh, and of every command that brings its schema up to date."""
OFFICERS_WAREHOUSE: Final = DatabaseNeed("WAREHOUSE_URL")
"""The warehouse of `explain`, which adds to the privacy log and creates nothing."""
READERS_WAREHOUSE: Final = DatabaseNeed("WAREHOUSE_URL", must_write=False)
ADMINISTRATOR: Final = DatabaseNeed("WAREHOUSE_ADMIN_URL")
DAGSTER_STORAGE: Final = DatabaseNeed(
    "DAGSTER_PG_URL",
    right="to_regclass('runs') is not null or coalesce(has_schema_privilege(current_schema(), 'create'), false)",
    denied_action="create tables in it",
)


def check_databases(settings: Settings, *needs: DatabaseNeed) -> None:
    """Checks every needed database that the settings name; where they name none, the embedded server's is used.

    Raises:
        SettingError: one cannot be used.
    """
    urls = {
        "WAREHOUSE_URL": settings.warehouse_url,
        "WAREHOUSE_ADMIN_URL": settings.warehouse_admin_url,
        "DAGSTER_PG_URL": settings.dagster_pg_url,
    }
    for need in needs:
        if url := urls[need.setting]:
            check_database(url, need)


def check_database(url: str, need: DatabaseNeed) -> None:
    """Checks that the database answers, is new enough, and lets its role do what is needed.

    Raises:
        SettingError: it cannot be used; the message has setting, database, host, port and reason, and no password.
    """
    address = make_url(url)
    try:
        problem = _find_problem(address, need)
    except psycopg2.Error as error:
        problem = describe_postgres_error(error)
    if problem:
        place = format_path(f"database {address.database} on {format_server(address)}")
        raise SettingError(f"{need.setting}: {place} cannot be used: {problem}") from None


def format_server(address: URL) -> str:
    """Returns host and port as a message shows them: of a list every pair, of a socket its folder."""
    hosts = address.host or address.query.get("host") or address.query.get("hostaddr") or "the local socket"
    ports = address.port or address.query.get("port") or DEFAULT_PORT
    pairs = zip(str(hosts).split(","), cycle(str(ports).split(",")), strict=False)
    return ", ".join(f"{host}:{port or DEFAULT_PORT}" for host, port in pairs)


def _find_problem(address: URL, need: DatabaseNeed) -> str | None:
    """Returns why a database that answers cannot be used; None if it can."""
    dsn = format_libpq_url(address.set(query={**CONNECTION_OPTIONS, **address.query}))
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        version = connection.server_version // 10_000
        if version < MIN_SERVER_VERSION:
            return f"its PostgreSQL {version} is too old, {MIN_SERVER_VERSION} or newer is needed"
        cursor.execute(f"select current_setting('transaction_read_only') = 'on', {need.right}")
        is_read_only, has_right = cursor.fetchone()
    if need.must_write and is_read_only:
        return "it is read-only: a standby, or with default_transaction_read_only on"
    return None if has_right else f"its role may not {need.denied_action}"
