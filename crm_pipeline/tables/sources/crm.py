"""Source tables of the CRM: tenants, leads, notes and tags of staff, and their decisions about identities."""

from crm_pipeline.tables.columns import (
    LONG_TEXT_LENGTH,
    MEDIUM_TEXT_LENGTH,
    TextForm,
    declare_source_table,
    fraction,
    identifier,
    person,
    recorded_at,
    tenant_id,
    text,
)
from crm_pipeline.vocabulary import Service, TenantStatus

tenant = declare_source_table(
    Service.CRM,
    "Tenant",
    "A club or club group.",
    text("id", "The tenant's slug.", form=TextForm.EXACT),
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
    identifier("id", "The lead's id, unique within the CRM."),
    tenant_id(),
    *person(),
    text("origin", "Where the lead came from.", nullable=True),
    recorded_at("createdAt", "When the record was made."),
    recorded_at("updatedAt", "When the record last changed."),
)

note = declare_source_table(
    Service.CRM,
    "Note",
    "A note staff wrote about a customer.",
    identifier("id", "The note's id."),
    tenant_id(),
    identifier("profileId", "The customer profile.", references="CustomerProfile"),
    identifier("authorId", "Who wrote it.", nullable=True),
    text("body", "The note.", form=TextForm.PARAGRAPHS, max_length=LONG_TEXT_LENGTH),
    recorded_at("createdAt", "When it was written."),
    recorded_at("updatedAt", "When the record last changed."),
)

profile_tag = declare_source_table(
    Service.CRM,
    "ProfileTag",
    "A tag on a customer.",
    identifier("id", "The tagging's id."),
    tenant_id(),
    identifier("profileId", "The customer profile.", references="CustomerProfile"),
    text("tag", "The tag.", form=TextForm.TAG),
    recorded_at("addedAt", "When it was added."),
    recorded_at("removedAt", "When it was taken off.", nullable=True),
    recorded_at("updatedAt", "When the record last changed."),
)

campaign_interaction = declare_source_table(
    Service.CRM,
    "CampaignInteraction",
    "A customer's answer to a campaign.",
    identifier("id", "The interaction's id."),
    tenant_id(),
    identifier("profileId", "The customer profile.", references="CustomerProfile"),
    identifier("campaignId", "The campaign."),
    text("kind", "What the customer did.", allowed=("RESPONDED", "FORM_SUBMITTED", "ENQUIRED", "UNSUBSCRIBED")),
    recorded_at("occurredAt", "When it happened."),
    recorded_at("updatedAt", "When the record last changed."),
)

referral = declare_source_table(
    Service.CRM,
    "Referral",
    "One customer who brought another.",
    identifier("id", "The referral's id."),
    tenant_id(),
    identifier("referrerProfileId", "Who referred.", references="CustomerProfile"),
    identifier("referredProfileId", "Who was referred.", references="CustomerProfile"),
    recorded_at("occurredAt", "When it happened."),
    recorded_at("updatedAt", "When the record last changed."),
)

identity_override = declare_source_table(
    Service.CRM,
    "IdentityOverride",
    "An operator's decision about two records.",
    identifier("id", "The decision's id."),
    tenant_id(),
    text("serviceA", "Service of the first record.", allowed=Service),
    identifier("recordIdA", "Id of the first record.", service_column="service_a"),
    text("serviceB", "Service of the second record.", allowed=Service),
    identifier("recordIdB", "Id of the second record.", service_column="service_b"),
    text("decision", "Whether they are one person.", allowed=("ALWAYS", "NEVER")),
    text("reason", "Why.", max_length=MEDIUM_TEXT_LENGTH),
    text("decidedBy", "Who decided."),
    recorded_at("updatedAt", "When the record last changed."),
)

suppressed_identifier = declare_source_table(
    Service.CRM,
    "SuppressedIdentifier",
    "An email or phone number that is no evidence of who somebody is.",
    identifier("id", "The entry's id."),
    tenant_id(),
    text("kind", "What the value is.", allowed=("EMAIL", "PHONE")),
    text("value", "The address or number.", form=TextForm.CONTACT),
    text("reason", "Why.", max_length=MEDIUM_TEXT_LENGTH),
    recorded_at("updatedAt", "When the record last changed."),
)
