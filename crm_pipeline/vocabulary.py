"""The closed sets of values every layer shares: services, stages, statuses, event types, rules, reasons."""

from enum import StrEnum


class Service(StrEnum):
    """The systems records come from, in order of precedence where values are equally good."""

    SCL = "SCL"
    TEETIME = "TEETIME"
    MESSAGING = "MESSAGING"
    CRM = "CRM"


class TenantStatus(StrEnum):
    """Whether a club is served: SUSPENDED ones are refreshed, CLOSED ones keep their last tables."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class MembershipStatus(StrEnum):
    """State of a club membership in SCL."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    OVERDUE = "OVERDUE"
    SUSPENDED = "SUSPENDED"
    LAPSED = "LAPSED"
    RESIGNED = "RESIGNED"


class LifecycleStage(StrEnum):
    """How far a customer has come, as the CRM shows it."""

    SUBSCRIBER = "SUBSCRIBER"
    LEAD = "LEAD"
    PROSPECT = "PROSPECT"
    CUSTOMER = "CUSTOMER"
    MEMBER = "MEMBER"
    ADVOCATE = "ADVOCATE"
    CHURNED = "CHURNED"


class CustomerStatus(StrEnum):
    """The one-word state of a profile."""

    ACTIVE = "ACTIVE"
    AT_RISK = "AT_RISK"
    INACTIVE = "INACTIVE"
    CHURNED = "CHURNED"


class ChurnBasis(StrEnum):
    """Which model a churn risk comes from; NO_SIGNAL has none."""

    MEMBER = "MEMBER"
    TRANSACTIONAL = "TRANSACTIONAL"
    NO_SIGNAL = "NO_SIGNAL"


class LinkRule(StrEnum):
    """The rule that links two records as one person."""

    ANCHOR = "ANCHOR"
    ALWAYS = "ALWAYS"
    AUTH_USER_ID = "AUTH_USER_ID"
    EMAIL_AND_PHONE = "EMAIL_AND_PHONE"
    DUPLICATE_REGISTRATION = "DUPLICATE_REGISTRATION"
    EMAIL = "EMAIL"
    PHONE = "PHONE"


class ReviewKind(StrEnum):
    """The kinds of question about an identity that staff are asked to settle."""

    AMBIGUOUS = "AMBIGUOUS"
    CONFLICT = "CONFLICT"
    SHARED = "SHARED"
    REJECTED_ALWAYS = "REJECTED_ALWAYS"
    NAMES_DIFFER = "NAMES_DIFFER"


class ProfileEventType(StrEnum):
    """What happened to a profile id."""

    CREATED = "CREATED"
    MERGED = "MERGED"
    SPLIT = "SPLIT"
    RESURRECTED = "RESURRECTED"
    RETIRED = "RETIRED"


class EventType(StrEnum):
    """Every kind of timeline event."""

    MEMBER_CREATED = "MEMBER_CREATED"
    TIER_CHANGED = "TIER_CHANGED"
    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    BOOKING_MADE = "BOOKING_MADE"
    ROUND_PLAYED = "ROUND_PLAYED"
    BOOKING_CANCELLED = "BOOKING_CANCELLED"
    BOOKING_NO_SHOW = "BOOKING_NO_SHOW"
    HANDICAP_UPDATED = "HANDICAP_UPDATED"
    COMPETITION_ENTERED = "COMPETITION_ENTERED"
    COMPETITION_PLAYED = "COMPETITION_PLAYED"
    MESSAGE_SENT = "MESSAGE_SENT"
    MESSAGE_OPENED = "MESSAGE_OPENED"
    MESSAGE_CLICKED = "MESSAGE_CLICKED"
    NOTE_ADDED = "NOTE_ADDED"
    TAG_ADDED = "TAG_ADDED"
    TAG_REMOVED = "TAG_REMOVED"
    LEAD_CREATED = "LEAD_CREATED"
    CAMPAIGN_RESPONDED = "CAMPAIGN_RESPONDED"
    FORM_SUBMITTED = "FORM_SUBMITTED"
    ENQUIRY = "ENQUIRY"
    UNSUBSCRIBED = "UNSUBSCRIBED"
    REFERRAL = "REFERRAL"
    STAGE_CHANGED = "STAGE_CHANGED"


class CountsAs(StrEnum):
    """How an event enters counts and scores, so that one action counts once.

    A booking is one action: ROUND_PLAYED if played, else BOOKED; PLAYED_BOOKING only counts as a booking made. An OPEN
    is a person's first opening of a message, and no activity of its own.
    """

    ROUND_PLAYED = "ROUND_PLAYED"
    BOOKED = "BOOKED"
    PLAYED_BOOKING = "PLAYED_BOOKING"
    COMPETITION = "COMPETITION"
    HANDICAP_UPDATE = "HANDICAP_UPDATE"
    PAYMENT = "PAYMENT"
    CLICK = "CLICK"
    CAMPAIGN_RESPONSE = "CAMPAIGN_RESPONSE"
    OPEN = "OPEN"


class VisitKind(StrEnum):
    """What an event says of visits, where its type does not say it.

    Of a booking as it stands: not marked yet, and then paid by whomever or not, or cancelled. Of a payment: it is for
    a booking of the customer's own, it is a fee, or it was made on a visit.
    """

    BOOKED = "BOOKED"
    BOOKED_PAID = "BOOKED_PAID"
    CANCELLED = "CANCELLED"
    BOOKING_PAYMENT = "BOOKING_PAYMENT"
    FEE = "FEE"
    VISIT = "VISIT"


class QuarantineReason(StrEnum):
    """Why a record, or one value of it, was quarantined."""

    MISSING_KEY = "MISSING_KEY"
    MISSING_TENANT = "MISSING_TENANT"
    UNKNOWN_TENANT = "UNKNOWN_TENANT"
    MISSING_VALUE = "MISSING_VALUE"
    UNKNOWN_VALUE = "UNKNOWN_VALUE"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    NOT_A_BOOLEAN = "NOT_A_BOOLEAN"
    NOT_A_TIME = "NOT_A_TIME"
    FUTURE_TIME = "FUTURE_TIME"
    ORPHAN = "ORPHAN"
    WRONG_CURRENCY = "WRONG_CURRENCY"
    NEGATIVE_AMOUNT = "NEGATIVE_AMOUNT"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    ROUNDED_NUMBER = "ROUNDED_NUMBER"
    PLACEHOLDER = "PLACEHOLDER"
    TOO_LONG = "TOO_LONG"
    NUL_BYTE = "NUL_BYTE"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    INVALID_SETTING = "INVALID_SETTING"
    INVALID_EMAIL = "INVALID_EMAIL"
    INVALID_PHONE = "INVALID_PHONE"
    NEGATIVE_TOTAL = "NEGATIVE_TOTAL"
    NO_EFFECT = "NO_EFFECT"


class MessageChannel(StrEnum):
    """How a message travels."""

    EMAIL = "EMAIL"
    SMS = "SMS"
    PUSH = "PUSH"
    WHATSAPP = "WHATSAPP"


class TenantState(StrEnum):
    """Whether a club's tables are of its last refresh, and if not, why; `domain/freshness.py` decides."""

    FRESH = "FRESH"
    LATE = "LATE"
    STUCK = "STUCK"
    NEVER_PUBLISHED = "NEVER_PUBLISHED"
    CLOSED = "CLOSED"


class SnapshotState(StrEnum):
    """Whether a service was read for a club by its last refresh; `domain/freshness.py` decides."""

    FRESH = "FRESH"
    LATE = "LATE"
    FAILED = "FAILED"
    NEVER_READ = "NEVER_READ"
