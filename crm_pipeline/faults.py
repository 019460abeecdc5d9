"""Errors of servers and libraries in words of our own: what they say themselves can quote rows, queries or a password.

Every error that a terminal, an event log, an alert or a check shows passes through here. Of an error of PostgreSQL
remain SQLSTATE, table, column and constraint; of any other its class, the place in this package, and what the
operating system says.
"""

import errno
import os
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import duckdb
import psycopg2  # type: ignore[import-untyped]
from adbc_driver_manager import Error as AdbcError
from sqlalchemy.exc import DBAPIError

from crm_pipeline.settings import format_path

PACKAGE: Final = Path(__file__).parent


class Fault(NamedTuple):
    """What is wrong with a database, in our words."""

    reason: str
    may_pass: bool = False
    """Whether another attempt may succeed."""


_BROKEN_CONNECTION: Final = Fault("the connection broke", may_pass=True)
_TOO_MANY_CONNECTIONS: Final = Fault("the server takes no more connections", may_pass=True)
_RESTARTING: Final = Fault("the server stops or starts", may_pass=True)
_FAULTS_BY_SQLSTATE: Final = {
    "08": _BROKEN_CONNECTION,
    "22021": Fault("there is text that is not UTF-8"),
    "25006": Fault("the database is read-only"),
    "40": Fault("another transaction came first", may_pass=True),
    "42501": Fault("the role has not the right to do it"),
    "53100": Fault("the server's disk is full"),
    "53300": _TOO_MANY_CONNECTIONS,
    "53": Fault("the server lacks memory or disk"),
    "55P03": Fault("it is locked", may_pass=True),
    "57014": Fault("the query took too long, or was cancelled"),
    "57P": _RESTARTING,
    "XX001": Fault("a page of a table is damaged"),
    "XX002": Fault("an index is damaged"),
}
"""Faults by SQLSTATE, or by its beginning; the first that fits."""
_FAULTS_OF_CONNECTING: Final = {
    r"refused": Fault("the connection is refused", may_pass=True),
    r"timeout expired|timed out": Fault("the connection times out", may_pass=True),
    r"could not translate": Fault("the host is not known", may_pass=True),
    r"too many (clients|connections)|connection slots": _TOO_MANY_CONNECTIONS,
    r"starting up|shutting down|in recovery": _RESTARTING,
    r"pg_hba": Fault("pg_hba.conf of the server does not let the role in"),
    r"permission denied for database": Fault("the role may not connect to it"),
    r"authentication|password": Fault("the role or its password is wrong"),
    r"SSL|certificate": Fault("it cannot be encrypted as asked"),
    r"No such file": Fault("no server has that socket", may_pass=True),
    r"does not exist": Fault("there is no such database or role"),
    r"invalid (URI|connection option|integer|port|.* value)|missing ": Fault("the URL is not valid"),
    r"closed the connection|reset by peer|could not (receive|send)|terminat": _BROKEN_CONNECTION,
}
"""Faults by a part of libpq's message, which has no SQLSTATE while it connects; the first that fits."""
_SYSTEM_REASONS: Final = [
    os.strerror(number)
    for number in (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EROFS),
        *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EADDRINUSE),
    )
]
"""What the operating system says; libraries quote it in messages of their own."""
_DIAGNOSTICS: Final = {"table": "TABLE_NAME", "column": "COLUMN_NAME", "constraint": "CONSTRAINT_NAME"}
"""Fields of an error of PostgreSQL that are names, never values."""


def find_connection_fault(message: str) -> Fault:
    """Returns the fault that a message of libpq about a failed connection means."""
    fitting = (fault for part, fault in _FAULTS_OF_CONNECTING.items() if re.search(part, message))
    return next(fitting, Fault("the connection fails"))


def find_sqlstate_fault(sqlstate: str | None, special: Mapping[str, Fault] = MappingProxyType({})) -> Fault:
    """Returns the fault that the SQLSTATE of a failed statement means; without one, the connection broke.

    `special` are what some SQLSTATEs mean to the caller.
    """
    if not sqlstate:
        return _BROKEN_CONNECTION
    fitting = (
        fault for prefix, fault in (*special.items(), *_FAULTS_BY_SQLSTATE.items()) if sqlstate.startswith(prefix)
    )
    return next(fitting, Fault(f"PostgreSQL reports SQLSTATE {sqlstate}"))


def find_sqlstate(error: AdbcError | psycopg2.Error) -> str | None:
    """Returns the SQLSTATE of an error of PostgreSQL; None while connecting, or where the connection broke."""
    state = error.sqlstate if isinstance(error, AdbcError) else error.pgcode
    return (state or "").strip("\0") or None


def describe_postgres_error(error: AdbcError | psycopg2.Error) -> str:
    """Returns what is wrong, with the SQLSTATE and the names of table, column and constraint where they are known."""
    state = find_sqlstate(error)
    fault = find_sqlstate_fault(state) if state else find_connection_fault(str(error))
    names = [f"{kind} {format_path(name)}" for kind, name in _list_named_parts(error).items() if name]
    details = ", ".join([*([f"SQLSTATE {state}"] if state and state not in fault.reason else []), *names])
    return f"{fault.reason} ({details})" if details else fault.reason


def _list_named_parts(error: AdbcError | psycopg2.Error) -> dict[str, str | None]:
    if isinstance(error, AdbcError):
        details = {_decode(key): _decode(value) for key, value in error.details}
        return {kind: details.get(f"PG_DIAG_{field}") for kind, field in _DIAGNOSTICS.items()}
    return {kind: getattr(error.diag, field.lower()) for kind, field in _DIAGNOSTICS.items()}


def _decode(text: str | bytes) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def describe_error(error: BaseException) -> str:
    """Returns one line on an error that ends a command or a step, without anything that its message quotes.

    The message of an error of this package is made of our words, and is the line.
    """
    match error:
        case DBAPIError(orig=psycopg2.Error() as cause):
            return f"PostgreSQL: {describe_postgres_error(cause)}"
        case AdbcError() | psycopg2.Error():
            return f"PostgreSQL: {describe_postgres_error(error)}"
        case duckdb.OutOfMemoryException():
            return "CRM_PIPELINE_MEMORY is too little, or the disk of the spill is full"
        case OSError(strerror=str(reason)):
            return f"{format_path(error.filename)}: {reason}" if error.filename else reason
    if type(error).__module__.partition(".")[0] == PACKAGE.name:
        return format_path(str(error))
    said = find_system_reason(str(error))
    return f"{type(error).__name__} in {_find_place(error)}" + (f": {said}" if said else "")


def find_system_reason(message: str) -> str | None:
    """Returns what the operating system says in a message of a library or program; None if it says nothing."""
    return next((reason for reason in _SYSTEM_REASONS if reason.lower() in message.lower()), None)


def _find_place(error: BaseException) -> str:
    """Returns file and line of the innermost call of this package."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    ours = (frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE))
    return next((f"{Path(each.filename).relative_to(PACKAGE.parent)}:{each.lineno}" for each in ours), "other code")
