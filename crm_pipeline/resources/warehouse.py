"""The warehouse: schema `crm` in PostgreSQL, made equal to the lake one tenant and one transaction at a time.

Nothing is computed here. Rows come as DuckDB relations with `_row_hash`, and only those whose hash differs travel.
What the schema looks like is `warehouse_schema`'s business; who may run at the same time is `run_lock`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from sqlalchemy import Engine, Table, create_engine, make_url

from crm_pipeline.resources.lake import Changes
from crm_pipeline.resources.warehouse_schema import partition_of, prepare
from crm_pipeline.tables.projections import key_columns, postgres_type

LOCK_TIMEOUT = "30s"
APPLICATION = "crm-pipeline"


class PublishError(Exception):
    """A tenant that could not be published; the message names tenant and table, and nothing of it was changed."""


class Rows(NamedTuple):
    """A tenant's rows of one table as the lake has them: a DuckDB relation with `_row_hash`, and their version."""

    table: Table
    relation: str
    version: int


@dataclass(frozen=True)
class Warehouse:
    """The PostgreSQL server behind a `postgresql://` URL."""

    url: str

    def engine(self) -> Engine:
        """A SQLAlchemy engine, for statements that move no rows."""
        return create_engine(self.url, connect_args={"application_name": APPLICATION}, pool_pre_ping=True)

    def prepare(self) -> None:
        """Create whatever the schema lacks."""
        engine = self.engine()
        with engine.begin() as connection:
            prepare(connection)
        engine.dispose()

    @contextmanager
    def publisher(self, con: duckdb.DuckDBPyConnection, *, as_of: datetime, run_id: str) -> Iterator["Publisher"]:
        """One connection to publish any number of tenants through."""
        url = make_url(self.url).set(drivername="postgresql").update_query_dict({"application_name": APPLICATION})
        with closing(adbc.connect(url.render_as_string(hide_password=False))) as connection:
            with closing(connection.cursor()) as cursor:
                cursor.execute("select table_name, tenant_id, version from crm.publications")
                published = {(table, tenant): version for table, tenant, version in cursor.fetchall()}
            connection.commit()
            yield Publisher(con, connection, as_of, run_id, published)


