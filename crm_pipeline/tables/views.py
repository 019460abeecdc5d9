"""Views of schema `crm` about the pipeline itself: the columns of each, as readers see them."""

from typing import Final

from sqlalchemy import MetaData, Table

from crm_pipeline.tables.columns import integer, output_metadata, primary, stamp, text
from crm_pipeline.vocabulary import Service, SnapshotState, TenantState, TenantStatus

view_metadata = MetaData(schema=output_metadata.schema)

tenant_freshness = Table(
    "tenant_freshness",
    view_metadata,
    primary(text("tenant_id", "The club.")),
    text(
        "state",
        "FRESH: published by its last refresh. LATE: no refresh for two hours. STUCK: the last refresh did not publish"
        " it. NEVER_PUBLISHED: none ever did. CLOSED: the CRM says so.",
        allowed=TenantState,
    ),
    text("reason", "The state in words: what holds the club, and which hour its tables keep."),
    stamp("as_of", "The hour its profiles and timeline speak of; null before anything is published.", nullable=True),
    stamp("published_at", "When a row of them last changed; null before anything is published.", nullable=True),
    stamp("refreshed_at", "When its last refresh ended."),
    text("status", "Its status in the CRM; null where its Tenant row is wrong.", nullable=True, allowed=TenantStatus),
    integer("profiles", "Profiles published; null before anything is.", nullable=True),
    integer("timeline_events", "Events published; null before anything is.", nullable=True),
    comment="What each club's tables speak of, and why not a later hour. As of the moment it is read.",
)

service_freshness = Table(
    "service_freshness",
    view_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("service", "The service.", allowed=Service)),
    text(
        "state",
        "FRESH: read by the club's last refresh. LATE: no refresh for two hours. FAILED: the last refresh could not"
        " read it. NEVER_READ: none ever could.",
        allowed=SnapshotState,
    ),
    text("reason", "The state in words."),
    stamp("as_of", "The hour its last snapshot speaks of; null before the first.", nullable=True),
    integer("rows", "Rows of the club in that snapshot; null before the first.", nullable=True),
    comment="How old each service's snapshot of each club is. As of the moment it is read.",
)

PUBLISHED_VIEWS: Final = (tenant_freshness, service_freshness)
"""The views; `domain/freshness.py` has their queries."""
