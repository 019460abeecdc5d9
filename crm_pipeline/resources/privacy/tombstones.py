"""Tombstones: keyed hashes of records that must not be read again, so that ids cannot be tried without the key.

They exclude forgotten records from rows just read. Those of golfers removed by retention end when the golfer is active
again. The file also totals the sums of forgotten money.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from duckdb import DuckDBPyConnection
from sqlalchemy import Table

from crm_pipeline.domain.money import define_stored_sum
from crm_pipeline.domain.privacy.inactivity import GOLFER_TOMBSTONE_CONDITION, build_returned_golfers_query
from crm_pipeline.domain.privacy.subject_rows import RecordReference, build_source_condition, list_record_references
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import build_tenant_condition
from crm_pipeline.resources.sources.delivery import SourceError
from crm_pipeline.tables.outputs import privacy
from crm_pipeline.vocabulary import Service

_HMAC_BLOCK_BYTES: Final = 64
_HMAC_SQL: Final = """sha256($outer || unhex(sha256($inner
    || encode(concat_ws(chr(31), tenant_id, service, table_name, spelling)))))"""
"""HMAC-SHA256 (RFC 2104) in SQL, because a call into Python per row would cost more than reading the rows."""


class SubjectRecord(NamedTuple):
    """A record of a person in a service; a tombstone is the hash of one."""

    tenant_id: str
    service: str
    table_name: str
    record_id: str


def build_tombstone(key: str, record: SubjectRecord) -> str:
    """Returns the keyed hash of one record, in hex."""
    return hmac.new(key.encode(), "\x1f".join(record).encode(), hashlib.sha256).hexdigest()


def build_key_id(key: str) -> str:
    """Returns an id of the key that does not disclose it."""
    return hmac.new(key.encode(), b"which key", hashlib.sha256).hexdigest()[:16]


class Tombstones(NamedTuple):
    """The tenants of the active tombstones, and the key they were made with."""

    tenants: list[str]
    key: str
    has_golfers: bool
    """Whether retention created any of them; these end when the golfer is active again."""


def find_tombstones(con: DuckDBPyConnection, lake: Lake, service: Service, key: str | None) -> Tombstones | None:
    """Returns the active tombstones to check a service's rows against; None where there are none.

    Creates: `active_tombstones`; `returning_golfers` (tenant_id, certificate_id), empty.

    Raises:
        SourceError: `key` is not theirs, so forgotten people could not be excluded from what is read.
    """
    if lake.version(privacy.tombstones) < 0:
        return None
    tombstones = lake.create_current_view(con, privacy.tombstones, name="all_tombstones")
    returns = lake.create_current_view(con, privacy.returned_golfers, name="present_returns")
    con.execute(f"""
        create or replace temp view active_tombstones as
        from {tombstones} anti join {returns} using (tenant_id, certificate_id)""")
    con.execute("create or replace temp table returning_golfers (tenant_id varchar, certificate_id varchar)")
    groups = con.sql(f"""
        select tenant_id, key_id, bool_or({GOLFER_TOMBSTONE_CONDITION}) from active_tombstones
        group by all""").fetchall()
    if not groups:
        return None
    if key is None or {key_id for _, key_id, _ in groups} != {build_key_id(key)}:
        raise SourceError(f"{service}: people were forgotten, and ERASURE_KEY is not the key that was used then")
    tenants = sorted({tenant for tenant, *_ in groups})
    return Tombstones(tenants, key, any(has_golfers for *_, has_golfers in groups))


def exclude_forgotten(con: DuckDBPyConnection, table: Table, rows: str, tombstones: Tombstones) -> int:
    """Returns how many rows about forgotten records were deleted from temp table `rows`, as `parse_rows` creates it.

    An id is looked for as delivered and in its canonical form: tombstones of older versions have the former. Only
    tenants with tombstones are checked. Golfers removed by retention who were active since are added to
    `returning_golfers`.

    Reads: `rows`, `active_tombstones`.
    Creates: `forgotten`.
    """
    references = list(list_record_references(table))
    if not references:
        return 0
    _create_forgotten_table(con, references, rows, tombstones)
    if tombstones.has_golfers and (returning_query := build_returned_golfers_query(table, rows)):
        con.execute(f"insert into returning_golfers {returning_query}")
    condition = f"t.{build_tenant_condition(tombstones.tenants)} and ({build_source_condition(table)})"
    [(count,)] = con.execute(f"delete from {rows} as t where {condition}").fetchall()
    return int(count)


def end_tombstones(con: DuckDBPyConnection, lake: Lake, at: datetime) -> None:
    """Stores the golfers of `returning_golfers` as returned: later extractions admit them and read all their rows.

    Reads: `returning_golfers`.
    """
    con.execute(
        """
        create or replace temp table new_returns as
        select distinct *, $at::timestamptz as returned_at from returning_golfers""",
        {"at": at},
    )
    tenants = [tenant for (tenant,) in con.sql("select distinct tenant_id from new_returns order by 1").fetchall()]
    if tenants:
        condition = "certificate_id in (select certificate_id from new_returns)"
        lake.replace(con, privacy.returned_golfers, "new_returns", tenants=tenants, known_at=at, condition=condition)


def find_returned_tenants(
    con: DuckDBPyConnection, lake: Lake, tenants: Sequence[str] | None, since: datetime
) -> list[str]:
    """Returns those of the tenants to which a golfer returned in the run of hour `since` or later."""
    returns = lake.create_current_view(con, privacy.returned_golfers, tenants=tenants, name="present_returns")
    query = f"select distinct tenant_id from {returns} where returned_at >= $since order by 1"
    return [tenant for (tenant,) in con.execute(query, {"since": since}).fetchall()]


def store_forgotten_totals(con: DuckDBPyConnection, lake: Lake, tenants: Sequence[str], at: datetime) -> None:
    """Stores the tenants' forgotten_totals: their forgotten_sums added up, without golfers returned before `at`."""
    if not tenants:
        return
    sums = lake.create_current_view(con, privacy.forgotten_sums, tenants=tenants, name="present_sums")
    returns = lake.create_current_view(con, privacy.returned_golfers, tenants=tenants, name="present_returns")
    define_stored_sum(con)
    con.execute(
        f"""create or replace temp table new_totals as
        select tenant_id, year, currency, stored_sum(sum(amount_cents)) as amount_cents
        from {sums} anti join (from {returns} where returned_at < $at) using (tenant_id, certificate_id)
        group by all""",
        {"at": at},
    )
    lake.replace(con, privacy.forgotten_totals, "new_totals", tenants=tenants, known_at=at)


def _create_forgotten_table(
    con: DuckDBPyConnection, references: Sequence[RecordReference], rows: str, tombstones: Tombstones
) -> None:
    """Creates temp table `forgotten`: the records that these rows mention and that have a tombstone."""
    candidates = " union ".join(
        f"""select distinct t.tenant_id, {reference.service} as service, {reference.table} as table_name,
            {reference.record_id} as record_id, unnest([record_id, t._delivered_ids['{reference.column}']]) as spelling
        from {rows} t where t.{build_tenant_condition(tombstones.tenants)} and {reference.record_id} is not null"""
        for reference in references
    )
    key = tombstones.key.encode()
    pad = (key if len(key) <= _HMAC_BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_HMAC_BLOCK_BYTES, b"\0")
    con.execute(
        f"""create or replace temp table forgotten as
        select tenant_id, service, table_name, record_id, certificate_id, forgotten_at
        from (select *, {_HMAC_SQL} as hash from ({candidates})) join active_tombstones using (tenant_id, hash)
        where spelling is not null""",
        {"inner": bytes(byte ^ 0x36 for byte in pad), "outer": bytes(byte ^ 0x5C for byte in pad)},
    )
