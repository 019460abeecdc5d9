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
from crm_pipeline.resources.lake.rows import list_lake_key_columns
from crm_pipeline.resources.privacy.tombstones import store_forgotten_totals
from crm_pipeline.resources.warehouse.schema import CRM_SCHEMA as CRM
from crm_pipeline.tables.outputs.privacy import forgotten_sums, tombstones
from crm_pipeline.tables.projections import to_arrow_schema, to_postgres_type

PRIVACY_SCHEMA: Final = "privacy"
PRIVACY_OWNER_ROLE: Final = "crm_privacy_owner"
OFFICERS_ROLE: Final = "crm_privacy"
COPIED_TABLES: Final[tuple[Table, ...]] = (tombstones, forgotten_sums)
"""Tables of the lake that have a copy here."""
_CREATE_LOG_SQL: Final = f"""
    create table if not exists {PRIVACY_SCHEMA}.audit (
        id bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(),
        login text not null default session_user,
        operator text,
        action text not null constraint audit_action_check check (true),
        tenant_id text not null,
        subject text,
        reason text,
        certificate jsonb)"""
_CHECK_ACTIONS_SQL: Final = f"""
    alter table {PRIVACY_SCHEMA}.audit drop constraint audit_action_check, add constraint audit_action_check
        check (action in ('FORGET', 'UNFORGET', 'EXPLAIN', 'GRANT', 'RETENTION'))"""
_CREATE_RETENTION_SQL: Final = f"""
    create table if not exists {PRIVACY_SCHEMA}.retention (
        tenant_id text primary key,
        casual_golfers_months integer not null check (casual_golfers_months > 0))"""
_COUNT_ROWS_QUERY: Final = """
    select tenant_id, split_part(certificate_id, '-', 1), cast(count(*) as bigint) from {rows} group by 1, 2"""
_WRITABLE_COLUMNS: Final = "operator, action, tenant_id, subject, reason, certificate"
_INSERT_LOG_SQL: Final = text(f"""
    insert into {PRIVACY_SCHEMA}.audit ({_WRITABLE_COLUMNS})
    values (:operator, :action, :tenant_id, :subject, :reason, cast(:certificate as jsonb))""")


def create_privacy_schema(administrator: Connection, warehouse_url: str) -> None:
    """Make the schema and the roles where they are missing."""
    pipeline = str(make_url(warehouse_url).username)
    run = administrator.exec_driver_sql
    run("select pg_advisory_xact_lock(hashtextextended('crm privacy', 0))")
    for role in (PRIVACY_OWNER_ROLE, OFFICERS_ROLE):
        if not run("select from pg_roles where rolname = %s", (role,)).all():
            run(f"create role {role} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls")
    run(f"create schema if not exists {PRIVACY_SCHEMA} authorization {PRIVACY_OWNER_ROLE}")
    run(_CREATE_LOG_SQL)
    run(_CHECK_ACTIONS_SQL)
    run(_CREATE_RETENTION_SQL)
    for name in ("audit", "retention"):
        run(f"alter table {PRIVACY_SCHEMA}.{name} owner to {PRIVACY_OWNER_ROLE}")
    run(f"grant select on {PRIVACY_SCHEMA}.retention to {pipeline}, {OFFICERS_ROLE}")
    for table in COPIED_TABLES:
        columns = ", ".join(f"{c.name} {to_postgres_type(c)} not null" for c in table.columns)
        key = ", ".join(c.name for c in table.primary_key)
        run(f"create table if not exists {PRIVACY_SCHEMA}.{table.name} ({columns}, primary key ({key}))")
        run(f"alter table {PRIVACY_SCHEMA}.{table.name} owner to {PRIVACY_OWNER_ROLE}")
        run(f"grant select on {PRIVACY_SCHEMA}.{table.name} to {pipeline}")
    run(f"grant usage on schema {PRIVACY_SCHEMA} to {pipeline}, {OFFICERS_ROLE}")
    run(f"grant insert ({_WRITABLE_COLUMNS}) on {PRIVACY_SCHEMA}.audit to {pipeline}, {OFFICERS_ROLE}")
    run(f"grant select on {PRIVACY_SCHEMA}.audit to {OFFICERS_ROLE}")
    run(f"grant usage on schema {CRM} to {OFFICERS_ROLE}")
    run(f"grant select on all tables in schema {CRM} to {OFFICERS_ROLE}")
    run(f"alter default privileges for role {pipeline} in schema {CRM} grant select on tables to {OFFICERS_ROLE}")


