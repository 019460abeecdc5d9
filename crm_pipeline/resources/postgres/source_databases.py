"""Creates source databases from folders of files: one per service, with the tables that the sources read."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg2  # type: ignore[import-untyped]
from sqlalchemy import URL, Engine, NullPool, Table, create_engine
from sqlalchemy.exc import DBAPIError

from crm_pipeline.faults import describe_error
from crm_pipeline.resources.postgres.database_check import format_server
from crm_pipeline.settings import parse_database_url
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.vocabulary import Service

_EXISTING_QUERY: Final = "select datname from pg_database where datname = any(%s) order by 1"


class SourceDatabaseError(Exception):
    """The databases cannot be created; the message has the server and the reason, without the password."""


def create_source_databases(server_url: str, folder: Path) -> Mapping[Service, URL]:
    """Creates database `sample_<service>` per service with the rows of a sample without faults; returns their URLs.

    Raises:
        SettingError: the URL is none.
        SourceDatabaseError: the server refuses, or one of the databases exists.
    """
    server = parse_database_url("--to", server_url)
    names = {service: f"sample_{service.lower()}" for service in Service}
    try:
        if existing := _find_existing(server, list(names.values())):
            raise SourceDatabaseError(f"{format_server(server)} has {', '.join(existing)} already: drop them first")
        for service, name in names.items():
            engine = create_database(server, name)
            load_service(engine, service, folder)
            engine.dispose()
    except (DBAPIError, psycopg2.Error) as error:
        raise SourceDatabaseError(f"{format_server(server)}: {describe_error(error)}") from None
    return {service: server.set(drivername="postgresql", database=name) for service, name in names.items()}


def create_database(server: URL, name: str) -> Engine:
    """Creates an empty database; returns an engine on it with the same login."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
    return create_engine(server.set(database=name))


def load_service(engine: Engine, service: Service, folder: Path) -> None:
    """Creates the declared tables of a service, with the rows of a folder of snapshots."""
    for table in list_source_tables(service):
        load_table(engine, table, folder / service.lower() / f"{table.name}.csv")


def load_table(engine: Engine, table: Table, file: Path) -> None:
    """Creates the declared table, with the rows of a CSV file whose values all are of the declared types."""
    source_metadata.create_all(engine, [table])
    with closing(engine.raw_connection()) as connection, file.open(encoding="utf-8", newline="") as lines:
        copying: Any = connection.cursor()  # psycopg2's cursor; SQLAlchemy's type lacks copy_expert
        copying.copy_expert(f'copy "{table.name}" from stdin (format csv, header true)', lines)
        connection.commit()


def _find_existing(server: URL, names: list[str]) -> list[str]:
    with create_engine(server, poolclass=NullPool).connect() as connection:
        return list(connection.exec_driver_sql(_EXISTING_QUERY, (names,)).scalars())
