"""Faults of a service's database in words of our own: those of servers and libraries can quote rows or a password."""

import re
from typing import Final, NamedTuple

import duckdb
from adbc_driver_manager import Error as AdbcError

from crm_pipeline.resources.sources.delivery import SourceError
from crm_pipeline.vocabulary import Service


class TransientSourceError(SourceError):
    """A fault that may pass by itself."""


class Fault(NamedTuple):
    """What is wrong with a database, in our words."""

    reason: str
    may_pass: bool = False
    """Whether another attempt may succeed."""


_BROKEN_CONNECTION: Final = Fault("the connection broke", may_pass=True)
_FAULTS_BY_SQLSTATE: Final = {
    "08": _BROKEN_CONNECTION,
    "22021": Fault("it has text that is not UTF-8"),
    "22P05": Fault("it has text that is not UTF-8, and that PostgreSQL cannot convert to it"),
    "25006": Fault("a function that it calls writes"),
    "40001": Fault("the replica was ahead of the query", may_pass=True),
    "42501": Fault("grant the role SELECT on all that it reads, and BYPASSRLS where row-level security is on"),
    "53300": Fault("the server takes no more connections", may_pass=True),
    "53": Fault("the server lacks memory or disk"),
    "55P03": Fault("it is locked", may_pass=True),
    "57014": Fault("the query took too long, or was cancelled"),
    "57P": Fault("the server stops or starts", may_pass=True),
}
"""Faults by SQLSTATE, or by its beginning; the first that fits."""
_FAULTS_OF_CONNECTING: Final = {
    r"refused": Fault("the connection is refused", may_pass=True),
    r"timeout expired|timed out": Fault("the connection times out", may_pass=True),
    r"could not translate": Fault("the host is not known", may_pass=True),
    r"too many (clients|connections)|connection slots": Fault("the server takes no more connections", may_pass=True),
    r"starting up|shutting down|in recovery": Fault("the server stops or starts", may_pass=True),
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


def find_connection_fault(message: str) -> Fault:
    """Returns the fault that a message of libpq about a failed connection means."""
    fitting = (fault for part, fault in _FAULTS_OF_CONNECTING.items() if re.search(part, message))
    return next(fitting, Fault("the connection fails"))


def find_sqlstate_fault(sqlstate: str | None) -> Fault:
    """Returns the fault that the SQLSTATE of a failed statement means; without one, the connection broke."""
    if sqlstate is None:
        return _BROKEN_CONNECTION
    fitting = (fault for prefix, fault in _FAULTS_BY_SQLSTATE.items() if sqlstate.startswith(prefix))
    return next(fitting, Fault(f"PostgreSQL reports SQLSTATE {sqlstate}"))


def build_connection_error(service: Service, host: str | None, error: AdbcError) -> SourceError:
    """Returns the error for a database that cannot be connected to, with its host."""
    fault = find_connection_fault(str(error))
    shown = f" on {host}" if host else ""
    return _build_error(f"{service}: the database{shown} does not answer", fault)


def build_reading_error(service: Service, table: str | None, error: AdbcError | duckdb.Error) -> SourceError:
    """Returns the error for a table that cannot be read, or for the database where it is no table's fault."""
    place = "the database" if table is None else f'table "{table}"'
    return _build_error(f"{service}: {place} cannot be read", _find_reading_fault(error))


def _find_reading_fault(error: AdbcError | duckdb.Error) -> Fault:
    match error:
        case duckdb.OutOfMemoryException():
            return Fault("CRM_PIPELINE_MEMORY is too little for it")
        case duckdb.Error():
            return Fault("it has values of a type that cannot be read")
    return find_sqlstate_fault(error.sqlstate)


def _build_error(message: str, fault: Fault) -> SourceError:
    return (TransientSourceError if fault.may_pass else SourceError)(f"{message}: {fault.reason}")
