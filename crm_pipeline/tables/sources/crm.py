"""Source tables of the CRM: tenants, leads, notes and tags of staff, and their decisions about identities."""

from crm_pipeline.tables.columns import (
    LONG_TEXT_LENGTH,
    MEDIUM_TEXT_LENGTH,
    declare_source_table,
    fraction,
    person,
    recorded_at,
    text,
)
from crm_pipeline.vocabulary import Service, TenantStatus

tenant = declare_source_table(
    Service.CRM,
    "Tenant",
    "A club or club group.",
    text("id", "The tenant's slug."),
    text("name", "The club's name."),
    text("countryCode", "ISO 3166 alpha-2; national phone numbers are read in it."),
    text("currency", "ISO 4217; all money of the tenant is in it."),
    text("timezone", "IANA time zone; calendar days are counted in it."),
    text("status", "Whether the club is served.", allowed=TenantStatus),
    fraction("minConfidence", "Least confidence that links two records; 0.85 where empty.", nullable=True),
    recorded_at("updatedAt", "When the record last changed."),
)

lead = declare_source_table(
    Service.CRM,
    "Lead",
    "Somebody who showed interest.",
    text("id", "The lead's id, unique within the CRM."),
    text("tenantId", "The club."),
    *person(),
    text("origin", "Where the lead came from.", nullable=True),
    recorded_at("createdAt", "When the record was made."),
    recorded_at("updatedAt", "When the record last changed."),
)

note = declare_source_table(
    Service.CRM,
    "Note",
    "A note staff wrote about a customer.",
    text("id", "The note's id."),
    text("tenantId", "The club."),
    text("profileId", "The customer profile.", references="CustomerProfile"),
    text("authorId", "Who wrote it.", nullable=True),
    text("body", "The note.", max_length=LONG_TEXT_LENGTH),
    recorded_at("createdAt", "When it was written."),
    recorded_at("updatedAt", "When the record last changed."),
)

profile_tag = declare_source_table(
    Service.CRM,
    "ProfileTag",
    "A tag on a customer.",
    text("id", "The tagging's id."),
    text("tenantId", "The club."),
    text("profileId", "The customer profile.", references="CustomerProfile"),
    text("tag", "The tag."),
    recorded_at("addedAt", "When it was added."),
    recorded_at("removedAt", "When it was taken off.", nullable=True),
    recorded_at("updatedAt", "When the record last changed."),
)

campaign_interaction = declare_source_table(
    Service.CRM,
    "CampaignInteraction",
    "A customer's answer to a campaign.",
    text("id", "The interaction's id."),
    text("tenantId", "The club."),
    text("profileId", "The customer profile.", references="CustomerProfile"),
    text("campaignId", "The campaign."),
    text("kind", "What the customer did.", allowed=("RESPONDED", "FORM_SUBMITTED", "ENQUIRED", "UNSUBSCRIBED")),
    recorded_at("occurredAt", "When it happened."),
    recorded_at("updatedAt", "When the record last changed."),
)

referral = declare_source_table(
    Service.CRM,
    "Referral",
    "One customer who brought another.",
    text("id", "The referral's id."),
    text("tenantId", "The club."),
    text("referrerProfileId", "Who referred.", references="CustomerProfile"),
    text("referredProfileId", "Who was referred.", references="CustomerProfile"),
    recorded_at("occurredAt", "When it happened."),
    recorded_at("updatedAt", "When the record last changed."),
)

identity_override = declare_source_table(
    Service.CRM,
    "IdentityOverride",
    "An operator's decision about two records.",
    text("id", "The decision's id."),
    text("tenantId", "The club."),
    text("serviceA", "Service of the first record.", allowed=Service),
    text("recordIdA", "Id of the first record."),
    text("serviceB", "Service of the second record.", allowed=Service),
    text("recordIdB", "Id of the second record."),
    text("decision", "Whether they are one person.", allowed=("ALWAYS", "NEVER")),
    text("reason", "Why.", max_length=MEDIUM_TEXT_LENGTH),
    text("decidedBy", "Who decided."),
    recorded_at("updatedAt", "When the record last changed."),
)

suppressed_identifier = declare_source_table(
    Service.CRM,
    "SuppressedIdentifier",
    "An email or phone number that is no evidence of who somebody is.",
    text("id", "The entry's id."),
    text("tenantId", "The club."),
    text("kind", "What the value is.", allowed=("EMAIL", "PHONE")),
    text("value", "The address or number."),
    text("reason", "Why.", max_length=MEDIUM_TEXT_LENGTH),
    recorded_at("updatedAt", "When the record last changed."),
)
