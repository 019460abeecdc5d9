"""Creates the data folder of a new embedded server: databases and their owners, and login rules.

A change here affects new servers only, but for the server's settings, which every start gives.
"""

import shlex
from itertools import chain
from pathlib import Path
from typing import IO

from crm_pipeline.resources.postgres.programs import run_program

SUPERUSER = "postgres"
DATABASE_OWNERS = {"crm": "crm_pipeline", "dagster": "dagster"}
OWNER_RIGHTS = "LOGIN"
"""Role attributes of the database owners."""
CLUSTER_OPTIONS = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",  # some C libraries lack C.UTF-8; the built-in provider decides everything but messages
    "--auth=reject",
    "--no-instructions",
)
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, and a home can be deeper
    "max_connections": "100",
    "reserved_connections": "10",
    "max_notify_queue_pages": "1024",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "max_locks_per_transaction": "256",  # a query may lock all of a table's thousands of partitions
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # statements and error details hold passwords and personal data
    "log_error_verbosity": "terse",
}
LOGIN_RULES = "host all all 127.0.0.1/32 scram-sha-256\n"


def build_server_options(port: int) -> str:
    """Returns the options of a server's start, quoted for a shell."""
    return shlex.join(["-p", str(port), *chain.from_iterable(("-c", f"{k}={v}") for k, v in SERVER_SETTINGS.items())])


def create_cluster(log: IO[str], data: Path, passwords: dict[str, str]) -> None:
    """Creates data folder `data`: its databases, and their owners and the superuser with these passwords by role."""
    settings = [f"--set={name}={value}" for name, value in SERVER_SETTINGS.items()]
    run_program(log, data, "initdb", f"--username={SUPERUSER}", *CLUSTER_OPTIONS, *settings)
    (data / "pg_hba.conf").write_text(LOGIN_RULES)
    # In single-user mode, before the server first listens: a data folder in its place is complete. The settings above
    # keep the passwords out of the log where a statement fails.
    statements = _build_bootstrap_sql(passwords)
    run_program(log, data, "postgres", "--single", "-c", "exit_on_error=on", "postgres", statements=statements)


def _build_bootstrap_sql(passwords: dict[str, str]) -> str:
    statements = [f"ALTER ROLE {SUPERUSER} PASSWORD '{passwords[SUPERUSER]}'"]
    for database, role in DATABASE_OWNERS.items():
        statements.append(f"CREATE ROLE {role} {OWNER_RIGHTS} PASSWORD '{passwords[role]}'")
        statements.append(f"CREATE DATABASE {database} OWNER {role}")
        statements.append(f"GRANT pg_use_reserved_connections TO {role}")
    everywhere = ", ".join(["postgres", "template1", *DATABASE_OWNERS])
    statements.append(f"REVOKE CONNECT ON DATABASE {everywhere} FROM PUBLIC")
    return "".join(f"{statement};\n" for statement in statements)
