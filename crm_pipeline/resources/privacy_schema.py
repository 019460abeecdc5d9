"""Schema `privacy` of the warehouse: who asked for what, the certificates, and a second copy of the tombstones.

It outlives schema `crm`, which can be dropped and made again, and the lake, should that be lost. An administrator makes
it, and it belongs to a role nobody can log in as: the pipeline's own role can add to the audit, and read, change and
take away nothing of it. Logins of people get role `crm_privacy`, which may read the warehouse and the audit.
"""

import getpass
import json
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.engine import make_url

from crm_pipeline.resources.lake import Lake
from crm_pipeline.resources.tombstones import total_up
from crm_pipeline.resources.warehouse_schema import SCHEMA as CRM
from crm_pipeline.tables.privacy import forgotten_sums, tombstones
from crm_pipeline.tables.projections import arrow_schema, postgres_type

SCHEMA: Final = "privacy"
OWNER: Final = "crm_privacy_owner"
OFFICERS: Final = "crm_privacy"
KEPT: Final[tuple[Table, ...]] = (tombstones, forgotten_sums)
"""Tables of the lake that have a copy here."""
_AUDIT: Final = f"""
    create table if not exists {SCHEMA}.audit (
        id bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        login text not null default session_user,
        operator text,
        action text not null check (action in ('FORGET', 'UNFORGET', 'EXPLAIN', 'GRANT')),
        tenant_id text not null,
        subject text,
        reason text,
        certificate jsonb)"""
_WRITABLE: Final = "operator, action, tenant_id, subject, reason, certificate"
_RECORD: Final = text(f"""
    insert into {SCHEMA}.audit ({_WRITABLE})
    values (:operator, :action, :tenant_id, :subject, :reason, cast(:certificate as jsonb))""")


def prepare(administrator: Connection, warehouse_url: str) -> None:
    """Make the schema and the roles where they are missing."""
    pipeline = str(make_url(warehouse_url).username)
    run = administrator.exec_driver_sql
    run("select pg_advisory_xact_lock(hashtextextended('crm privacy', 0))")
    for role in (OWNER, OFFICERS):
        if not run("select from pg_roles where rolname = %s", (role,)).all():
            run(f"create role {role} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls")
    run(f"create schema if not exists {SCHEMA} authorization {OWNER}")
    run(_AUDIT)
    run(f"alter table {SCHEMA}.audit owner to {OWNER}")
    for table in KEPT:
        columns = ", ".join(f"{c.name} {postgres_type(c)} not null" for c in table.columns)
        key = ", ".join(c.name for c in table.primary_key)
        run(f"create table if not exists {SCHEMA}.{table.name} ({columns}, primary key ({key}))")
        run(f"alter table {SCHEMA}.{table.name} owner to {OWNER}")
        run(f"grant select on {SCHEMA}.{table.name} to {pipeline}")
    run(f"grant usage on schema {SCHEMA} to {pipeline}, {OFFICERS}")
    run(f"grant insert ({_WRITABLE}) on {SCHEMA}.audit to {pipeline}, {OFFICERS}")
    run(f"grant select on {SCHEMA}.audit to {OFFICERS}")
    run(f"grant usage on schema {CRM} to {OFFICERS}")
    run(f"grant select on all tables in schema {CRM} to {OFFICERS}")
    run(f"alter default privileges for role {pipeline} in schema {CRM} grant select on tables to {OFFICERS}")


def is_prepared(connection: Connection) -> bool:
    """Whether somebody ever used what has to be recorded."""
    return connection.exec_driver_sql(f"select to_regclass('{SCHEMA}.audit')").scalar() is not None


def restore(lake: Lake, engine: Engine) -> None:
    """Give a lake that was lost, or is a backup's, the tombstones it lacks."""
    with engine.connect() as connection:
        if not is_prepared(connection):
            return
        kept = {t: connection.execute(text(f"select * from {SCHEMA}.{t.name}")).mappings().all() for t in KEPT}
    with closing(lake.connect()) as con:
        for table, found in kept.items():
            con.register("kept_rows", pa.Table.from_pylist(list(map(dict, found)), schema=arrow_schema(table)))
            current = lake.current(con, table, name="kept_now")
            missing = con.sql(f"""
                select distinct tenant_id, certificate_id from kept_rows anti join {current} using (certificate_id)""")
            for tenant_id, certificate_id in missing.fetchall():
                mine, at = f"certificate_id = '{certificate_id}'", datetime.now(UTC)
                lake.replace(con, table, f"(from kept_rows where {mine})", tenants=[tenant_id], known_at=at, scope=mine)
                total_up(con, lake, tenant_id, at)
            con.unregister("kept_rows")


def record(
    connection: Connection,
    action: str,
    tenant_id: str,
    *,
    subject: str | None = None,
    reason: str | None = None,
    certificate: dict[str, Any] | None = None,
) -> None:
    """Add a line to the audit: the database says when and which login, the machine which of its users."""
    connection.execute(
        _RECORD,
        {
            "operator": getpass.getuser(),
            "action": action,
            "tenant_id": tenant_id,
            "subject": subject,
            "reason": reason,
            "certificate": json.dumps(certificate) if certificate else None,
        },
    )
