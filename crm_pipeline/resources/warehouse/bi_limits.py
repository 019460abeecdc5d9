"""The limits of BI logins: what the public may not do in the warehouse, how much a login may use, whose sessions end.

A login can raise its own timeouts, so what protects others is withdrawn from it, set where only a superuser may change
it, or enforced by the pipeline. PostgreSQL lets every role change its own password and send notifications.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row

from crm_pipeline.resources.warehouse.schema import quote_literal, quote_name

BI_OWNER_ROLE: Final = "crm_bi_owner"
"""Owns the views of all clubs, and their schemas."""
LOGIN_SETTINGS: Final = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "15min",
}
"""What a login begins with, and may change."""
PROTECTED_LOGIN_SETTINGS: Final = {"temp_file_limit": "1GB", "log_min_messages": "fatal"}
"""What only a superuser may change: how much a login's queries spill, and that they write nothing to the log."""
CONNECTION_LIMIT: Final = 20
MAX_TRANSACTION_MINUTES: Final = 15
"""How long a login's transaction may take until the next refresh ends it."""
DANGEROUS_FUNCTIONS: Final = (
    r"^(lo_.*|loread|lowrite|pg_(try_)?advisory_.*|pg_notify|pg_logical_emit_message|pg_export_snapshot)$"
)
"""Functions withdrawn from the public: every role shares large objects, the queue of notifications and the log, and
advisory locks can stop a publisher."""
COUNTING_FUNCTIONS: Final = (
    r"^(pg_stat_(get|have)_(?!activity$).*|pg_current_wal_.*"
    r"|pg_(database|tablespace|relation|total_relation|table|indexes)_size)$"
)
"""Functions withdrawn from the public because they tell the sizes of other clubs' tables and what is done to them."""
COUNTING_COLUMNS: Final = ("relpages", "reltuples", "relallvisible", "relallfrozen")
"""Columns of pg_class withdrawn for the same reason."""
MONITORING_ROLE: Final = "pg_monitor"
"""PostgreSQL's role for those who watch a server; it keeps what tells sizes and counts."""
PIPELINE_ROLES: Final = ("pg_signal_backend", "pg_read_all_stats", "pg_use_reserved_connections")
"""Roles of PostgreSQL by which the pipeline ends transactions of logins, and connects when they take all places."""
REQUIRED_SERVER_SETTINGS: Final = {
    "reserved_connections": ("> 0", "logins can take every connection, the pipeline's too"),
    "log_min_error_statement": (
        "in ('fatal', 'panic')",
        "the log quotes statements, and so values, of queries that fail",
    ),
    "log_error_verbosity": ("= 'terse'", "the log quotes values in the details of errors"),
}
"""Settings of the server, the condition on each, and what happens where it does not hold."""
_LOGINS_SQL: Final = f"""
    select login.oid, login.rolname, login.rolconnlimit, login.rolconfig, namespace.nspname,
        obj_description(namespace.oid, 'pg_namespace') as tenant_id,
        login.rolsuper or login.rolcreaterole or login.rolcreatedb or login.rolreplication or login.rolbypassrls
            as is_mighty
    from pg_namespace namespace join pg_roles owner on owner.oid = namespace.nspowner
    join pg_roles club on club.rolname = namespace.nspname
    join pg_auth_members member on member.roleid = club.oid
    join pg_roles login on login.oid = member.member and login.rolcanlogin
    where owner.rolname = '{BI_OWNER_ROLE}' and starts_with(login.rolname, namespace.nspname || '_')"""


class Shortcoming(NamedTuple):
    """A limit that a server lacks, what follows, and whether a club could see or stop another."""

    limit: str
    consequence: str
    is_critical: bool


def limit_login(administrator: Connection, login: str, settings: dict[str, str]) -> None:
    """Sets what a login begins with, and what it may never use more of where the administrator may set that."""
    for name, value in settings.items():
        execute_statement(administrator, f"alter role {login} set {name} = '{value}'")
    for name, value in PROTECTED_LOGIN_SETTINGS.items():
        execute_statement(
            administrator,
            f"""do $$ begin alter role {login} set {name} = '{value}';
            exception when insufficient_privilege then null; end $$""",
        )


def withdraw_rights(administrator: Connection, pipeline: str, database: str) -> None:
    """Revokes what every role may do by default, and gives the pipeline's role what it needs to end sessions."""
    role = quote_name(pipeline)
    execute_statement(administrator, f"revoke connect, temporary on database {quote_name(database)} from public")
    execute_statement(administrator, "revoke all on schema public from public")
    execute_statement(administrator, "revoke usage on language plpgsql from public")
    execute_statement(administrator, f"grant usage on language plpgsql to {role}")
    _withdraw_functions(administrator, DANGEROUS_FUNCTIONS, role)
    _withdraw_functions(administrator, COUNTING_FUNCTIONS, f"{role}, {MONITORING_ROLE}")
    _withdraw_counting_columns(administrator, f"{role}, {MONITORING_ROLE}")
    for granted in _list_pipeline_roles(administrator):
        execute_statement(administrator, f"grant {granted} to {role}")


def end_sessions(administrator: Connection, tenants: Sequence[str]) -> int:
    """Returns how many sessions of these clubs' logins were ended, as each may keep a lock or see deleted rows."""
    ended = administrator.exec_driver_sql(
        f"""select pg_terminate_backend(pid, 10000) from pg_stat_activity join ({_LOGINS_SQL}) l on l.oid = usesysid
        where datname = current_database() and tenant_id = any(%s)""",
        (list(tenants),),
    )
    return len(ended.all())


