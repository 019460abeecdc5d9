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
from duckdb import DuckDBPyConnection
from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.engine import make_url

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import lake_key
from crm_pipeline.resources.privacy.tombstones import total_up
from crm_pipeline.resources.warehouse.schema import SCHEMA as CRM
from crm_pipeline.tables.outputs.privacy import forgotten_sums, tombstones
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
        action text not null constraint audit_action_check check (true),
        tenant_id text not null,
        subject text,
        reason text,
        certificate jsonb)"""
_ACTIONS: Final = f"""
    alter table {SCHEMA}.audit drop constraint audit_action_check, add constraint audit_action_check
        check (action in ('FORGET', 'UNFORGET', 'EXPLAIN', 'GRANT', 'RETENTION'))"""
_RETENTION: Final = f"""
    create table if not exists {SCHEMA}.retention (
        tenant_id text primary key,
        casual_golfers_months integer not null check (casual_golfers_months > 0))"""
_COUNTED: Final = """
    select tenant_id, split_part(certificate_id, '-', 1), cast(count(*) as bigint) from {rows} group by 1, 2"""
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
    run(_ACTIONS)
    run(_RETENTION)
    for name in ("audit", "retention"):
        run(f"alter table {SCHEMA}.{name} owner to {OWNER}")
    run(f"grant select on {SCHEMA}.retention to {pipeline}, {OFFICERS}")
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


def set_months_kept(administrator: Connection, tenant_id: str, months: int | None) -> None:
    """Keep for how many months a club's inactive casual golfers are kept; None is for ever."""
    administrator.execute(text(f"delete from {SCHEMA}.retention where tenant_id = :tenant"), {"tenant": tenant_id})
    if months is not None:
        kept = text(f"insert into {SCHEMA}.retention values (:tenant, :months)")
        administrator.execute(kept, {"tenant": tenant_id, "months": months})


def months_kept(connection: Connection) -> dict[str, int]:
    """For how many months each club that limits it keeps inactive casual golfers."""
    if connection.exec_driver_sql(f"select to_regclass('{SCHEMA}.retention')").scalar() is None:
        return {}
    rows = connection.execute(text(f"select tenant_id, casual_golfers_months from {SCHEMA}.retention"))
    return {row.tenant_id: row.casual_golfers_months for row in rows}


def restore(lake: Lake, engine: Engine) -> None:
    """Give a lake that was lost, or is a backup's, the tombstones it lacks."""
    with engine.connect() as connection:
        if not is_prepared(connection):
            return
        with closing(lake.connect()) as con:
            for table in KEPT:
                counted = connection.execute(text(_COUNTED.format(rows=f"{SCHEMA}.{table.name}"))).all()
                current = lake.current(con, table, name="kept_now")
                # Mostly they have the same, and there can be very many.
                if set(map(tuple, counted)) - set(con.sql(_COUNTED.format(rows=current)).fetchall()):
                    found = connection.execute(text(f"select * from {SCHEMA}.{table.name}")).mappings()
                    rows = pa.Table.from_pylist(list(map(dict, found)), schema=arrow_schema(table))
                    total_up(con, lake, keep(con, lake, table, rows), datetime.now(UTC))


def keep(con: DuckDBPyConnection, lake: Lake, table: Table, rows: pa.Table) -> list[str]:
    """Give the lake's table the rows it lacks, by their key and certificate; return the tenants it lacked some of."""
    con.register("kept_rows", rows)
    current, key = lake.current(con, table, name="kept_now"), ", ".join(lake_key(table))
    con.execute(f"""
        create or replace temp table lacking as
        from kept_rows anti join {current} using ({", ".join({*lake_key(table), "certificate_id"})})""")
    con.unregister("kept_rows")
    tenants = [tenant for (tenant,) in con.sql("select distinct tenant_id from lacking order by 1").fetchall()]
    scope = f"({key}) in (select {key} from lacking)"
    if tenants:
        lake.replace(con, table, "lacking", tenants=tenants, known_at=datetime.now(UTC), scope=scope)
    return tenants


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
