"""BI access per club: a schema with views of that club's partitions, and logins that can read only these.

Roles are created by an administrator, since the pipeline's role may not create any. The views belong to a role without
login; the pipeline can change them, and does so when a migration changes their tables.
"""

import hashlib
import re
import secrets
from contextlib import closing
from typing import NamedTuple

from psycopg2.extensions import encrypt_password  # type: ignore[import-untyped]
from sqlalchemy import Connection, Table, make_url

from crm_pipeline.resources.warehouse.bi_limits import (
    BI_OWNER_ROLE,
    CONNECTION_LIMIT,
    LOGIN_SETTINGS,
    end_sessions,
    execute_statement,
    limit_login,
    withdraw_rights,
)
from crm_pipeline.resources.warehouse.schema import (
    CRM_SCHEMA,
    ensure_partition,
    quote_literal,
    quote_name,
    tenant_table_name,
)
from crm_pipeline.settings import format_libpq_url
from crm_pipeline.tables.outputs.identity import profile_ids
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline

BI_VIEWS: dict[str, tuple[Table, str]] = {
    "customer_profiles": (customer_profiles, "true"),
    "customer_timeline": (customer_timeline, "true"),
    "profile_redirects": (profile_ids, "redirects_to is not null"),
}
"""Per view its table and the condition of the club's rows it shows."""
REDIRECT_COLUMNS = ("tenant_id", "profile_id", "redirects_to")


class NameTakenError(Exception):
    """A club's schema would have the name of another's; the message is one line."""


class BiLogin(NamedTuple):
    """A new login."""

    url: str
    schema: str
    open_databases: list[str]
    """Other databases it can connect to, which an administrator should close to it."""


def grant_bi_access(administrator: Connection, tenant_id: str, warehouse_url: str) -> BiLogin:
    """Returns a new login that sees this club alone; its password is stored only in the returned URL.

    Raises:
        NameTakenError: the name of its schema is another club's.
    """
    address = make_url(warehouse_url)
    _prepare_database(administrator, str(address.username), str(address.database))
    schema = find_bi_schema(administrator, tenant_id)
    _create_role(administrator, schema, "nologin")
    execute_statement(administrator, f"grant connect on database {quote_name(str(address.database))} to {schema}")
    execute_statement(administrator, f"create schema if not exists {schema} authorization {BI_OWNER_ROLE}")
    execute_statement(administrator, f"comment on schema {schema} is {quote_literal(tenant_id)}")
    execute_statement(administrator, f"grant usage on schema {schema} to {schema}")
    execute_statement(administrator, f"set local role {quote_name(str(address.username))}")
    create_bi_views(administrator, schema, tenant_id)
    execute_statement(administrator, "reset role")
    login, password = f"{schema}_{secrets.token_hex(3)}", secrets.token_urlsafe(24)
    driver = administrator.connection.driver_connection
    password_hash = encrypt_password(password, login, scope=driver, algorithm="scram-sha-256")
    _create_role(administrator, login, f"login connection limit {CONNECTION_LIMIT} password '{password_hash}'")
    execute_statement(administrator, f"grant {schema} to {login}")
    limit_login(administrator, login, {"search_path": schema, **LOGIN_SETTINGS})
    url = format_libpq_url(address.set(username=login, password=password))
    return BiLogin(url, schema, _find_open_databases(administrator, login))


def bi_schema_name(tenant_id: str) -> str:
    """Returns the name of a new schema of a club and of the role that may read it; names of logins add 7 characters."""
    slug = re.sub("[^a-z0-9]+", "_", tenant_id.lower()).strip("_")[:36]
    return f"bi_{slug}_{hashlib.sha256(tenant_id.encode()).hexdigest()[:16]}"


def find_bi_schema(connection: Connection, tenant_id: str) -> str:
    """Returns the name of the club's schema: of the one it has, which may be of an older release, or of a new one.

    Raises:
        NameTakenError: a schema of that name is there, and is not the club's.
    """
    if schema := find_bi_schemas(connection).get(tenant_id):
        return schema
    name = bi_schema_name(tenant_id)
    if connection.exec_driver_sql(f"select from pg_namespace where nspname = '{name}'").all():
        raise NameTakenError(f"{tenant_id} cannot have schema {name}: it is not this club's")
    return name


