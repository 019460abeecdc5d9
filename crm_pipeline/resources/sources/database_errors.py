"""Faults of a service's database, in words that say what the service's administrator can do."""

from collections.abc import Mapping
from typing import Final

import duckdb
from adbc_driver_manager import Error as AdbcError

from crm_pipeline.faults import Fault, find_connection_fault, find_sqlstate, find_sqlstate_fault
from crm_pipeline.resources.sources.delivery import SourceError
from crm_pipeline.vocabulary import Service


class TransientSourceError(SourceError):
    """A fault that may pass by itself."""


_FAULTS_OF_SOURCES: Final[Mapping[str, Fault]] = {
    "22021": Fault("it has text that is not UTF-8"),
    "22P05": Fault("it has text that is not UTF-8, and that PostgreSQL cannot convert to it"),
    "25006": Fault("a function that it calls writes"),
    "40001": Fault("the replica was ahead of the query", may_pass=True),
    "42501": Fault("grant the role SELECT on all that it reads, and BYPASSRLS where row-level security is on"),
}
"""What SQLSTATEs mean while a service is read."""


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
    return find_sqlstate_fault(find_sqlstate(error), _FAULTS_OF_SOURCES)


def _build_error(message: str, fault: Fault) -> SourceError:
    return (TransientSourceError if fault.may_pass else SourceError)(f"{message}: {fault.reason}")
