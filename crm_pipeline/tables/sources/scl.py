"""Source tables of SCL, the club membership service: members, tier changes and payments."""

from crm_pipeline.tables.columns import (
    LONG_TEXT_LENGTH,
    cents,
    declare_source_table,
    integer,
    person,
    planned_at,
    planned_on,
    recorded_at,
    text,
)
from crm_pipeline.vocabulary import MembershipStatus, Service

member = declare_source_table(
    Service.SCL,
    "Member",
    "A person's membership of a club.",
    integer("id", "The member's number, unique within SCL."),
    text("tenantId", "The club."),
    *person(),
    text("membershipTier", "Name of the membership tier.", nullable=True),
    text("membershipStatus", "State of the membership.", allowed=MembershipStatus),
    planned_at("joinedAt", "When the membership began or will begin."),
    planned_on("renewsOn", "The day the membership is next due.", nullable=True),
    planned_at("endedAt", "When the contract ended or will end; none from 2200 on.", nullable=True, open_ended=True),
    recorded_at("noticeGivenAt", "When the member gave notice.", nullable=True),
    cents("yearlyFeeCents", "The yearly fee.", nullable=True),
    recorded_at("createdAt", "When the record was made."),
    recorded_at("updatedAt", "When the record last changed."),
)

tier_change = declare_source_table(
    Service.SCL,
    "TierChange",
    "A member's move from one tier to another.",
    text("id", "The change's id."),
    text("tenantId", "The club."),
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
    text("id", "The payment's id."),
    text("tenantId", "The club."),
    integer("memberId", "The member.", references="Member"),
    text("kind", "Whether money came in or went back.", allowed=("PAYMENT", "REFUND")),
    text("refundOfId", "The payment a refund gives back.", nullable=True),
    text("bookingId", "The TeeTime booking it pays for.", nullable=True),
    cents("amountCents", "The amount, positive for both kinds."),
    text("currency", "ISO 4217 code."),
    text("status", "Only SETTLED money counts.", allowed=("PENDING", "SETTLED", "FAILED")),
    text("description", "What it was for.", nullable=True, max_length=LONG_TEXT_LENGTH),
    planned_at("dueAt", "When it is due.", nullable=True),
    recorded_at("paidAt", "When it was paid; a settled payment must have one.", nullable=True),
    recorded_at("updatedAt", "When the record last changed."),
)
