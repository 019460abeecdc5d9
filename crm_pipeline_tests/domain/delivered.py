"""Rows as a service would deliver them, and what the domain makes of them: what the tests of reading rows share.

Every value is text, as in a CSV file, unless a test delivers types of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import Table

from crm_pipeline.domain.ingest.row_validation import judge_rows, read_rows
from crm_pipeline.domain.ingest.tenant_validation import Tenant, tenants_table
from crm_pipeline.tables.projections import lake_name
from crm_pipeline.tables.sources import crm, messaging, scl, teetime

AS_OF = datetime(2026, 3, 31, 12, tzinfo=UTC)
LINKS = Tenant("links", "The Links", "GB", "GBP", "Europe/London", "ACTIVE", 0.85)
MESA = Tenant("mesa", "Mesa Verde", "US", "USD", "America/Phoenix", "ACTIVE", 0.85)
Delivered = Mapping[str, str | None]
Read = dict[str, Any]

_STAMPS = {"createdAt": "2025-01-01T00:00:00Z", "updatedAt": "2025-01-01T00:00:00Z"}
_OPT_INS = dict.fromkeys(("emailOptIn", "smsOptIn", "pushOptIn", "whatsappOptIn"), "true")
SOUND: dict[Table, Delivered] = {
    crm.tenant: {
        "id": "links",
        "name": "The Links",
        "countryCode": "GB",
        "currency": "GBP",
        "timezone": "Europe/London",
        "status": "ACTIVE",
        "updatedAt": "2025-01-01T00:00:00Z",
    },
    scl.member: {"id": "7", "membershipStatus": "ACTIVE", "joinedAt": "2020-01-01T00:00:00Z", **_STAMPS},
    scl.payment: {
        "id": "fee",
        "memberId": "7",
        "kind": "PAYMENT",
        "amountCents": "5000",
        "currency": "GBP",
        "status": "SETTLED",
        "paidAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-01-01T00:00:00Z",
    },
    teetime.player: {"id": "ada", **_STAMPS},
    messaging.contact: {"id": "ada", **_OPT_INS, **_STAMPS},
}
"""A row of each table with nothing wrong; its tenant is `links`."""


def a_row(table: Table, **values: str | None) -> dict[str, str | None]:
    """A sound row with some columns changed."""
    tenant = {} if table is crm.tenant else {"tenantId": "links"}
    return {column.name: None for column in table.columns} | tenant | dict(SOUND[table]) | values


def a_connection(*tenants: Tenant) -> duckdb.DuckDBPyConnection:
    """A connection like the lake's, that knows these tenants (default: links and mesa)."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.register("given_tenants", tenants_table(list(tenants or (LINKS, MESA))))
    con.execute("create temp table tenants as from given_tenants")
    con.execute("create temp table known_tenants as select tenant_id from tenants")
    return con


def read(table: Table, *rows: Delivered, con: duckdb.DuckDBPyConnection | None = None) -> list[Read]:
    """What `read_rows` makes of rows delivered as text."""
    con = con or a_connection()
    schema = pa.schema([pa.field(column.name, pa.string()) for column in table.columns])
    con.register("raw_rows", pa.Table.from_pylist([dict(row) for row in rows], schema=schema))
    read_rows(con, table, "raw_rows", f"read_{lake_name(table)}")
    return _as_dicts(con, f"read_{lake_name(table)}")


def judge(rows: Mapping[Table, Sequence[Delivered]], as_of: datetime = AS_OF) -> dict[str, list[Read]]:
    """What `judge_rows` makes of the tables, in this order: all rows with their problems, per lake name."""
    con = a_connection()
    for table, delivered in rows.items():
        read(table, *delivered, con=con)
        judge_rows(con, table, f"read_{lake_name(table)}", as_of)
    judged = {lake_name(table): _as_dicts(con, f"{lake_name(table)}_judged") for table in rows}
    for name, found in judged.items():
        sound = {row["_record_key"] for row in _as_dicts(con, name)}
        assert sound == {row["_record_key"] for row in found if not row["_problems"]}
    return judged


def _as_dicts(con: duckdb.DuckDBPyConnection, relation: str) -> list[Read]:
    found = con.sql(f"select * from {relation} order by _record_key")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
