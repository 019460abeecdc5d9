"""What a new embedded server is made of: its databases and their owners, its settings, who may log in.

Belongs here: what is decided once, when the data folder is made. Does not: starting, stopping and addressing the server
that runs on it (`embedded_postgres`), and what is in the databases.
"""

from pathlib import Path
from typing import IO

from crm_pipeline.resources.postgres.programs import run_program

SUPERUSER = "postgres"
DATABASE_OWNERS = {"crm": "crm_pipeline", "dagster": "dagster"}
# A right the owners come to need beyond their own database, such as CREATEROLE, belongs here. Read for a new cluster.
OWNER_RIGHTS = "LOGIN"
CLUSTER_OPTIONS = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",  # C.UTF-8 is missing from some C libraries, and the built-in provider decides everything but messages
    "--auth=reject",
    "--no-instructions",
)
SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths may have 107 bytes, and a home can be deeper than that
    "max_connections": "100",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "max_locks_per_transaction": "256",  # one table has thousands of partitions, and a query may lock them all
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # statements hold passwords and personal data; so do the details of an error
    "log_error_verbosity": "terse",
}
LOGIN_RULES = "host all all 127.0.0.1/32 scram-sha-256\n"


def create_cluster(log: IO[str], data: Path, passwords: dict[str, str]) -> None:
    """Make a data folder with its databases, their owners and these passwords of them and the superuser."""
    settings = [f"--set={name}={value}" for name, value in SERVER_SETTINGS.items()]
    run_program(log, data, "initdb", f"--username={SUPERUSER}", *CLUSTER_OPTIONS, *settings)
    (data / "pg_hba.conf").write_text(LOGIN_RULES)
    # Before the server first listens, so that a data folder in its place is a complete one.
    statements = _build_bootstrap_sql(passwords)
    run_program(log, data, "postgres", "--single", "-c", "exit_on_error=on", "postgres", statements=statements)


def _build_bootstrap_sql(passwords: dict[str, str]) -> str:
    statements = [f"ALTER ROLE {SUPERUSER} PASSWORD '{passwords[SUPERUSER]}'"]
    for database, role in DATABASE_OWNERS.items():
        statements.append(f"CREATE ROLE {role} {OWNER_RIGHTS} PASSWORD '{passwords[role]}'")
        statements.append(f"CREATE DATABASE {database} OWNER {role}")
    everywhere = ", ".join(["postgres", "template1", *DATABASE_OWNERS])
    statements.append(f"REVOKE CONNECT ON DATABASE {everywhere} FROM PUBLIC")
    return "".join(f"{statement};\n" for statement in statements)
