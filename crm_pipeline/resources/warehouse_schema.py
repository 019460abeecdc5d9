"""The shape of schema `crm`: the declared tables as PostgreSQL has them, their partitions, indexes and views.

A column is declared in `tables`; here it only gains what PostgreSQL needs beside it.
"""

import hashlib
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
from sqlalchemy import ARRAY, BigInteger, Column, Connection, Index, MetaData, String, Table, Text, text
from sqlalchemy.schema import CreateSchema
from sqlalchemy.types import TypeEngine

from crm_pipeline.tables import PUBLISHED
from crm_pipeline.tables.columns import outputs

SCHEMA = str(outputs.schema)
REDIRECTS = """
    create view crm.profile_redirects as
    select tenant_id, profile_id, redirects_to from crm.profile_ids where redirects_to is not null"""
REDIRECTS_COMMENT = "comment on view crm.profile_redirects is 'Former profile ids and the live profile each now means.'"


def prepare(connection: Connection) -> None:
    """Create the schema, tables, comments, indexes and views that are missing; one preparer at a time.

    What is there is left alone, the view too: replacing it would wait for its readers, and keep new ones waiting.
    """
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('crm schema', 0))"))
    connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    warehouse_tables().create_all(connection)
    if not connection.execute(text("select to_regclass('crm.profile_redirects')")).scalar():
        connection.execute(text(REDIRECTS))
        connection.execute(text(REDIRECTS_COMMENT))


def warehouse_tables() -> MetaData:
    """The published tables as PostgreSQL has them: text without a length, a row hash, partitions, BI's index."""
    schema = MetaData(schema=SCHEMA)
    for declared in PUBLISHED:
        columns = [
            Column(
                c.name,
                _without_length(c.type),
                primary_key=c.primary_key,
                nullable=c.nullable,
                comment=c.comment,
            )
            for c in declared.columns
        ]
        hashed = Column("row_hash", BigInteger, comment="Hash of the row, for comparing it with the lake.")
        partitioned = declared.info.get("partitioned_by")
        options: dict[str, Any] = {"postgresql_partition_by": f"LIST ({partitioned})"} if partitioned else {}
        table = Table(declared.name, schema, *columns, hashed, comment=declared.comment, **options)
        if partitioned:
            Index(f"{declared.name}_by_profile", table.c.tenant_id, table.c.profile_id, table.c.occurred_at.desc())
    return schema


def _without_length(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(kind, ARRAY):
        return ARRAY(Text())
    return Text() if isinstance(kind, String) else kind


def holder_of(table: Table, tenant_id: str) -> str:
    """Name of the table that holds the tenant's rows: its partition, where `table` has any."""
    parent = f"{SCHEMA}.{table.name}"
    if not table.info.get("partitioned_by"):
        return parent
    return f"{parent}_{hashlib.sha256(tenant_id.encode()).hexdigest()[:16]}"


def add_partition(cursor: adbc.Cursor, table: Table, tenant_id: str) -> None:
    """Attach the tenant's partition where it is missing, blocking no reader; the caller holds the tenant."""
    parent, partition = f"{SCHEMA}.{table.name}", holder_of(table, tenant_id)
    cursor.execute("select to_regclass($1) is not null", (partition,))
    if not cursor.fetchall()[0][0]:
        literal = tenant_id.replace("'", "''")
        cursor.execute(f"create table {partition} (like {parent} including all)")
        cursor.execute(f"alter table {parent} attach partition {partition} for values in ('{literal}')")
