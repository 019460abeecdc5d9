"""Tombstones: hashes of records that must not come back, keyed so that nobody without the key can try ids against them.

Belongs here: making them, keeping what they stand for out of rows just read, adding up the money beside them. Whose row
is whose is said in `domain/forgetting`; writing and lifting tombstones is the business of `forget`.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.forgetting import Mention, mentions, source_condition
from crm_pipeline.resources.lake import Lake, tenant_filter
from crm_pipeline.resources.source_contract import SourceError
from crm_pipeline.tables import privacy
from crm_pipeline.vocabulary import Service

_BLOCK: Final = 64
_HMAC: Final = """sha256($outer || unhex(sha256($inner
    || encode(concat_ws(chr(31), tenant_id, service, table_name, record_id)))))"""
"""HMAC-SHA256 as RFC 2104 has it, in SQL: a call into Python for each row would cost more than reading them."""


class Record(NamedTuple):
    """What a tombstone stands for."""

    tenant_id: str
    service: str
    table_name: str
    record_id: str


def tombstone(key: str, record: Record) -> str:
    """The keyed hash of one record."""
    return hmac.new(key.encode(), "\x1f".join(record).encode(), hashlib.sha256).hexdigest()


def key_id(key: str) -> str:
    """What tells one key from another, and gives none away."""
    return hmac.new(key.encode(), b"which key", hashlib.sha256).hexdigest()[:16]


class Stones(NamedTuple):
    """The tombstones there are, as a relation, the tenants that have any, and the key they were made with."""

    relation: str
    tenants: list[str]
    key: str


def find_stones(con: DuckDBPyConnection, lake: Lake, service: Service, key: str | None) -> Stones | None:
    """The tombstones to keep out of a service; None where nobody was ever forgotten.

    Raises SourceError without their key: nothing is read rather than somebody brought back.
    """
    stones = lake.current(con, privacy.tombstones, name="tombstones_now")
    found = con.sql(f"select distinct tenant_id, key_id from {stones}").fetchall()
    if not found:
        return None
    if key is None or {made_with for _, made_with in found} != {key_id(key)}:
        raise SourceError(f"{service}: people were forgotten, and ERASURE_KEY is not the key that was used then")
    return Stones(stones, sorted({tenant for tenant, _ in found}), key)


def keep_out(con: DuckDBPyConnection, table: Table, rows: str, stones: Stones) -> int:
    """Delete from temp table `rows`, shaped as the lake keeps `table`, what is about the forgotten; return how many.

    Rows of tenants in which nobody was forgotten are not looked at.
    """
    named = list(mentions(table))
    if not named:
        return 0
    _find_forgotten(con, named, rows, stones)
    condition = f"t.{tenant_filter(stones.tenants)} and ({source_condition(table)})"
    [(count,)] = con.execute(f"delete from {rows} as t where {condition}").fetchall()
    return int(count)


def total_up(con: DuckDBPyConnection, lake: Lake, tenant_id: str, at: datetime) -> None:
    """Make forgotten_totals of the tenant what its summands add up to."""
    sums = lake.current(con, privacy.forgotten_sums, tenants=[tenant_id], name="sums_now")
    con.execute(f"""
        create or replace temp table totals as
        select tenant_id, year, currency, cast(sum(amount_cents) as bigint) as amount_cents from {sums} group by all""")
    lake.replace(con, privacy.forgotten_totals, "totals", tenants=[tenant_id], known_at=at)


def _find_forgotten(con: DuckDBPyConnection, named: Sequence[Mention], rows: str, stones: Stones) -> None:
    """Temp table `forgotten` of what these rows name and a tombstone stands for."""
    candidates = " union ".join(
        f"""select distinct t.tenant_id, {service} as service, {table} as table_name, {record_id} as record_id
        from {rows} t where t.{tenant_filter(stones.tenants)} and {record_id} is not null"""
        for service, table, record_id in named
    )
    key = stones.key.encode()
    pad = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    con.execute(
        f"""create or replace temp table forgotten as
        select tenant_id, service, table_name, record_id from ({candidates})
        where (tenant_id, {_HMAC}) in (select tenant_id, hash from {stones.relation})""",
        {"inner": bytes(byte ^ 0x36 for byte in pad), "outer": bytes(byte ^ 0x5C for byte in pad)},
    )
