"""Tombstones: hashes of records that must not come back, keyed so that nobody without the key can try ids against them.

Belongs here: making them, keeping what they stand for out of rows just read, ending those of golfers whom retention
removed and who come again, adding up the money beside them. Whose row is whose is said in `domain/forgetting`; writing
and lifting tombstones is the business of `forget`.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.privacy.inactivity import GOLFER_TOMBSTONE_CONDITION, build_returned_golfers_query
from crm_pipeline.domain.privacy.subject_rows import RecordReference, build_source_condition, list_record_references
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.resources.sources.delivery import SourceError
from crm_pipeline.tables.outputs import privacy
from crm_pipeline.vocabulary import Service

_HMAC_BLOCK_BYTES: Final = 64
_HMAC_SQL: Final = """sha256($outer || unhex(sha256($inner
    || encode(concat_ws(chr(31), tenant_id, service, table_name, record_id)))))"""
"""HMAC-SHA256 as RFC 2104 has it, in SQL: a call into Python for each row would cost more than reading them."""


class SubjectRecord(NamedTuple):
    """What a tombstone stands for."""

    tenant_id: str
    service: str
    table_name: str
    record_id: str


def build_tombstone(key: str, record: SubjectRecord) -> str:
    """The keyed hash of one record."""
    return hmac.new(key.encode(), "\x1f".join(record).encode(), hashlib.sha256).hexdigest()


def build_key_id(key: str) -> str:
    """What tells one key from another, and gives none away."""
    return hmac.new(key.encode(), b"which key", hashlib.sha256).hexdigest()[:16]


class Tombstones(NamedTuple):
    """The tombstones there are, as a relation, the tenants that have any, and the key they were made with."""

    relation: str
    tenants: list[str]
    key: str
    has_golfers: bool
    """Whether there are any of retention, which end."""


def find_tombstones(con: DuckDBPyConnection, lake: Lake, service: Service, key: str | None) -> Tombstones | None:
    """The tombstones to keep out of a service; None where nobody was ever forgotten.

    Raises SourceError without their key: nothing is read rather than somebody brought back.
    """
    if lake.version(privacy.tombstones) < 0:
        return None
    stones = lake.current(con, privacy.tombstones, name="tombstones_ever")
    ended = lake.current(con, privacy.returned_golfers, name="returned_now")
    con.execute(f"""
        create or replace temp view tombstones_now as
        from {stones} anti join {ended} using (tenant_id, certificate_id)""")
    con.execute("create or replace temp table come_again (tenant_id varchar, certificate_id varchar)")
    found = con.sql(f"""
        select tenant_id, key_id, bool_or({GOLFER_TOMBSTONE_CONDITION}) from tombstones_now group by all""").fetchall()
    if not found:
        return None
    if key is None or {made_with for _, made_with, _ in found} != {build_key_id(key)}:
        raise SourceError(f"{service}: people were forgotten, and ERASURE_KEY is not the key that was used then")
    tenants = sorted({tenant for tenant, *_ in found})
    return Tombstones("tombstones_now", tenants, key, any(has_golfers for *_, has_golfers in found))


def exclude_forgotten(con: DuckDBPyConnection, table: Table, rows: str, stones: Tombstones) -> int:
    """Delete from temp table `rows`, shaped as the lake keeps `table`, what is about the forgotten; return how many.

    Rows of tenants in which nobody was forgotten are not looked at. Golfers of retention's who did something since are
    named in relation `come_again`.
    """
    named = list(list_record_references(table))
    if not named:
        return 0
    _find_forgotten(con, named, rows, stones)
    if stones.has_golfers and (again := build_returned_golfers_query(table, rows)):
        con.execute(f"insert into come_again {again}")
    condition = f"t.{build_tenant_condition(stones.tenants)} and ({build_source_condition(table)})"
    [(count,)] = con.execute(f"delete from {rows} as t where {condition}").fetchall()
    return int(count)


def end_tombstones(con: DuckDBPyConnection, lake: Lake, at: datetime) -> None:
    """Keep who has `come_again`: extractions after this one let them in, and read every row."""
    con.execute(
        """
        create or replace temp table returned as
        select distinct *, $at::timestamptz as returned_at from come_again""",
        {"at": at},
    )
    tenants = [tenant for (tenant,) in con.sql("select distinct tenant_id from returned order by 1").fetchall()]
    if tenants:
        scope = "certificate_id in (select certificate_id from returned)"
        lake.replace(con, privacy.returned_golfers, "returned", tenants=tenants, known_at=at, scope=scope)


def find_returned_tenants(
    con: DuckDBPyConnection, lake: Lake, tenants: Sequence[str] | None, since: datetime
) -> list[str]:
    """Those of the tenants to which somebody came again after a reading of that hour, or in that very run."""
    if lake.version(privacy.returned_golfers) < 0:
        return []
    ended = lake.current(con, privacy.returned_golfers, tenants=tenants, name="returned_now")
    found = con.execute(
        f"select distinct tenant_id from {ended} where returned_at >= $since order by 1", {"since": since}
    )
    return [tenant for (tenant,) in found.fetchall()]


def store_forgotten_totals(con: DuckDBPyConnection, lake: Lake, tenants: Sequence[str], at: datetime) -> None:
    """Make forgotten_totals of the tenants what their summands add up to, without those who had come again by then."""
    if not tenants:
        return
    sums = lake.current(con, privacy.forgotten_sums, tenants=tenants, name="sums_now")
    ended = lake.current(con, privacy.returned_golfers, tenants=tenants, name="returned_now")
    con.execute(
        f"""create or replace temp table totals as
        select tenant_id, year, currency, cast(sum(amount_cents) as bigint) as amount_cents
        from {sums} anti join (from {ended} where returned_at < $at) using (tenant_id, certificate_id) group by all""",
        {"at": at},
    )
    lake.replace(con, privacy.forgotten_totals, "totals", tenants=tenants, known_at=at)


def _find_forgotten(con: DuckDBPyConnection, named: Sequence[RecordReference], rows: str, stones: Tombstones) -> None:
    """Temp table `forgotten` of what these rows name and a tombstone stands for."""
    candidates = " union ".join(
        f"""select distinct t.tenant_id, {service} as service, {table} as table_name, {record_id} as record_id
        from {rows} t where t.{build_tenant_condition(stones.tenants)} and {record_id} is not null"""
        for service, table, record_id in named
    )
    key = stones.key.encode()
    pad = (key if len(key) <= _HMAC_BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_HMAC_BLOCK_BYTES, b"\0")
    con.execute(
        f"""create or replace temp table forgotten as
        select tenant_id, service, table_name, record_id, certificate_id, forgotten_at
        from (select *, {_HMAC_SQL} as hash from ({candidates})) join {stones.relation} using (tenant_id, hash)""",
        {"inner": bytes(byte ^ 0x36 for byte in pad), "outer": bytes(byte ^ 0x5C for byte in pad)},
    )
