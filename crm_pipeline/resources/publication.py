"""One tenant's rows of one table made equal to the lake's, inside a transaction that somebody else began.

Where the published version is one of this lake's, only the rows changed since then are looked at; where it is not,
keys and hashes of all rows are compared; where nothing is there yet, all rows are loaded and indexed afterwards.
"""

import logging
from dataclasses import dataclass
from typing import NamedTuple

import adbc_driver_postgresql.dbapi as adbc
import duckdb
from deltalake import DeltaTable
from sqlalchemy import Connection, Table, text

from crm_pipeline.resources.lake import UNCHANGED, Changes, Lake
from crm_pipeline.resources.loading import copy_rows, stage_changes
from crm_pipeline.resources.warehouse_schema import create_partition, holder_of, index_partition, literal
from crm_pipeline.tables.projections import duckdb_type, key_columns

LOGGER = logging.getLogger(__name__)
LOCK = "select pg_advisory_xact_lock(hashtextextended('publish ' || {}, 0))"
"""Held to the end of a transaction by whoever changes a tenant's tables, whose parameter goes into the braces."""


class PublishError(Exception):
    """A tenant that could not be published; the message names tenant and table, and nothing of it was changed."""


def keep_publishers_out(connection: Connection, tenant_id: str) -> None:
    """Wait until nobody publishes the tenant, half a minute at most, and let nobody until the transaction ends."""
    connection.execute(text("set lock_timeout = '30s'"))
    connection.execute(text(LOCK.format(":tenant")), {"tenant": tenant_id})


class Content(NamedTuple):
    """What tells two sets of rows apart: their number, and the sum of their hashes."""

    rows: int
    checksum: int


class Rows(NamedTuple):
    """A tenant's rows of one table as the lake has them: DuckDB relations with `_row_hash`, and their version."""

    table: Table
    relation: str
    """All rows, maybe with other tenants' between them."""
    content: Content
    version: int
    lake_id: str
    changes: str | None = None
    """The lake's log of at least what changed since the published version; None where that is not of this lake."""


class Published(NamedTuple):
    """What a tenant's table was last published from."""

    version: int
    lake_id: str | None
    content: Content


