"""Source tables of Messaging, the communication service: contacts with their consent, and message events."""

from crm_pipeline.tables.columns import (
    MEDIUM_TEXT_LENGTH,
    declare_source_table,
    flag,
    identifier,
    person,
    recorded_at,
    tenant_id,
    text,
)
from crm_pipeline.vocabulary import MessageChannel, Service

contact = declare_source_table(
    Service.MESSAGING,
    "Contact",
    "A person who can be written to, and what they agreed to.",
    identifier("id", "The contact's id, unique within Messaging."),
    tenant_id(),
    *person(),
    flag("emailOptIn", "Agreed to email."),
    flag("smsOptIn", "Agreed to SMS."),
    flag("pushOptIn", "Agreed to push messages."),
    flag("whatsappOptIn", "Agreed to WhatsApp."),
    recorded_at("createdAt", "When the record was made."),
    recorded_at("updatedAt", "When the record last changed."),
)

message_event = declare_source_table(
    Service.MESSAGING,
    "MessageEvent",
    "A message sent to, opened or clicked by a contact.",
    identifier("id", "The event's id."),
    tenant_id(),
    identifier("contactId", "The contact.", references="Contact"),
    identifier("messageId", "The message."),
    identifier("campaignId", "The campaign it was part of.", nullable=True),
    text("channel", "How it travelled.", allowed=MessageChannel),
    text("kind", "What happened.", allowed=("SENT", "OPENED", "CLICKED")),
    flag("isMachineOpen", "Opened by a mail scanner or proxy, not a person."),
    text("url", "The link clicked.", nullable=True, max_length=MEDIUM_TEXT_LENGTH * 4),
    recorded_at("occurredAt", "When it happened."),
    recorded_at("updatedAt", "When the record last changed."),
)
