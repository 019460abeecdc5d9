"""Labels and short descriptions, for club staff, of services, link rules, stages and profile events."""

from typing import Final

from crm_pipeline.explain.formatting import Row
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.vocabulary import (
    ChurnBasis,
    CountsAs,
    LifecycleStage,
    LinkRule,
    ProfileEventType,
    ReviewKind,
    Service,
)

SERVICE_LABELS: Final = {
    Service.SCL: "SCL",
    Service.TEETIME: "TeeTime",
    Service.MESSAGING: "Messaging",
    Service.CRM: "CRM",
}
MATCH_KEY_LABELS: Final = {"email": "email address", "phone_number": "phone number", "auth_user_id": "login account"}
LINK_RULE_DESCRIPTIONS: Final = {
    LinkRule.ANCHOR: "the record the profile id stands for",
    LinkRule.ALWAYS: "staff decided that they are one person",
    LinkRule.AUTH_USER_ID: "same login account",
    LinkRule.EMAIL_AND_PHONE: "same email address and phone number",
    LinkRule.DUPLICATE_REGISTRATION: "registered twice: same email address, phone number and full name",
    LinkRule.EMAIL: "same email address",
    LinkRule.PHONE: "same phone number",
}
CANNOT_LINK_DESCRIPTIONS: Final = {
    "AUTH_USER_ID": "they have different login accounts",
    "NEVER": "staff decided that they are two people",
    "SAME_SERVICE": "two records of one service are two people",
}
COUNT_LABELS: Final = {
    CountsAs.ROUND_PLAYED: ("round played", "rounds played"),
    CountsAs.BOOKED: ("booking not played", "bookings not played"),
    CountsAs.PLAYED_BOOKING: ("booking that was played", "bookings that were played"),
    CountsAs.COMPETITION: ("competition", "competitions"),
    CountsAs.HANDICAP_UPDATE: ("handicap update", "handicap updates"),
    CountsAs.PAYMENT: ("payment", "payments"),
    CountsAs.CLICK: ("click", "clicks"),
    CountsAs.CAMPAIGN_RESPONSE: ("answer to a campaign", "answers to campaigns"),
    CountsAs.OPEN: ("message opened", "messages opened"),
}
STAGE_DESCRIPTIONS: Final = {
    LifecycleStage.ADVOCATE: "a member or customer who brought somebody, within two years, who then paid or played",
    LifecycleStage.MEMBER: "a running membership",
    LifecycleStage.CHURNED: "no visit planned, and no payment or round for over 365 days, or a membership that"
    " ended over 30 days ago and none but fees since",
    LifecycleStage.CUSTOMER: "has paid or played, has a paid visit planned, or a membership ended within 30 days",
    LifecycleStage.PROSPECT: "clicked or answered a campaign within 180 days",
    LifecycleStage.LEAD: "showed interest, but has not paid or played",
    LifecycleStage.SUBSCRIBER: "none of the other stages",
}
CHURN_BASIS_DESCRIPTIONS: Final = {
    ChurnBasis.MEMBER: "the risk that the membership is not renewed within the next 12 months",
    ChurnBasis.TRANSACTIONAL: "the risk of no further visit within the next 12 months",
    ChurnBasis.NO_SIGNAL: "neither a membership nor a visit to judge by",
}
ENDED_MEMBERSHIP_RISK: Final = "the risk that the membership, which has ended, is not renewed within the next 12 months"
PROFILE_EVENT_LABELS: Final = {
    ProfileEventType.CREATED: "was created",
    ProfileEventType.MERGED: "became part of",
    ProfileEventType.SPLIT: "was parted from",
    ProfileEventType.RESURRECTED: "was a profile of its own again",
    ProfileEventType.RETIRED: "was retired",
}
REVIEW_INSTRUCTIONS: Final = {
    ReviewKind.AMBIGUOUS: "To make them one person, add this to the CRM (with decision NEVER they stay apart for good)",
    ReviewKind.CONFLICT: "If this match is wrong, add this to the CRM, which frees the others",
    ReviewKind.SHARED: "To confirm that it is nobody's own, add this to the CRM",
    ReviewKind.REJECTED_ALWAYS: "To settle it, put this in its place in the CRM, or withdraw what stands against it",
    ReviewKind.NAMES_DIFFER: "To part them, add this to the CRM (with decision ALWAYS they are confirmed)",
}


def format_record_name(record: RecordKey) -> str:
    """Returns the name of a record, such as `SCL member 11`."""
    service = Service(record.service)
    return f"{SERVICE_LABELS[service]} {PERSON_TABLES[service].name.lower()} {record.record_id}"


def format_review_instruction(review: Row) -> str:
    """Returns what staff can do about a review, with the row that settles it, or the two of which one does."""
    if isinstance(review["settled_by"], dict):
        return f"{REVIEW_INSTRUCTIONS[ReviewKind(review['kind'])]}: {format_crm_row(review['settled_by'])}"
    one_person, two_people = map(format_crm_row, review["settled_by"])
    return f"Add to the CRM, where these two are one person, {one_person}; where they are not, {two_people}"


def format_crm_row(row: Row) -> str:
    """Returns a row that settles a review as staff enter it in the CRM: the table and its columns."""
    table = "IdentityOverride" if "decision" in row else "SuppressedIdentifier"
    columns = ("tenantId", "serviceA", "recordIdA", "serviceB", "recordIdB", "decision", "kind", "value")
    return f"{table}: {', '.join(f'{column}={row[column]}' for column in columns if column in row)}"
