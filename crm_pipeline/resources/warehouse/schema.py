"""The shape of schema `crm`: PostgreSQL's version of the declared tables, their partitions, indexes and views.

The columns are those of `tables`, and `row_hash`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    DDL,
    BigInteger,
    Column,
    Index,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy import text as sql
from sqlalchemy.types import TypeEngine

from crm_pipeline.domain.freshness import build_service_freshness_query, build_tenant_freshness_query
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.tables.columns import output_metadata
from crm_pipeline.tables.projections import list_key_columns
from crm_pipeline.tables.views import service_freshness, tenant_freshness


class Cursor(Protocol):
    """A cursor of any driver, for statements without parameters."""

    def execute(self, operation: str, /) -> object:
        """Executes the statement as it is."""

    def fetchall(self) -> Sequence[Any]:
        """Returns its rows."""


CRM_SCHEMA = str(output_metadata.schema)
STATES_TABLE = "publication_states"
PARTITION_CONSTRAINT = "of_this_tenant"
FILLFACTOR = 90
"""Percentage to which pages are filled. A changed row that fits into its page changes that page alone and no index,
which saves most of the time and of the WAL of the write. Tables take a tenth more space."""
VIEW_QUERIES = {
    tenant_freshness: build_tenant_freshness_query("now()"),
    service_freshness: build_service_freshness_query("now()"),
}
"""The query of each declared view."""
REDIRECTS_VIEW = "profile_redirects"
REDIRECTS_VIEW_SQL = (
    """create view crm.profile_redirects as
    select tenant_id, profile_id, redirects_to from crm.profile_ids where redirects_to is not null""",
    "comment on view crm.profile_redirects is 'Former profile ids and the live profile each now means.'",
)


def build_warehouse_tables() -> MetaData:
    """Returns the published tables for PostgreSQL: text without a length, a row hash, partitions, BI's indexes."""
    schema = MetaData(schema=CRM_SCHEMA)
    for declared in PUBLISHED_TABLES:
        columns = [
            Column(
                c.name,
                _remove_length(c.type),
                primary_key=c.primary_key,
                nullable=c.nullable,
                comment=c.comment,
            )
            for c in declared.columns
        ]
        hashed = Column("row_hash", BigInteger, comment="Hash of the row, for comparing it with the lake.")
        partitioned = declared.info.get("partitioned_by")
        # A partitioned table has no fill factor; each partition sets it.
        options: dict[str, Any] = (
            {"postgresql_partition_by": f"LIST ({partitioned})"}
            if partitioned
            else {"postgresql_with": {"fillfactor": FILLFACTOR}}
        )
        table = Table(declared.name, schema, *columns, hashed, comment=declared.comment, **options)
        for name, indexed in declared.info.get("indexes", {}).items():
            Index(name, sql(indexed), _table=table)
        if partitioned:
            event.listen(table, "after_create", DDL(_build_no_statistics_sql(table)))  # type: ignore[no-untyped-call]
    Table(
        STATES_TABLE,
        schema,
        *_build_state_columns(),
        comment="The pipeline's own: what each publication was made from.",
    )
    return schema


def _build_no_statistics_sql(table: Table) -> str:
    """Returns the statement that keeps ANALYZE from statistics of a partitioned table as a whole.

    They would quote values of all clubs, and outlive an erasure, which rewrites a club's partitions and theirs.
    """
    columns = ", ".join(f"alter column {column.name} set statistics 0" for column in table.columns)
    return f"alter table {CRM_SCHEMA}.{table.name} {columns}"


def _build_state_columns() -> list[Column[Any]]:
    return [
        Column("table_name", Text, primary_key=True, comment="The published table."),
        Column("tenant_id", Text, primary_key=True, comment="The club."),
        Column("lake_id", Text, nullable=False, comment="The lake the version is of."),
        Column("checksum", Numeric, nullable=False, comment="Sum of the rows' hashes."),
    ]


def _remove_length(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(kind, ARRAY):
        return ARRAY(Text())
    return Text() if isinstance(kind, String) else kind


def build_views_sql() -> dict[str, tuple[str, ...]]:
    """Returns per view the statements that create it, with its comments."""
    views = {view.name: tuple(_build_view_sql(view, query)) for view, query in VIEW_QUERIES.items()}
    return {REDIRECTS_VIEW: REDIRECTS_VIEW_SQL, **views}


def _build_view_sql(view: Table, query: str) -> Iterator[str]:
    name = f"{CRM_SCHEMA}.{view.name}"
    yield f"create or replace view {name} as {query}"
    yield f"comment on view {name} is {quote_literal(str(view.comment))}"
    for column in view.columns:
        yield f"comment on column {name}.{column.name} is {quote_literal(str(column.comment))}"


def tenant_table_name(table: Table, tenant_id: str) -> str:
    """Returns the name of the table that holds the tenant's rows: its partition if `table` is partitioned."""
    parent = f"{CRM_SCHEMA}.{table.name}"
    if not table.info.get("partitioned_by"):
        return parent
    return f"{parent}_{hashlib.sha256(tenant_id.encode()).hexdigest()[:16]}"


def ensure_partition(cursor: Cursor, table: Table, tenant_id: str) -> None:
    """Creates the tenant's partition of a partitioned table, without rows, if it has none."""
    cursor.execute(f"select to_regclass({quote_literal(tenant_table_name(table, tenant_id))}) is null")
    if cursor.fetchall()[0][0]:
        create_partition(cursor, table, tenant_id)
        index_partition(cursor, table, tenant_id)
    attach_partition(cursor, table, tenant_id)


def create_partition(cursor: Cursor, table: Table, tenant_id: str) -> None:
    """Creates the tenant's partition, to be loaded, indexed and attached in the same transaction."""
    parent, partition = f"{CRM_SCHEMA}.{table.name}", tenant_table_name(table, tenant_id)
    # With this constraint attaching does not scan the rows.
    cursor.execute(f"""
        create table {partition} (like {parent} including all excluding indexes,
        constraint {PARTITION_CONSTRAINT} check ({table.info["partitioned_by"]} = {quote_literal(tenant_id)}))
        with (fillfactor = {FILLFACTOR})""")


def index_partition(cursor: Cursor, table: Table, tenant_id: str) -> None:
    """Creates the table's indexes on a loaded partition, four times as fast as filling them row by row."""
    partition = tenant_table_name(table, tenant_id)
    cursor.execute(f"alter table {partition} add primary key ({', '.join(list_key_columns(table))})")
    for columns in table.info.get("indexes", {}).values():
        cursor.execute(f"create index on {partition} ({columns})")


def attach_partition(cursor: Cursor, table: Table, tenant_id: str) -> None:
    """Attaches the tenant's partition unless it is attached; blocks no reader, only other attaching publishers."""
    if not table.info.get("partitioned_by"):
        return
    partition, value = tenant_table_name(table, tenant_id), quote_literal(tenant_id)
    cursor.execute(f"select from pg_class where oid = to_regclass({quote_literal(partition)}) and not relispartition")
    if cursor.fetchall():
        cursor.execute(f"alter table {CRM_SCHEMA}.{table.name} attach partition {partition} for values in ({value})")
        cursor.execute(f"alter table {partition} drop constraint {PARTITION_CONSTRAINT}")


def quote_name(name: str) -> str:
    """Returns a name as an SQL identifier; that of a role or database that an installation chose may have hyphens."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """Returns the value as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
