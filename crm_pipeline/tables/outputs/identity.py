"""Output tables of identity resolution: links, reviews, profile ids and their history."""

from typing import Final

from sqlalchemy import Table

from crm_pipeline.tables.columns import (
    BY_TENANT,
    flag,
    fraction,
    integer,
    json,
    output_metadata,
    planned_at,
    primary,
    recorded_at,
    run_id,
    stamp,
    text,
    uuid,
)
from crm_pipeline.vocabulary import LinkRule, ProfileEventType, ReviewKind, Service

RECORD_KEY: Final = "tenant_id, service, service_record_id"
"""The key of a person record in customer_identities and person_records, as SQL."""

customer_identities = Table(
    "customer_identities",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("service", "Service of the record.", allowed=Service)),
    primary(text("service_record_id", "Id of the record in its service.")),
    uuid("profile_id", "The profile the record belongs to."),
    flag("is_primary", "Whether it is the service's primary record of the profile."),
    text("rule", "Why the record belongs to the profile.", allowed=LinkRule),
    fraction("confidence", "Confidence of that one link."),
    text("linked_to_service", "Service of the next record towards the anchor; null for the anchor.", nullable=True),
    text("linked_to_record_id", "Id of the next record towards the anchor; null for the anchor.", nullable=True),
    flag("email_is_shared", "Whether its email is shared by too many, or suppressed, and so no evidence."),
    flag("phone_is_shared", "Whether its phone is shared by too many, or suppressed, and so no evidence."),
    comment="Every record of every service, the profile it belongs to, and the evidence for the link.",
    info=BY_TENANT,
)

identity_reviews = Table(
    "identity_reviews",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("review_id", "Hash of kind and subjects: the same question keeps its id.")),
    text("kind", "What is asked.", allowed=ReviewKind),
    text("service_a", "Service of the first record; null for a shared value.", nullable=True),
    text("record_id_a", "Id of the first record.", nullable=True),
    text("service_b", "Service of the second record.", nullable=True),
    text("record_id_b", "Id of the second record.", nullable=True),
    text("reason", "Why it is asked, in words.", max_length=1_000),
    json("witness", "The records and rule that stand against the link, or the records that share the value."),
    json("settled_by", "The IdentityOverride or SuppressedIdentifier row that would settle it."),
    stamp("opened_at", "as_of of the run that first asked."),
    stamp("closed_at", "as_of of the run that found it settled; null while open.", nullable=True),
    comment="Identity questions for a person: what was refused or looks odd, why, and what would settle it.",
    info=BY_TENANT,
)
identity_reviews.c.closed_at.info["hashed"] = True

profile_events = Table(
    "profile_events",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("event_id", "Hash of profile, kind, time and partner.")),
    uuid("profile_id", "The profile id it happened to."),
    text("event_type", "What happened.", allowed=ProfileEventType),
    uuid("other_profile_id", "MERGED: the id it now redirects to; SPLIT: the id that left.", nullable=True),
    stamp("occurred_at", "as_of of the run that saw it."),
    run_id("The run that saw it."),
    text("reason", "Why, in words.", max_length=1_000),
    comment="The life of every profile id.",
    info=BY_TENANT,
)

profile_ids = Table(
    "profile_ids",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(uuid("profile_id", "The id.")),
    integer("birth_order", "Order of birth within the tenant, from 0."),
    text("minted_service", "Service of the record the id was made from.", allowed=Service),
    text("minted_record_id", "Id of the record the id was made from."),
    integer("generation", "How many ids were made from that record before."),
    text("anchor_service", "Service of the id's anchor record now.", allowed=Service),
    text("anchor_record_id", "Id of the id's anchor record now."),
    uuid("redirects_to", "The live id it redirects to; null when live or retired.", nullable=True),
    flag("is_live", "Whether it is a profile now."),
    comment="Every profile id ever made, the record it is anchored at, and where it redirects to.",
    info=BY_TENANT,
)

withheld_consents = Table(
    "withheld_consents",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("contact_id", "Id of a Messaging contact that is set aside.")),
    uuid("profile_id", "The profile the contact was last linked to, which agrees to nothing meanwhile."),
    comment="Contacts whose consent is withheld until they are mended or deleted. Kept in the lake only.",
    info={"lake_only": True},
)

kept_identities = Table(
    "kept_identities",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("table_name", "One of the tables above.")),
    integer(
        "version", "The newest version of the club's rows in it when all of the tables had last been kept.", minimum=0
    ),
    comment="How far each table of identities goes that was kept whole. Kept in the lake only.",
    info={"lake_only": True},
)

person_records = Table(
    "person_records",
    output_metadata,
    primary(text("tenant_id", "The club.")),
    primary(text("service", "Service of the record.", allowed=Service)),
    primary(text("service_record_id", "Id of the record in its service.")),
    text("auth_user_id", "The person's id at the identity provider.", nullable=True),
    text("email", "Email address in normal form; null for none.", nullable=True),
    text("phone_number", "Phone number in normal form; null for none.", nullable=True),
    text("entered_email", "Email address as entered.", nullable=True),
    text("entered_phone", "Phone number as entered.", nullable=True),
    text("first_name", "First name.", nullable=True),
    text("last_name", "Last name.", nullable=True),
    text("comparable_first_name", "First name in the form in which names are compared.", nullable=True),
    text("comparable_last_name", "Last name in that form.", nullable=True),
    recorded_at("created_at", "When the record was made."),
    recorded_at("updated_at", "When the service last changed it."),
    planned_at("active_from", "When the membership began; null where it is none, or never counted.", nullable=True),
    planned_at("active_until", "When the membership ended or will end; null for no end.", nullable=True),
    integer("input_hash", "Hash of what the row was made from: the same hash needs no new normalisation."),
    comment="The valid records of people in one shape, with normalised keys. Kept in the lake only.",
    info={"lake_only": True},
)