def find_bi_schemas(connection: Connection) -> dict[str, str]:
    """Returns the schema name of each club that has one; the schema's comment says whose it is."""
    schemas = connection.exec_driver_sql(
        f"""select obj_description(oid, 'pg_namespace'), nspname from pg_namespace
        where nspowner = (select oid from pg_roles where rolname = '{BI_OWNER_ROLE}')"""
    )
    return {tenant: schema for tenant, schema in schemas if tenant}


def create_bi_views(connection: Connection, schema: str, tenant_id: str) -> None:
    """Creates the club's missing views; existing ones stay, since replacing one would block its readers.

    A view reads the club's partition and not the whole table, whose estimates depend on all clubs. It names the club
    nevertheless: indexes begin with it.
    """
    for name, (table, condition) in BI_VIEWS.items():
        if connection.exec_driver_sql(f"select to_regclass('{schema}.{name}')").scalar():
            continue
        with closing(connection.connection.cursor()) as cursor:
            ensure_partition(cursor, table, tenant_id)
        columns = [c for c in table.columns if table is not profile_ids or c.name in REDIRECT_COLUMNS]
        partition, selected = tenant_table_name(table, tenant_id), ", ".join(c.name for c in columns)
        execute_statement(connection, f"grant select ({selected}) on {partition} to {BI_OWNER_ROLE}")
        execute_statement(
            connection,
            f"""create view {schema}.{name} with (security_barrier) as select {selected} from {partition}
            where tenant_id = {quote_literal(tenant_id)} and {condition}""",
        )
        for column in columns:
            execute_statement(
                connection, f"comment on column {schema}.{name}.{column.name} is {quote_literal(str(column.comment))}"
            )
        execute_statement(connection, f"alter view {schema}.{name} owner to {BI_OWNER_ROLE}")
        execute_statement(connection, f"grant select on {schema}.{name} to {schema}")


def drop_bi_views(connection: Connection) -> dict[str, str]:
    """Returns the schema of each club, for `create_bi_views`, after dropping all views so that tables can change."""
    schemas = find_bi_schemas(connection)
    for schema in schemas.values():
        for name in BI_VIEWS:
            execute_statement(connection, f"drop view if exists {schema}.{name}")
    return schemas


def revoke_bi_access(administrator: Connection, tenant_id: str) -> None:
    """Drops a club's schema and all its logins, and ends their sessions.

    Raises:
        NameTakenError: it has none, and one of its name is another club's.
    """
    schema = find_bi_schema(administrator, tenant_id)
    members = administrator.exec_driver_sql(f"""
        select m.rolname from pg_auth_members a join pg_roles m on m.oid = a.member
        join pg_roles r on r.oid = a.roleid where r.rolname = '{schema}' and m.rolname ~ '^{schema}_'""")
    logins = list(members.scalars())
    end_sessions(administrator, [tenant_id])
    execute_statement(administrator, f"drop schema if exists {schema} cascade")
    for login in logins:
        execute_statement(administrator, f"drop role {login}")
    if administrator.exec_driver_sql(f"select from pg_roles where rolname = '{schema}'").all():
        execute_statement(administrator, f"drop owned by {schema}")
        execute_statement(administrator, f"drop role {schema}")


def _prepare_database(administrator: Connection, pipeline: str, database: str) -> None:
    """Creates the role that owns the views, grants its rights, and revokes what every role may do by default."""
    # Rights on partitions come with the views.
    execute_statement(administrator, "select pg_advisory_xact_lock(hashtextextended('crm bi access', 0))")
    _create_role(administrator, BI_OWNER_ROLE, "nologin")
    execute_statement(administrator, f"grant {BI_OWNER_ROLE} to {quote_name(pipeline)}")
    execute_statement(administrator, f"grant usage on schema {CRM_SCHEMA} to {BI_OWNER_ROLE}")
    withdraw_rights(administrator, pipeline, database)


def _create_role(administrator: Connection, name: str, options: str) -> None:
    if not administrator.exec_driver_sql(f"select from pg_roles where rolname = '{name}'").all():
        execute_statement(
            administrator,
            f"create role {name} {options} nosuperuser nocreatedb nocreaterole noreplication nobypassrls",
        )


def _find_open_databases(administrator: Connection, login: str) -> list[str]:
    databases = administrator.exec_driver_sql(
        f"""select datname from pg_database where datallowconn and datname <> current_database()
        and has_database_privilege('{login}', oid, 'connect') order by 1"""
    )
    return [name for (name,) in databases]
