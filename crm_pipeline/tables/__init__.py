"""Every table the pipeline reads or writes, declared once. Projections turn a declaration into DDL, Arrow and SQL."""

from sqlalchemy import Table

from crm_pipeline.tables import churn, crm, identities, messaging, operations, privacy, profiles, scl, teetime, timeline
from crm_pipeline.tables.columns import outputs, service_of, sources
from crm_pipeline.vocabulary import Service

__all__ = [
    "PEOPLE",
    "PUBLISHED",
    "REPORTS",
    "churn",
    "crm",
    "identities",
    "messaging",
    "operations",
    "privacy",
    "profiles",
    "scl",
    "source_tables",
    "teetime",
    "timeline",
]

PUBLISHED: tuple[Table, ...] = tuple(table for table in outputs.tables.values() if not table.info.get("lake_only"))

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
    return tuple(table for table in sources.tables.values() if service_of(table) == service)