@dataclass(frozen=True)
class Publisher:
    """Publishes tenants, each in a transaction of its own."""

    con: duckdb.DuckDBPyConnection
    connection: adbc.Connection
    as_of: datetime
    run_id: str
    published: Mapping[tuple[str, str], int]
    """Versions published when the connection was made, by table name and tenant; read again before each publication."""

    def publish(self, tenant_id: str, rows: Sequence[Rows]) -> dict[str, Changes]:
        """Make the tenant's tables equal to `rows`, all of them or none; return what changed per table.

        A table already published at its version is left alone. Raises PublishError for a version older than the
        published one and for a count that does not match.
        """
        with closing(self.connection.cursor()) as cursor:
            try:
                self._begin(cursor, tenant_id)
                published = self._versions(cursor, tenant_id)
                changes = {
                    part.table.name: self._publish_table(cursor, tenant_id, part)
                    for part in rows
                    if self._is_due(tenant_id, part, published)
                }
                self.connection.commit()
            except BaseException:
                self.connection.rollback()
                raise
        return changes

    def finish(
        self, tenants: Sequence[str], services: list[str], of_tenants: list[str], ages: list[datetime], rows: list[int]
    ) -> None:
        """Say that the tenants' tables speak of this run's hour, and how old each service's snapshot is.

        The last four lists run parallel: service, tenant, as_of and rows of its last believed snapshot.
        """
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(
                "update crm.publications set as_of = $1, run_id = $2 where tenant_id = any($3) and table_name not like '%.snapshot'",
                (self.as_of, self.run_id, list(tenants)),
            )
            cursor.execute("update crm.quarantined_records set last_seen_at = $1", (self.as_of,))
            for service, tenant, age, count in zip(services, of_tenants, ages, rows, strict=True):
                self._note(cursor, f"{service}.snapshot", tenant, age, count, 0)
        self.connection.commit()

    def _begin(self, cursor: adbc.Cursor, tenant_id: str) -> None:
        cursor.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('publish ' || $1, 0))", (tenant_id,))
        cursor.fetchall()

    def _versions(self, cursor: adbc.Cursor, tenant_id: str) -> dict[str, int]:
        cursor.execute("select table_name, version from crm.publications where tenant_id = $1", (tenant_id,))
        return dict(cursor.fetchall())

    def _is_due(self, tenant_id: str, part: Rows, published: Mapping[str, int]) -> bool:
        newest = published.get(part.table.name)
        if newest is not None and newest > part.version:
            raise PublishError(
                f"{tenant_id}: {part.table.name} was published at version {newest}, this lake has {part.version};"
                " it is not the lake the warehouse was published from"
            )
        return newest != part.version

    def _publish_table(self, cursor: adbc.Cursor, tenant_id: str, part: Rows) -> Changes:
        table = part.table
        target = partition_of(cursor, table, tenant_id)
        self._read_published(cursor, target, table, tenant_id)
        self._compare(part, tenant_id)
        changes = Changes(
            *self.con.sql("""
            select count(*) filter (not _is_known), count(*) filter (_is_known and not _is_gone),
                count(*) filter (_is_gone) from _to_publish""").fetchall()[0]
        )
        if changes.total:
            self._apply(cursor, target, table, tenant_id)
        count = self._check_count(cursor, target, part, tenant_id)
        self._note(cursor, table.name, tenant_id, self.as_of, count, part.version)
        return changes

    def _note(self, cursor: adbc.Cursor, name: str, tenant_id: str, as_of: datetime, rows: int, version: int) -> None:  # noqa: PLR0913
        cursor.execute(
            """insert into crm.publications (table_name, tenant_id, run_id, as_of, rows, version, published_at)
            values ($1, $2, $3, $4, $5, $6, $7) on conflict (table_name, tenant_id) do update set run_id = excluded.run_id,
            as_of = excluded.as_of, rows = excluded.rows, version = excluded.version, published_at = excluded.published_at""",
            (name, tenant_id, self.run_id, as_of, rows, version, datetime.now(UTC)),
        )

    def _read_published(self, cursor: adbc.Cursor, target: str, table: Table, tenant_id: str) -> None:
        keys = ", ".join(f"{key}::text as {key}" for key in key_columns(table))
        cursor.execute(f"select {keys}, row_hash as _row_hash from {target} where {_tenant(table)} = $1", (tenant_id,))
        published = cursor.fetch_arrow_table()  # noqa: F841  DuckDB finds it by name
        self.con.execute("create or replace temp table _published as select * from published")

    def _compare(self, part: Rows, tenant_id: str) -> None:
        """Temp table `_to_publish`: rows to write, and keys to delete, told apart by `_is_gone`."""
        keys = ", ".join(key_columns(part.table))
        self.con.execute(
            f"""create or replace temp table _to_publish as
            with mine as (select * from {part.relation} where {_tenant(part.table)} = $tenant)
            select mine.*, _published._row_hash is not null as _is_known, false as _is_gone
            from mine left join _published using ({keys}) where mine._row_hash is distinct from _published._row_hash
            union all by name
            select {keys}, true as _is_known, true as _is_gone from _published anti join mine using ({keys})""",
            {"tenant": tenant_id},
        )

    def _apply(self, cursor: adbc.Cursor, target: str, table: Table, tenant_id: str) -> None:
        keys, columns = key_columns(table), [*(column.name for column in table.columns), "row_hash"]
        carried = ", ".join(f"cast({c.name} as {_transport(postgres_type(c))[1]}) as {c.name}" for c in table.columns)
        staged = ", ".join(f"{c.name} {_transport(postgres_type(c))[0]}" for c in table.columns)
        cursor.execute(f"create temp table staged ({staged}, row_hash bigint, is_gone boolean) on commit drop")
        rows = self.con.sql(f"select {carried}, _row_hash as row_hash, _is_gone as is_gone from _to_publish")
        cursor.adbc_ingest("staged", rows.to_arrow_reader(), mode="append", temporary=True)
        matches = " and ".join(f"t.{key}::text = s.{key}" for key in keys)
        cursor.execute(f"delete from {target} t using staged s where s.is_gone and {matches}")
        values = ", ".join(f"{c.name}::{postgres_type(c)}" for c in table.columns)
        updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
        cursor.execute(
            f"""insert into {target} ({", ".join(columns)}) select {values}, row_hash from staged where not is_gone
            on conflict ({", ".join(keys)}) do update set {updates}"""
        )
        cursor.execute("drop table staged")

    def _check_count(self, cursor: adbc.Cursor, target: str, part: Rows, tenant_id: str) -> int:
        cursor.execute(f"select count(*) from {target} where {_tenant(part.table)} = $1", (tenant_id,))
        found: int = cursor.fetchall()[0][0]
        expected = self.con.sql(
            f"select count(*) from {part.relation} where {_tenant(part.table)} = $tenant", params={"tenant": tenant_id}
        ).fetchall()[0][0]
        if found != expected:
            raise PublishError(f"{tenant_id}: {part.table.name} would have {found} rows, the lake has {expected}")
        return found


def _tenant(table: Table) -> str:
    return "coalesce(tenant_id, '')" if table.c.tenant_id.nullable else "tenant_id"


def _transport(postgres: str) -> tuple[str, str]:
    """How a type travels, as PostgreSQL and as DuckDB call it; what ADBC could misread goes as text and is cast there."""
    kinds = {
        "BIGINT": "bigint",
        "BOOLEAN": "boolean",
        "DOUBLE PRECISION": "double",
        "TIMESTAMP WITH TIME ZONE": "timestamptz",
        "TEXT[]": "varchar[]",
    }
    return (postgres, kinds[postgres]) if postgres in kinds else ("text", "varchar")
