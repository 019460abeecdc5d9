"""The sample's services as real databases, and as folders of exactly the same rows."""

import csv
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, Table, create_engine, make_url

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.settings import source_variable
from crm_pipeline.tables import source_tables
from crm_pipeline.tables.columns import source_metadata
from crm_pipeline.vocabulary import QuarantineReason, Service
from crm_pipeline_tests.domain.delivered import Delivered, read
from crm_pipeline_tests.support import SAMPLE

HOLDABLE = (QuarantineReason.UNKNOWN_VALUE, QuarantineReason.NEGATIVE_AMOUNT)
"""What may be wrong with a value that a column of the declared type takes all the same."""


def write_holdable_rows(out: Path) -> None:
    """Write the sample's rows that a typed table with a primary key can hold: all sound ones, and some bad ones."""
    for service in Service:
        (out / service.lower()).mkdir(parents=True)
        for table in source_tables(service):
            with (out / service.lower() / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, [column.name for column in table.columns], lineterminator="\n")
                writer.writeheader()
                writer.writerows(holdable_rows(service, table))


def holdable_rows(service: Service, table: Table) -> list[Delivered]:
    """Of rows with one key, the first."""
    with (SAMPLE / service.lower() / f"{table.name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    held = {
        row["_record_key"]
        for row in read(table, *rows)
        if all(problem.split(":")[1] in HOLDABLE for problem in row["_problems"])
    }
    return list({row["id"]: row for row in reversed(rows) if row["id"] in held}.values())


@contextmanager
def service_databases(home: Path, folders: Path) -> Iterator[dict[str, str]]:
    """One database per service, with the rows of `folders`: the settings that point at them."""
    server = EmbeddedPostgres(home)
    server.start()
    spare_the_disk(server)
    settings = {}
    for service in Service:
        engine = new_database(server, f"service_{service.lower()}")
        for table in source_tables(service):
            load(engine, table, folders / service.lower() / f"{table.name}.csv")
        settings[source_variable(service)] = engine.url.render_as_string(hide_password=False)
        engine.dispose()
    yield settings
    server.stop()


def administer(server: EmbeddedPostgres, *statements: str) -> None:
    """Carry out statements as the superuser, each in a transaction of its own or in none."""
    engine = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def new_database(server: EmbeddedPostgres, name: str) -> Engine:
    """The superuser's way into a database with nothing in it."""
    administer(server, f"create database {name}")
    return create_engine(make_url(server.url("postgres")).set(database=name))


def spare_the_disk(server: EmbeddedPostgres) -> None:
    """For tests that never take the power away: without the promise to survive that they take half the time."""
    administer(server, "alter system set fsync = off", "select pg_reload_conf()")


def load(engine: Engine, table: Table, file: Path) -> None:
    """Create the declared table and copy a file into it."""
    source_metadata.create_all(engine, [table])
    with closing(engine.raw_connection()) as connection, file.open(encoding="utf-8", newline="") as lines:
        copying: Any = connection.cursor()  # psycopg2's, which has more than SQLAlchemy knows of
        copying.copy_expert(f'copy "{table.name}" from stdin (format csv, header true)', lines)
        connection.commit()
