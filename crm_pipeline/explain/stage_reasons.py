"""Why a profile is in its lifecycle stage, and why its status is what it is: the rule that holds, with the facts.

Which stage it is was decided in `domain/facts.sql`; here only the facts for the published answer are looked up.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from crm_pipeline.explain.formatting import Row, TenantClock, format_count, join_words
from crm_pipeline.explain.labels import STAGE_DESCRIPTIONS, STATUS_LABELS
from crm_pipeline.vocabulary import CountsAs, CustomerStatus, EventType, LifecycleStage, MembershipStatus

TRANSACTIONS: Final = {CountsAs.PAYMENT, CountsAs.ROUND_PLAYED}
CAMPAIGN_RESPONSES: Final = {CountsAs.CLICK, CountsAs.CAMPAIGN_RESPONSE}
INTEREST_LABELS: Final = {
    EventType.LEAD_CREATED: "became a lead",
    EventType.ENQUIRY: "made an enquiry",
    EventType.FORM_SUBMITTED: "submitted a form",
}
GOLF_LABELS: Final = {EventType.HANDICAP_UPDATED: "a handicap", EventType.COMPETITION_ENTERED: "a competition"}
CHURNED_AFTER_DAYS, LOOKBACK_DAYS, RESPONSE_DAYS, ACTIVE_DAYS = 365, 730, 180, 90


def explain_stage(
    profile: Row, events: Sequence[Row], clock: TenantClock, member: Row | None, referred: Mapping[str, datetime]
) -> Row:
    """The stage, its rule in words, and what makes it hold.

    `member` is the SCL record of the profile as SCL has it; `referred` says when those it referred last paid or played.
    """
    at = LifecycleStage(profile["lifecycle_stage"])
    because: dict[LifecycleStage, Callable[[], str]] = {
        LifecycleStage.ADVOCATE: lambda: _describe_referrals(events, clock, referred),
        LifecycleStage.MEMBER: lambda: _describe_membership(clock, profile, member),
        LifecycleStage.CHURNED: lambda: _describe_lapse(events, clock, member),
        LifecycleStage.CUSTOMER: lambda: (
            _describe_transactions(events, clock) or _describe_membership_end(clock, member)
        ),
        LifecycleStage.PROSPECT: lambda: _describe_responses(events, clock),
        LifecycleStage.LEAD: lambda: _describe_interest(profile, events, clock),
        LifecycleStage.SUBSCRIBER: lambda: (
            "no membership, payment, round, answer or other sign of interest that counts"
        ),
    }
    return {"stage": at, "rule": STAGE_DESCRIPTIONS[at], "because": because[at]()}


def explain_status(profile: Row, clock: TenantClock) -> Row:
    """The status and why it is that."""
    at = CustomerStatus(profile["status"])
    last = profile["last_activity_at"]
    quiet = f"the last activity was {format_count(clock.age(last), 'day')} ago" if last else "there was no activity yet"
    because = {
        CustomerStatus.CHURNED: "the stage is Churned",
        CustomerStatus.AT_RISK: f"the churn risk, {profile['churn_risk_score']}, is 70 or more",
        CustomerStatus.ACTIVE: quiet if last and clock.age(last) <= ACTIVE_DAYS else "the membership is running",
        CustomerStatus.INACTIVE: f"no running membership, and {quiet}",
    }[at]
    return {"status": at, "name": STATUS_LABELS[at], "because": because}


def _describe_referrals(events: Sequence[Row], clock: TenantClock, referred: Mapping[str, datetime]) -> str:
    rewarded = [
        f"brought {event['details']['referred_profile_id']} on {clock.day(event['occurred_at'])}"
        for event in events
        if event["event_type"] == EventType.REFERRAL
        and clock.age(event["occurred_at"]) <= LOOKBACK_DAYS
        and event["details"]["referred_profile_id"] != event["profile_id"]
        and (last := referred.get(event["details"]["referred_profile_id"]))
        and last >= event["occurred_at"]
    ]
    return f"{join_words(rewarded)}, who has paid or played since"


def _describe_membership(clock: TenantClock, profile: Row, member: Row | None) -> str:
    ends = member and member["ended_at"]
    until = f" and runs until {clock.day(ends)}" if ends and profile["membership_status"] == "RESIGNED" else ""
    return f"the membership is {profile['membership_status'].lower()}{until}"


def _describe_lapse(events: Sequence[Row], clock: TenantClock, member: Row | None) -> str:
    last = _find_last_time(events, TRANSACTIONS)
    if last and clock.age(last) > CHURNED_AFTER_DAYS:
        return f"the last payment or round was on {clock.day(last)}, {clock.age(last)} days ago"
    return f"{_describe_membership_end(clock, member)}, and there was no payment or round since"


def _describe_membership_end(clock: TenantClock, member: Row | None) -> str:
    if not member:
        return "a membership ended"
    ended = member["ended_at"] or member["updated_at"]
    return f"the membership ended on {clock.day(ended)}, {format_count(clock.age(ended), 'day')} ago"


def _describe_transactions(events: Sequence[Row], clock: TenantClock) -> str | None:
    last = _find_last_time(events, TRANSACTIONS)
    number = sum(event["counts_as"] in TRANSACTIONS for event in events)
    return (
        f"{format_count(number, 'payment or round', 'payments and rounds')}, the last on {clock.day(last)}"
        if last
        else None
    )


def _describe_responses(events: Sequence[Row], clock: TenantClock) -> str:
    last = _find_last_time(events, CAMPAIGN_RESPONSES)
    return f"clicked or answered a campaign on {clock.day(last)}" if last and clock.age(last) <= RESPONSE_DAYS else ""


def _describe_interest(profile: Row, events: Sequence[Row], clock: TenantClock) -> str:
    signs = {
        f"{INTEREST_LABELS[event['event_type']]} on {clock.day(event['occurred_at'])}": None
        for event in events
        if event["event_type"] in INTEREST_LABELS and clock.age(event["occurred_at"]) <= LOOKBACK_DAYS
    }
    found = list(signs)
    if profile["membership_status"] == MembershipStatus.PENDING:
        found.append("the membership is pending")
    if booked := sum(event["counts_as"] == CountsAs.BOOKED for event in events):
        found.append(f"made {format_count(booked, 'booking')} not yet played or paid")
    found += [
        f"has {words} on record" for kind, words in GOLF_LABELS.items() if any(e["event_type"] == kind for e in events)
    ]
    return join_words(found)


def _find_last_time(events: Sequence[Row], kinds: set[CountsAs]) -> datetime | None:
    return max((event["occurred_at"] for event in events if event["counts_as"] in kinds), default=None)