def has_privacy_schema(connection: Connection) -> bool:
    """Whether somebody ever used what has to be recorded."""
    return connection.exec_driver_sql(f"select to_regclass('{PRIVACY_SCHEMA}.audit')").scalar() is not None


def store_retention_months(administrator: Connection, tenant_id: str, months: int | None) -> None:
    """Keep for how many months a club's inactive casual golfers are kept; None is for ever."""
    administrator.execute(
        text(f"delete from {PRIVACY_SCHEMA}.retention where tenant_id = :tenant"), {"tenant": tenant_id}
    )
    if months is not None:
        kept = text(f"insert into {PRIVACY_SCHEMA}.retention values (:tenant, :months)")
        administrator.execute(kept, {"tenant": tenant_id, "months": months})


def read_retention_months(connection: Connection) -> dict[str, int]:
    """For how many months each club that limits it keeps inactive casual golfers."""
    if connection.exec_driver_sql(f"select to_regclass('{PRIVACY_SCHEMA}.retention')").scalar() is None:
        return {}
    rows = connection.execute(text(f"select tenant_id, casual_golfers_months from {PRIVACY_SCHEMA}.retention"))
    return {row.tenant_id: row.casual_golfers_months for row in rows}


def restore_tombstones(lake: Lake, engine: Engine) -> None:
    """Give a lake that was lost, or is a backup's, the tombstones it lacks."""
    with engine.connect() as connection:
        if not has_privacy_schema(connection):
            return
        with closing(lake.connect()) as con:
            for table in COPIED_TABLES:
                counted = connection.execute(
                    text(_COUNT_ROWS_QUERY.format(rows=f"{PRIVACY_SCHEMA}.{table.name}"))
                ).all()
                current = lake.current(con, table, name="kept_now")
                # Mostly they have the same, and there can be very many.
                if set(map(tuple, counted)) - set(con.sql(_COUNT_ROWS_QUERY.format(rows=current)).fetchall()):
                    found = connection.execute(text(f"select * from {PRIVACY_SCHEMA}.{table.name}")).mappings()
                    rows = pa.Table.from_pylist(list(map(dict, found)), schema=to_arrow_schema(table))
                    store_forgotten_totals(con, lake, store_missing_rows(con, lake, table, rows), datetime.now(UTC))


def store_missing_rows(con: DuckDBPyConnection, lake: Lake, table: Table, rows: pa.Table) -> list[str]:
    """Give the lake's table the rows it lacks, by their key and certificate; return the tenants it lacked some of."""
    con.register("kept_rows", rows)
    current, key = lake.current(con, table, name="kept_now"), ", ".join(list_lake_key_columns(table))
    con.execute(f"""
        create or replace temp table lacking as
        from kept_rows anti join {current} using ({", ".join({*list_lake_key_columns(table), "certificate_id"})})""")
    con.unregister("kept_rows")
    tenants = [tenant for (tenant,) in con.sql("select distinct tenant_id from lacking order by 1").fetchall()]
    scope = f"({key}) in (select {key} from lacking)"
    if tenants:
        lake.replace(con, table, "lacking", tenants=tenants, known_at=datetime.now(UTC), scope=scope)
    return tenants


def write_log_entry(
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
        _INSERT_LOG_SQL,
        {
            "operator": getpass.getuser(),
            "action": action,
            "tenant_id": tenant_id,
            "subject": subject,
            "reason": reason,
            "certificate": json.dumps(certificate) if certificate else None,
        },
    )
