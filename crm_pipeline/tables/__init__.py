"""Every table the pipeline reads or writes, declared once; `projections.py` turns a declaration into other forms."""

from sqlalchemy import Table

from crm_pipeline.tables.columns import find_table_service, output_metadata, source_metadata
from crm_pipeline.tables.outputs import churn, operations
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline.vocabulary import Service

__all__ = [
    "LAKE_TABLES",
    "PERSON_TABLES",
    "PUBLISHED_TABLES",
    "PUBLISHER_TABLES",
    "REPORT_TABLES",
    "RETIRED_LAKE_TABLES",
    "list_source_tables",
]

LAKE_TABLES: tuple[Table, ...] = (*source_metadata.tables.values(), *output_metadata.tables.values())
"""Every table that may have a log in the lake: those of the services, then ours."""

RETIRED_LAKE_TABLES = ("record_keys",)
"""Names of tables that lakes of older releases have; upkeep and erasures delete them."""

PUBLISHED_TABLES: tuple[Table, ...] = tuple(
    table for table in output_metadata.tables.values() if not table.info.get("lake_only")
)
"""The tables of schema `crm` in PostgreSQL."""

PUBLISHER_TABLES: tuple[Table, ...] = (operations.publications, operations.tenant_refreshes)
"""Published tables that the publisher itself writes; the lake has none of them."""

REPORT_TABLES: tuple[Table, ...] = (operations.quarantined_records, operations.data_quality_results, churn.churn_models)
"""Tables published for every tenant of a run, also for tenants whose checks failed."""

PERSON_TABLES: dict[Service, Table] = {
    Service.SCL: scl.member,
    Service.TEETIME: teetime.player,
    Service.MESSAGING: messaging.contact,
    Service.CRM: crm.lead,
}
"""The table of people of each service."""


def list_source_tables(service: Service) -> tuple[Table, ...]:
    """Returns the tables of a service, in the order of their declaration."""
    return tuple(table for table in source_metadata.tables.values() if find_table_service(table) == service)
