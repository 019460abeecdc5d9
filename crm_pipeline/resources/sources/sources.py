"""The sources of all services: each a folder of files or a PostgreSQL database, only ever read.

A source delivers each table as a DuckDB relation with the service's own column names. A missing table or column or an
unreadable file is a contract error and stops the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.sources.database import read_database
from crm_pipeline.resources.sources.delivery import Delivery, ExtractionRequest, SourceError
from crm_pipeline.resources.sources.files import read_folder
from crm_pipeline.settings import DATABASE_SCHEME_PATTERN, SettingError, build_source_variable_name, parse_folder
from crm_pipeline.tables import list_source_tables
from crm_pipeline.vocabulary import Service

__all__ = ["SourceError", "Sources"]

FULL_REQUEST = ExtractionRequest()


@dataclass(frozen=True)
class Sources:
    """The folder or database URL of each service."""

    urls: Mapping[Service, str]

    def read_snapshot(
        self,
        con: duckdb.DuckDBPyConnection,
        service: Service,
        request: ExtractionRequest = FULL_REQUEST,
        *,
        only_table: Table | None = None,
    ) -> Delivery:
        """Returns one consistent snapshot of a service; a folder is always delivered in full.

        Raises:
            SourceError: the service is not set up, cannot be reached, or breaks its contract.
        """
        url = self.urls.get(service)
        if url is None:
            raise SourceError(f"{service}: {build_source_variable_name(service)} is not set")
        tables = (only_table,) if only_table is not None else list_source_tables(service)
        if DATABASE_SCHEME_PATTERN.match(url):
            return read_database(con, service, url, tables, request)
        try:
            folder = parse_folder(build_source_variable_name(service), url)
        except SettingError as error:
            raise SourceError(f"{service}: {error}") from None
        return read_folder(con, service, folder, tables)
