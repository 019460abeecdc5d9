"""Tombstones: hashes of records that must not come back, keyed so that nobody without the key can try ids against them.

Belongs here: making them, keeping what they stand for out of rows just read, adding up the money beside them. Whose row
is whose is said
in `domain/forgetting`; writing and lifting tombstones is the business of `forget`.
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
from crm_pipeline.tables.columns import service_of

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


def keep_out(con: DuckDBPyConnection, lake: Lake, table: Table, rows: str, key: str | None) -> int:
    """Delete from temp table `rows`, shaped as the lake keeps `table`, what is about the forgotten; return how many.

    Rows of tenants in which nobody was forgotten are not looked at. Raises SourceError without the key of the
    tombstones: nothing is read rather than somebody brought back.
    """
    stones = lake.current(con, privacy.tombstones, name="tombstones_now")
    tenants = [t for (t,) in con.sql(f"select distinct tenant_id from {stones} order by 1").fetchall()]
    named = list(mentions(table))
    if not (tenants and named):
        return 0
    keys = {found for (found,) in con.sql(f"select distinct key_id from {stones}").fetchall()}
    if key is None or keys != {key_id(key)}:
        raise SourceError(
            f"{service_of(table)}: people were forgotten, and ERASURE_KEY is not the key that was used then"
        )
    _find_forgotten(con, named, stones, rows, tenants, key)
    condition = f"t.{tenant_filter(tenants)} and ({source_condition(table)})"
    [(count,)] = con.execute(f"delete from {rows} as t where {condition}").fetchall()
    return int(count)


def total_up(con: DuckDBPyConnection, lake: Lake, tenant_id: str, at: datetime) -> None:
    """Make forgotten_totals of the tenant what its summands add up to."""
    sums = lake.current(con, privacy.forgotten_sums, tenants=[tenant_id], name="sums_now")
    con.execute(f"""
        create or replace temp table totals as
        select tenant_id, year, currency, cast(sum(amount_cents) as bigint) as amount_cents from {sums} group by all""")
    lake.replace(con, privacy.forgotten_totals, "totals", tenants=[tenant_id], known_at=at)


def _find_forgotten(
    con: DuckDBPyConnection, named: Sequence[Mention], stones: str, rows: str, tenants: Sequence[str], key: str
) -> None:
    """Temp table `forgotten` of what these rows name and a tombstone stands for."""
    candidates = " union ".join(
        f"""select distinct t.tenant_id, {service} as service, {table} as table_name, {record_id} as record_id
        from {rows} t where t.{tenant_filter(tenants)} and {record_id} is not null"""
        for service, table, record_id in named
    )
    pad = key.encode() if len(key.encode()) <= _BLOCK else hashlib.sha256(key.encode()).digest()
    pad = pad.ljust(_BLOCK, b"\0")
    con.execute(
        f"""create or replace temp table forgotten as
        select tenant_id, service, table_name, record_id from ({candidates})
        where (tenant_id, {_HMAC}) in (select tenant_id, hash from {stones})""",
        {"inner": bytes(byte ^ 0x36 for byte in pad), "outer": bytes(byte ^ 0x5C for byte in pad)},
    )
