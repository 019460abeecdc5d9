"""The output table of events: one row per event of a profile, partitioned by tenant."""

from sqlalchemy import Table

from crm_pipeline.tables.columns import (
    BY_TENANT,
    integer,
    json,
    output_metadata,
    planned_at,
    primary,
    recorded_at,
    text,
    uuid,
)
from crm_pipeline.vocabulary import CountsAs, EventType, Service, VisitKind

customer_timeline = Table(
    "customer_timeline",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("event_id", "Service, record and kind of event: the same event keeps its id.", max_length=500)),
    uuid("profile_id", "The profile."),
    recorded_at("occurred_at", "When it happened."),
    text("source", "The service it came from.", allowed=Service),
    text("event_type", "What happened.", allowed=EventType),
    text("service_record_id", "Id of the record the event was made from."),
    text("counts_as", "How it enters counts and scores; null where it does not.", nullable=True, allowed=CountsAs),
    integer("amount_cents", "Money that came in, negative for a refund.", nullable=True),
    text("currency", "ISO 4217 code of the amount.", nullable=True),
    text("summary", "The event in one readable line.", max_length=1_000),
    json("details", "What else the record says."),
    text("visit_kind", "What it says of visits; null where its type says all.", nullable=True, allowed=VisitKind),
    planned_at(
        "visit_at",
        "Tee time of a booking not marked yet or cancelled; of a payment for a booking, the tee time if visited.",
        nullable=True,
    ),
    comment="Everything a customer did or was sent, from all services, in one stream.",
    info=BY_TENANT | {"indexes": {"customer_timeline_by_profile": "tenant_id, profile_id, occurred_at desc"}},
)
