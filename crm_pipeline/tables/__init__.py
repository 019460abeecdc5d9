"""Every table the pipeline reads or writes, declared once. Projections turn a declaration into DDL, Arrow and SQL."""

from sqlalchemy import Table

from crm_pipeline.tables.columns import output_metadata, service_of, source_metadata
from crm_pipeline.tables.outputs import churn, operations
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline.vocabulary import Service

__all__ = ["PEOPLE", "PUBLISHED", "REPORTS", "source_tables"]

PUBLISHED: tuple[Table, ...] = tuple(
    table for table in output_metadata.tables.values() if not table.info.get("lake_only")
)

REPORTS: tuple[Table, ...] = (operations.quarantined_records, operations.data_quality_results, churn.churn_models)
"""Published for every tenant a run looks at, the failed ones above all."""

PEOPLE: dict[Service, Table] = {
    Service.SCL: scl.member,
    Service.TEETIME: teetime.player,
    Service.MESSAGING: messaging.contact,
    Service.CRM: crm.lead,
}
"""The table of each service whose records are people."""


def source_tables(service: Service) -> tuple[Table, ...]:
    """The tables of a service, in the order they were declared."""
    return tuple(table for table in source_metadata.tables.values() if service_of(table) == service)
