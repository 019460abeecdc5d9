"""Reasons for the published lifecycle stage and status of a profile: the rule that holds, with the facts.

The stage itself is calculated in `domain/profile_facts/facts.sql`, the status in `domain/scoring/profiles.sql`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from crm_pipeline.explain.formatting import Row, TenantClock, format_count, join_words
from crm_pipeline.explain.labels import STAGE_DESCRIPTIONS
from crm_pipeline.vocabulary import CountsAs, CustomerStatus, EventType, LifecycleStage, MembershipStatus, VisitKind

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
    """Returns the stage, its rule in words, and the facts that make it hold.

    Args:
        profile: the published row.
        events: the profile's timeline, oldest first.
        clock: the published time and the tenant's time zone.
        member: the profile's SCL record as SCL has it, and contract_ended_at.
        referred: when each profile it referred last paid or played.
    """
    stage = LifecycleStage(profile["lifecycle_stage"])
    reasons: dict[LifecycleStage, Callable[[], str]] = {
        LifecycleStage.ADVOCATE: lambda: _describe_referrals(events, clock, referred),
        LifecycleStage.MEMBER: lambda: _describe_membership(clock, profile, member),
        LifecycleStage.CHURNED: lambda: _describe_lapse(events, clock, member),
        LifecycleStage.CUSTOMER: lambda: (
            _describe_transactions(events, clock)
            or _describe_paid_plan(events, clock)
            or _describe_membership_end(clock, member)
        ),
        LifecycleStage.PROSPECT: lambda: _describe_responses(events, clock),
        LifecycleStage.LEAD: lambda: _describe_interest(profile, events, clock, member),
        LifecycleStage.SUBSCRIBER: lambda: (
            "no membership, payment, round, answer or other sign of interest that counts"
        ),
    }
    return {"stage": stage, "rule": STAGE_DESCRIPTIONS[stage], "because": reasons[stage]()}


def explain_status(profile: Row, clock: TenantClock) -> Row:
    """Returns the status, its label and the reason for it."""
    status = CustomerStatus(profile["status"])
    last = profile["last_activity_at"]
    quiet = (
        f"the last activity was {format_count(clock.days_since(last), 'day')} ago"
        if last
        else "there was no activity yet"
    )
    reason = {
        CustomerStatus.CHURNED: "the stage is Churned",
        CustomerStatus.AT_RISK: f"the churn risk, {profile['churn_risk_score']}, is 70 or more",
        CustomerStatus.ACTIVE: quiet if last and clock.days_since(last) <= ACTIVE_DAYS else "the membership is running",
        CustomerStatus.INACTIVE: f"no running membership, and {quiet}",
    }[status]
    return {"status": status, "name": status.replace("_", " ").capitalize(), "because": reason}


def _describe_referrals(events: Sequence[Row], clock: TenantClock, referred: Mapping[str, datetime]) -> str:
    rewarded = [
        f"brought {event['details']['referred_profile_id']} on {clock.format_day(event['occurred_at'])}"
        for event in events
        if event["event_type"] == EventType.REFERRAL
        and clock.days_since(event["occurred_at"]) <= LOOKBACK_DAYS
        and event["details"]["referred_profile_id"] != event["profile_id"]
        and (last := referred.get(event["details"]["referred_profile_id"]))
        and last >= event["occurred_at"]
    ]
    return f"{join_words(rewarded)}, who has paid or played since"


def _describe_membership(clock: TenantClock, profile: Row, member: Row | None) -> str:
    ends = member and member["ended_at"]
    until = f" and runs until {clock.format_day(ends)}" if ends and profile["membership_status"] == "RESIGNED" else ""
    return f"the membership is {profile['membership_status'].lower()}{until}"


def _describe_lapse(events: Sequence[Row], clock: TenantClock, member: Row | None) -> str:
    last = max(_list_transaction_times(events, clock), default=None)
    if last and clock.days_since(last) > CHURNED_AFTER_DAYS:
        return f"the last payment or round was on {clock.format_day(last)}, {clock.days_since(last)} days ago"
    return f"{_describe_membership_end(clock, member)}, and there was no payment but fees and no round since"


def _describe_membership_end(clock: TenantClock, member: Row | None) -> str:
    if not member:
        return "a membership ended"
    ended = member["contract_ended_at"]
    return f"the membership ended on {clock.format_day(ended)}, {format_count(clock.days_since(ended), 'day')} ago"


def _describe_transactions(events: Sequence[Row], clock: TenantClock) -> str | None:
    times = _list_transaction_times(events, clock)
    words = format_count(len(times), "payment or round", "payments and rounds")
    return f"{words}, the last on {clock.format_day(max(times))}" if times else None


def _describe_paid_plan(events: Sequence[Row], clock: TenantClock) -> str | None:
    days = [
        event["visit_at"] for event in events if _is_paid_booking(event) and clock.days_since(event["visit_at"]) <= 0
    ]
    return f"a tee time on {clock.format_day(min(days))} is paid" if days else None


def _list_transaction_times(events: Sequence[Row], clock: TenantClock) -> list[datetime]:
    """Returns when the customer paid or played; a paid booking that nobody marked was played once its day is over."""
    visits = [
        event["visit_at"] for event in events if _is_paid_booking(event) and clock.days_since(event["visit_at"]) > 0
    ]
    kinds = {CountsAs.PAYMENT, CountsAs.ROUND_PLAYED}
    return [*(event["occurred_at"] for event in events if event["counts_as"] in kinds), *visits]


def _is_paid_booking(event: Row) -> bool:
    return bool(event["visit_kind"] == VisitKind.BOOKED_PAID)


def _describe_responses(events: Sequence[Row], clock: TenantClock) -> str:
    times = (event["occurred_at"] for event in events if event["counts_as"] in CAMPAIGN_RESPONSES)
    last = max(times, default=None)
    return (
        f"clicked or answered a campaign on {clock.format_day(last)}"
        if last and clock.days_since(last) <= RESPONSE_DAYS
        else ""
    )


def _describe_interest(profile: Row, events: Sequence[Row], clock: TenantClock, member: Row | None) -> str:
    signs = {
        f"{INTEREST_LABELS[event['event_type']]} on {clock.format_day(event['occurred_at'])}": None
        for event in events
        if event["event_type"] in INTEREST_LABELS and clock.days_since(event["occurred_at"]) <= LOOKBACK_DAYS
    }
    reasons = list(signs)
    if profile["membership_status"] == MembershipStatus.PENDING:
        reasons.append("the membership is pending")
    elif member and member["joined_at"] > clock.as_of:
        reasons.append(f"the membership begins on {clock.format_day(member['joined_at'])}")
    if booked := sum(event["counts_as"] == CountsAs.BOOKED for event in events):
        reasons.append(f"made {format_count(booked, 'booking')} not yet played or paid")
    event_types = {event["event_type"] for event in events}
    reasons += [f"has {words} on record" for kind, words in GOLF_LABELS.items() if kind in event_types]
    return join_words(reasons)