def end_long_transactions(connection: Connection) -> int:
    """Returns how many sessions of logins were ended because their transaction is older than it may be."""
    ended = connection.exec_driver_sql(
        f"""select pg_terminate_backend(pid, 10000) from pg_stat_activity join ({_LOGINS_SQL}) l on l.oid = usesysid
        where datname = current_database() and xact_start < now() - make_interval(mins => %s)""",
        (MAX_TRANSACTION_MINUTES,),
    )
    return len(ended.all())


def find_shortcomings(administrator: Connection, pipeline: str) -> list[Shortcoming]:
    """Returns the limits that this server lacks, the critical ones first."""
    logins = administrator.exec_driver_sql(_LOGINS_SQL).all()
    found = [
        # Without any login nobody can use the rights of the public.
        *(_find_public_rights(administrator) if logins else ()),
        *_find_login_shortcomings(logins),
        *_find_server_shortcomings(administrator),
    ]
    for role in _list_pipeline_roles(administrator):
        query = f"select pg_has_role({quote_literal(pipeline)}, '{role}', 'usage')"
        if not administrator.exec_driver_sql(query).scalar_one():
            found.append(Shortcoming(f"role {role} for {pipeline}", "logins can keep the pipeline waiting", False))
    return sorted(found, key=lambda each: not each.is_critical)


def _list_pipeline_roles(administrator: Connection) -> list[str]:
    """Returns those of `PIPELINE_ROLES` that the server has: reserved connections came with PostgreSQL 16."""
    roles = administrator.exec_driver_sql(
        "select rolname from pg_roles where rolname = any(%s)", (list(PIPELINE_ROLES),)
    )
    return list(roles.scalars())


def _find_public_rights(administrator: Connection) -> list[Shortcoming]:
    """Returns the rights that the public still has."""
    rights = {
        "connections to the database by everybody": (
            "has_database_privilege('public', current_database(), 'connect')",
            "other roles of the server can connect",
        ),
        "temporary tables": (
            "has_database_privilege('public', current_database(), 'temporary')",
            "a login can fill the disk",
        ),
        "objects in schema public": ("has_schema_privilege('public', 'public', 'create')", "a login can fill the disk"),
        "code in plpgsql": ("has_language_privilege('public', 'plpgsql', 'usage')", "a login can fill the log"),
        "dangerous functions": (
            f"exists ({_build_public_functions_query(DANGEROUS_FUNCTIONS)})",
            "a login can stop a publication",
        ),
        "counting functions": (
            f"exists ({_build_public_functions_query(COUNTING_FUNCTIONS)})",
            "a login can count another club's rows",
        ),
        "counting columns of pg_class": (
            "has_column_privilege('public', 'pg_catalog.pg_class', 'reltuples', 'select')",
            "a login can count another club's rows",
        ),
    }
    return [
        Shortcoming(f"no {name}", consequence, is_critical=True)
        for name, (condition, consequence) in rights.items()
        if administrator.exec_driver_sql(f"select {condition}").scalar_one()
    ]


def _build_public_functions_query(pattern: str) -> str:
    """Returns a query of PostgreSQL's functions whose names match the pattern and that the public may execute."""
    return f"""select oid from pg_proc where pronamespace = 'pg_catalog'::regnamespace
        and proname ~ {quote_literal(pattern)} and has_function_privilege('public', oid, 'execute')"""


def _find_login_shortcomings(logins: Sequence[Row[Any]]) -> list[Shortcoming]:
    found = []
    for login in logins:
        name, config = login.rolname, " ".join(login.rolconfig or ())
        if login.is_mighty:
            found.append(Shortcoming(f"no powers for {name}", "it can see every club", is_critical=True))
        if login.rolconnlimit < 0:
            found.append(
                Shortcoming(f"a connection limit for {name}", "it can take every connection", is_critical=True)
            )
        found += [
            Shortcoming(f"{setting} for {name}", "it can fill the disk", is_critical=True)
            for setting in PROTECTED_LOGIN_SETTINGS
            if setting not in config
        ]
    return found


def _find_server_shortcomings(administrator: Connection) -> list[Shortcoming]:
    found = []
    for name, (condition, consequence) in REQUIRED_SERVER_SETTINGS.items():
        value = administrator.exec_driver_sql(f"select current_setting('{name}', true)").scalar()
        typed = "cast(%s as bigint)" if condition.startswith(">") else "%s"
        if value is None or not administrator.exec_driver_sql(f"select {typed} {condition}", (value,)).scalar_one():
            found.append(Shortcoming(f"setting {name} {condition}", consequence, is_critical=False))
    return found


def _withdraw_functions(administrator: Connection, pattern: str, roles: str) -> None:
    """Takes functions of PostgreSQL whose names match the pattern from the public, and leaves them to the roles."""
    execute_statement(
        administrator,
        f"""do $$ declare f regprocedure; begin
        for f in {_build_public_functions_query(pattern)} loop
            execute format('revoke execute on function %s from public', f);
            execute format('grant execute on function %s to %s', f, {quote_literal(roles)});
        end loop; end $$""",
    )


def _withdraw_counting_columns(administrator: Connection, roles: str) -> None:
    """Leaves to the public all columns of pg_class but those that count, and these to the roles."""
    columns = administrator.exec_driver_sql(
        "select attname from pg_attribute where attrelid = 'pg_catalog.pg_class'::regclass and attname <> all(%s)",
        (list(COUNTING_COLUMNS),),
    )
    public = ", ".join(columns.scalars())
    execute_statement(administrator, "revoke select on pg_catalog.pg_class from public")
    execute_statement(administrator, f"grant select ({public}) on pg_catalog.pg_class to public")
    execute_statement(administrator, f"grant select on pg_catalog.pg_class to {roles}")


def execute_statement(connection: Connection, statement: str) -> None:
    """Executes a statement as it is: in SQLAlchemy's text a club's id may look like a placeholder."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(statement)
