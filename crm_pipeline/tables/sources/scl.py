"""Source tables of SCL, the club membership service: members, tier changes and payments."""

from crm_pipeline.tables.columns import (
    LONG_TEXT_LENGTH,
    TextForm,
    cents,
    declare_source_table,
    identifier,
    integer,
    person,
    planned_at,
    planned_on,
    recorded_at,
    tenant_id,
    text,
)
from crm_pipeline.vocabulary import MembershipStatus, Service

member = declare_source_table(
    Service.SCL,
    "Member",
    "A person's membership of a club.",
    integer("id", "The member's number, unique within SCL."),
    tenant_id(),
    *person(),
    text("membershipTier", "Name of the membership tier.", nullable=True),
    text("membershipStatus", "State of the membership.", allowed=MembershipStatus),
    recorded_at("joinedAt", "When the membership began."),
    planned_on("renewsOn", "The day the membership is next due.", nullable=True),
    planned_at("endedAt", "When the contract ended or will end.", nullable=True),
    recorded_at("noticeGivenAt", "When the member gave notice.", nullable=True),
    cents("yearlyFeeCents", "The yearly fee.", nullable=True),
    recorded_at("createdAt", "When the record was made."),
    recorded_at("updatedAt", "When the record last changed."),
)

tier_change = declare_source_table(
    Service.SCL,
    "TierChange",
    "A member's move from one tier to another.",
    identifier("id", "The change's id."),
    tenant_id(),
    integer("memberId", "The member.", references="Member"),
    text("fromTier", "The tier before.", nullable=True),
    text("toTier", "The tier after."),
    recorded_at("changedAt", "When the tier changed."),
    recorded_at("updatedAt", "When the record last changed."),
)

payment = declare_source_table(
    Service.SCL,
    "Payment",
    "Money a member paid or was given back.",
    identifier("id", "The payment's id."),
    tenant_id(),
    integer("memberId", "The member.", references="Member"),
    text("kind", "Whether money came in or went back.", allowed=("PAYMENT", "REFUND")),
    identifier("refundOfId", "The payment a refund gives back.", nullable=True),
    identifier("bookingId", "The TeeTime booking it pays for.", nullable=True),
    cents("amountCents", "The amount, positive for both kinds."),
    text("currency", "ISO 4217 code."),
    text("status", "Only SETTLED money counts.", allowed=("PENDING", "SETTLED", "FAILED")),
    text("description", "What it was for.", nullable=True, form=TextForm.PARAGRAPHS, max_length=LONG_TEXT_LENGTH),
    planned_at("dueAt", "When it is due.", nullable=True),
    recorded_at("paidAt", "When it was paid; a settled payment must have one.", nullable=True),
    recorded_at("updatedAt", "When the record last changed."),
)
