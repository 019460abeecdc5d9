"""Every table the pipeline reads or writes, declared once. Projections turn a declaration into DDL, Arrow and SQL."""

from sqlalchemy import Table

from crm_pipeline.tables.columns import find_table_service, output_metadata, source_metadata
from crm_pipeline.tables.outputs import churn, operations
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline.vocabulary import Service

__all__ = ["PERSON_TABLES", "PUBLISHED_TABLES", "REPORT_TABLES", "list_source_tables"]

PUBLISHED_TABLES: tuple[Table, ...] = tuple(
    table for table in output_metadata.tables.values() if not table.info.get("lake_only")
)

REPORT_TABLES: tuple[Table, ...] = (operations.quarantined_records, operations.data_quality_results, churn.churn_models)
"""Published for every tenant a run looks at, the failed ones above all."""

PERSON_TABLES: dict[Service, Table] = {
    Service.SCL: scl.member,
    Service.TEETIME: teetime.player,
    Service.MESSAGING: messaging.contact,
    Service.CRM: crm.lead,
}
"""The table of each service whose records are people."""


def list_source_tables(service: Service) -> tuple[Table, ...]:
    """The tables of a service, in the order they were declared."""
    return tuple(table for table in source_metadata.tables.values() if find_table_service(table) == service)