@dataclass(frozen=True)
class Publication:
    """The publication of one table of one tenant."""

    con: duckdb.DuckDBPyConnection
    cursor: adbc.Cursor
    tenant_id: str
    part: Rows
    published: Published | None

    def carry_out(self) -> Changes:
        """Make the rows equal and return what changed. A new partition waits for being attached."""
        target = holder_of(self.part.table, self.tenant_id)
        if self._is_new(target):
            return self._load(target)
        changes = UNCHANGED
        if self.part.changes and self.published:
            self._pick_changes(self.part.changes, self.published.version)
            changes, content = self._apply(target, self.published.content)
            if content == self.part.content:
                return changes
            LOGGER.warning("%s: %s is compared row by row", self.tenant_id, self.part.table.name)
        self._compare(target)
        compared, _ = self._apply(target, Content(0, 0))
        self._check(target)
        return Changes(*(one + other for one, other in zip(changes, compared, strict=True)))

    def _is_new(self, target: str) -> bool:
        """Whether nothing is in the way of the tenant's rows; one without a tenant may stand under another's."""
        if self.part.table.info.get("partitioned_by"):
            self.cursor.execute("select to_regclass($1) is null", (target,))
        elif self.published or self.part.table.c.tenant_id.nullable:
            return False
        else:
            self.cursor.execute(f"select not exists (select from {target} where tenant_id = $1)", (self.tenant_id,))
        return bool(self.cursor.fetchall()[0][0])

    def _load(self, target: str) -> Changes:
        table, is_partition = self.part.table, bool(self.part.table.info.get("partitioned_by"))
        if is_partition:
            create_partition(self.cursor, table, self.tenant_id)
        added = 0
        if self.part.content.rows:
            added = copy_rows(self.cursor, self.con, table, self._mine(), into=target.partition(".")[2])
        self._check(target)
        if is_partition:
            index_partition(self.cursor, table, self.tenant_id)
        return Changes(added, 0, 0)

    def _mine(self) -> str:
        return f"from {self.part.relation} where {tenant_column(self.part.table)} = {literal(self.tenant_id)}"

    def _pick_changes(self, log: str, since: int) -> None:
        """Temp table `_to_publish`: the newest version of each row that changed, `_is_gone` where it was removed."""
        keys = ", ".join(key_columns(self.part.table))
        self.con.execute(
            f"""create or replace temp table _to_publish as
            select *, _deleted as _is_gone from {log} where tenant_id = $tenant and _version > $since
            qualify row_number() over (partition by {keys} order by _version desc) = 1""",
            {"tenant": self.tenant_id, "since": since},
        )

    def _compare(self, target: str) -> None:
        """Temp table `_to_publish` from all rows on both sides."""
        table = self.part.table
        keys = ", ".join(f"{key}::text as {key}" for key in key_columns(table))
        self.cursor.execute(
            f"select {keys}, row_hash as _row_hash from {target} where {tenant_column(table)} = $1", (self.tenant_id,)
        )
        published = self.cursor.fetch_arrow_table()  # noqa: F841  DuckDB finds it by name
        types = ", ".join(f"cast({key} as {duckdb_type(table.c[key])}) as {key}" for key in key_columns(table))
        self.con.execute(f"create or replace temp table _published as select {types}, _row_hash from published")
        using = ", ".join(key_columns(table))
        self.con.execute(f"""
            create or replace temp table _to_publish as
            with mine as ({self._mine()})
            select mine.*, false as _is_gone
            from mine left join _published using ({using}) where mine._row_hash is distinct from _published._row_hash
            union all by name
            select {using}, true as _is_gone from _published anti join mine using ({using})""")

    def _apply(self, target: str, before: Content) -> tuple[Changes, Content]:
        """Write `_to_publish`; return what changed, and the content if it was `before`."""
        table = self.part.table
        written, written_sum, gone = self.con.sql("""
            select count(*) filter (not _is_gone), coalesce(sum(_row_hash) filter (not _is_gone), 0),
                count(*) filter (_is_gone) from _to_publish""").fetchall()[0]
        if not written + gone:
            return UNCHANGED, before
        staged = stage_changes(self.cursor, self.con, table, "_to_publish")
        matches = " and ".join(f"t.{key} = s.{key}" for key in key_columns(table))
        self.cursor.execute(f"""
            select count(*) filter (where not is_gone), count(*) filter (where is_gone),
                coalesce(sum(t.row_hash), 0)::text from {target} t join {staged} s on {matches}""")
        changed, removed, known_sum = self.cursor.fetchall()[0]
        if removed:
            self.cursor.execute(f"delete from {target} t using {staged} s where s.is_gone and {matches}")
        if written:
            self.cursor.execute(_upsert(table, target, staged))
        self.cursor.execute(f"delete from {staged}")
        added = written - changed
        after = Content(before.rows + added - removed, before.checksum + written_sum - int(known_sum))
        return Changes(added, changed, removed), after

    def _check(self, target: str) -> None:
        """Count and add up what PostgreSQL has now."""
        table, expected = self.part.table, self.part.content
        self.cursor.execute(
            f"select count(*), coalesce(sum(row_hash), 0)::text from {target} where {tenant_column(table)} = $1",
            (self.tenant_id,),
        )
        rows, checksum = self.cursor.fetchall()[0]
        if rows != expected.rows:
            raise PublishError(f"{self.tenant_id}: {table.name} would have {rows} rows, the lake has {expected.rows}")
        if int(checksum) != expected.checksum:
            raise PublishError(f"{self.tenant_id}: {table.name} would have other rows than the lake")


def lake_id(lake: Lake, table: Table) -> str:
    """What tells this lake's table from that of any other lake, one made anew in its place too."""
    path = lake.path(table)
    return str(DeltaTable(path).metadata().id) if DeltaTable.is_deltatable(path) else "none"


def tenant_column(table: Table) -> str:
    """SQL of the tenant a row belongs to; an empty one where it belongs to none."""
    return "coalesce(tenant_id, '')" if table.c.tenant_id.nullable else "tenant_id"


def _upsert(table: Table, target: str, staged: str) -> str:
    keys, columns = key_columns(table), [*(column.name for column in table.columns), "row_hash"]
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    return f"""
        insert into {target} ({", ".join(columns)}) select {", ".join(columns)} from {staged} where not is_gone
        on conflict ({", ".join(keys)}) do update set {updates}"""
