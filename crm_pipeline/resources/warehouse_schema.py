"""The shape of schema `crm`: the declared tables as PostgreSQL has them, their partitions, indexes and views.

A column is declared in `tables`; here it only gains what PostgreSQL needs beside it.
"""

import hashlib

import adbc_driver_postgresql.dbapi as adbc
from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, String, Table, Text, text
from sqlalchemy.schema import CreateSchema

from crm_pipeline.tables import PUBLISHED
from crm_pipeline.tables.columns import outputs

SCHEMA = str(outputs.schema)
REDIRECTS = """
    create or replace view crm.profile_redirects as
    select tenant_id, profile_id, redirects_to from crm.profile_ids where redirects_to is not null"""
REDIRECTS_COMMENT = "comment on view crm.profile_redirects is 'Former profile ids and the live profile each now means.'"


def prepare(connection: Connection) -> None:
    """Create the schema, tables, comments, indexes and views that are missing; one preparer at a time."""
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('crm schema', 0))"))
    connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    warehouse_tables().create_all(connection)
    connection.execute(text(REDIRECTS))
    connection.execute(text(REDIRECTS_COMMENT))


def warehouse_tables() -> MetaData:
    """The published tables as PostgreSQL has them: text without a length, a row hash, partitions, BI's index."""
    schema = MetaData(schema=SCHEMA)
    for declared in PUBLISHED:
        columns = [
            Column(
                c.name,
                Text() if isinstance(c.type, String) else c.type,
                primary_key=c.primary_key,
                nullable=c.nullable,
                comment=c.comment,
            )
            for c in declared.columns
        ]
        hashed = Column("row_hash", BigInteger, comment="Hash of the row, for comparing it with the lake.")
        partitioned = declared.info.get("partitioned_by")
        options = {"postgresql_partition_by": f"LIST ({partitioned})"} if partitioned else {}
        table = Table(declared.name, schema, *columns, hashed, comment=declared.comment, **options)
        if partitioned:
            Index(f"{declared.name}_by_profile", table.c.tenant_id, table.c.profile_id, table.c.occurred_at.desc())
    return schema


def partition_of(cursor: adbc.Cursor, table: Table, tenant_id: str) -> str:
    """Name of the table that holds the tenant's rows; a missing partition is made and attached, blocking no reader."""
    parent = f"{SCHEMA}.{table.name}"
    if not table.info.get("partitioned_by"):
        return parent
    partition = f"{parent}_{hashlib.sha256(tenant_id.encode()).hexdigest()[:16]}"
    cursor.execute("select to_regclass($1) is not null", (partition,))
    if not cursor.fetchall()[0][0]:
        literal = tenant_id.replace("'", "''")
        cursor.execute(f"create table {partition} (like {parent} including all)")
        cursor.execute(f"alter table {parent} attach partition {partition} for values in ('{literal}')")
    return partition
