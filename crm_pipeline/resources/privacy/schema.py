"""Schema `privacy` of the warehouse: privacy log with certificates, retention periods, a copy of the tombstones.

It survives a rebuilt schema `crm` and a lost lake. An administrator creates it for an owner role without login: the
pipeline's role can only add to the log (table `audit`). Logins of people get role `crm_privacy`, which reads the
warehouse and the log.
"""

import getpass
import json
from collections.abc import Sequence
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
from crm_pipeline.resources.warehouse.schema import quote_name
from crm_pipeline.tables.outputs.privacy import forgotten_sums, tombstones
from crm_pipeline.tables.projections import to_arrow_schema, to_postgres_type

PRIVACY_SCHEMA: Final = "privacy"
PRIVACY_OWNER_ROLE: Final = "crm_privacy_owner"
OFFICERS_ROLE: Final = "crm_privacy"
COPIED_TABLES: Final[tuple[Table, ...]] = (tombstones, forgotten_sums)
"""Tables of the lake that are copied into the schema."""
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
    """Creates the schema, its tables and its roles where they are missing, and grants their rights."""
    pipeline = quote_name(str(make_url(warehouse_url).username))
    execute = administrator.exec_driver_sql
    execute("select pg_advisory_xact_lock(hashtextextended('crm privacy', 0))")
    for role in (PRIVACY_OWNER_ROLE, OFFICERS_ROLE):
        if not execute("select from pg_roles where rolname = %s", (role,)).all():
            execute(f"create role {role} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls")
    execute(f"create schema if not exists {PRIVACY_SCHEMA} authorization {PRIVACY_OWNER_ROLE}")
    execute(_CREATE_LOG_SQL)
    execute(_CHECK_ACTIONS_SQL)
    execute(_CREATE_RETENTION_SQL)
    for name in ("audit", "retention"):
        execute(f"alter table {PRIVACY_SCHEMA}.{name} owner to {PRIVACY_OWNER_ROLE}")
    execute(f"grant select on {PRIVACY_SCHEMA}.retention to {pipeline}, {OFFICERS_ROLE}")
    for table in COPIED_TABLES:
        columns = ", ".join(f"{c.name} {to_postgres_type(c)} not null" for c in table.columns)
        key = ", ".join(c.name for c in table.primary_key)
        execute(f"create table if not exists {PRIVACY_SCHEMA}.{table.name} ({columns}, primary key ({key}))")
        execute(f"alter table {PRIVACY_SCHEMA}.{table.name} owner to {PRIVACY_OWNER_ROLE}")
        execute(f"grant select on {PRIVACY_SCHEMA}.{table.name} to {pipeline}")
    execute(f"grant usage on schema {PRIVACY_SCHEMA} to {pipeline}, {OFFICERS_ROLE}")
    execute(f"grant insert ({_WRITABLE_COLUMNS}) on {PRIVACY_SCHEMA}.audit to {pipeline}, {OFFICERS_ROLE}")
    execute(f"grant select on {PRIVACY_SCHEMA}.audit to {OFFICERS_ROLE}")
    execute(f"grant usage on schema {CRM} to {OFFICERS_ROLE}")
    execute(f"grant select on all tables in schema {CRM} to {OFFICERS_ROLE}")
    execute(f"alter default privileges for role {pipeline} in schema {CRM} grant select on tables to {OFFICERS_ROLE}")


def has_privacy_schema(connection: Connection) -> bool:
    """Whether the privacy schema exists, which the first logged action creates."""
    return connection.exec_driver_sql(f"select to_regclass('{PRIVACY_SCHEMA}.audit')").scalar() is not None


def store_retention_months(administrator: Connection, tenant_id: str, months: int | None) -> None:
    """Stores the months a club's inactive casual golfers are retained; None means for ever."""
    period = {"tenant": tenant_id, "months": months}
    administrator.execute(text(f"delete from {PRIVACY_SCHEMA}.retention where tenant_id = :tenant"), period)
    if months is not None:
        administrator.execute(text(f"insert into {PRIVACY_SCHEMA}.retention values (:tenant, :months)"), period)


def read_retention_months(connection: Connection) -> dict[str, int]:
    """Returns the months of retention of inactive casual golfers, for each club that limits it."""
    if connection.exec_driver_sql(f"select to_regclass('{PRIVACY_SCHEMA}.retention')").scalar() is None:
        return {}
    rows = connection.execute(text(f"select tenant_id, casual_golfers_months from {PRIVACY_SCHEMA}.retention"))
    return {row.tenant_id: row.casual_golfers_months for row in rows}


def restore_tombstones(lake: Lake, engine: Engine) -> None:
    """Copies missing tombstones and forgotten sums into the lake, which may be new or from a backup."""
    with engine.connect() as connection:
        if not has_privacy_schema(connection):
            return
        with closing(lake.connect()) as con:
            for table in COPIED_TABLES:
                counted = connection.execute(
                    text(_COUNT_ROWS_QUERY.format(rows=f"{PRIVACY_SCHEMA}.{table.name}"))
                ).all()
                current = lake.create_current_view(con, table, name="stored_rows")
                # Usually both are equal and there can be very many rows, so counts are compared first.
                if set(map(tuple, counted)) - set(con.sql(_COUNT_ROWS_QUERY.format(rows=current)).fetchall()):
                    copied = connection.execute(text(f"select * from {PRIVACY_SCHEMA}.{table.name}")).mappings()
                    rows = list(map(dict, copied))
                    store_forgotten_totals(con, lake, store_missing_rows(con, lake, table, rows), datetime.now(UTC))


def store_missing_rows(con: DuckDBPyConnection, lake: Lake, table: Table, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the tenants that got rows: `rows` whose key and certificate are missing are added to the lake's table."""
    con.register("given_rows", pa.Table.from_pylist(rows, to_arrow_schema(table)))
    current, key = lake.create_current_view(con, table, name="stored_rows"), ", ".join(list_lake_key_columns(table))
    con.execute(f"""
        create or replace temp table missing_rows as
        from given_rows anti join {current} using ({", ".join({*list_lake_key_columns(table), "certificate_id"})})""")
    con.unregister("given_rows")
    tenants = [tenant for (tenant,) in con.sql("select distinct tenant_id from missing_rows order by 1").fetchall()]
    condition = f"({key}) in (select {key} from missing_rows)"
    if tenants:
        lake.replace(con, table, "missing_rows", tenants=tenants, known_at=datetime.now(UTC), condition=condition)
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
    """Adds a line to the privacy log; the database adds time and login, this machine its user."""
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
