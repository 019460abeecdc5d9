"""The services as they are delivered: a folder of files or a PostgreSQL database, never written.

A source hands each table over as DuckDB relations with the service's own column names. Missing tables and columns and
files that cannot be read are contract errors and stop the service; what single values mean is judged in the domain.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
from sqlalchemy import Table

from crm_pipeline.resources.sources.database import read_database
from crm_pipeline.resources.sources.delivery import Delivery, ExtractionRequest, SourceError
from crm_pipeline.resources.sources.files import read_folder
from crm_pipeline.settings import build_source_variable_name
from crm_pipeline.tables import list_source_tables
from crm_pipeline.vocabulary import Service

__all__ = ["SourceError", "Sources"]

FULL_REQUEST = ExtractionRequest()
DATABASE_URL_PATTERN = re.compile(r"postgres(ql)?(\+\w+)?://")


@dataclass(frozen=True)
class Sources:
    """Where each service is read from."""

    urls: Mapping[Service, str]

    def snapshot(
        self,
        con: duckdb.DuckDBPyConnection,
        service: Service,
        request: ExtractionRequest = FULL_REQUEST,
        *,
        only: Table | None = None,
    ) -> Delivery:
        """One consistent reading of a service. A folder is handed over whole whatever the request.

        Raises SourceError where the service is not set up, cannot be reached, or breaks its contract.
        """
        url = self.urls.get(service)
        if url is None:
            raise SourceError(f"{service}: {build_source_variable_name(service)} is not set")
        tables = (only,) if only is not None else list_source_tables(service)
        if DATABASE_URL_PATTERN.match(url):
            return read_database(con, service, url, tables, request)
        if "://" in url and not url.startswith("file://"):
            raise SourceError(
                f"{service}: {build_source_variable_name(service)} must be a folder or a postgresql:// URL"
            )
        folder = Path(unquote(urlsplit(url).path) if url.startswith("file://") else url)
        return read_folder(con, service, folder, tables)
