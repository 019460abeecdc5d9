"""Why a profile is in its lifecycle stage, and why its status is what it is: the rule that holds, with the facts.

Which stage it is was decided in `domain/facts.sql`; here only the facts for the published answer are looked up.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from crm_pipeline.explain.formatting import Clock, Row, counted, joined
from crm_pipeline.explain.labels import STAGES, STATUSES
from crm_pipeline.vocabulary import CountsAs, CustomerStatus, EventType, LifecycleStage, MembershipStatus

TRANSACTIONS: Final = {CountsAs.PAYMENT, CountsAs.ROUND_PLAYED}
ANSWERS: Final = {CountsAs.CLICK, CountsAs.CAMPAIGN_RESPONSE}
INTEREST: Final = {
    EventType.LEAD_CREATED: "became a lead",
    EventType.ENQUIRY: "made an enquiry",
    EventType.FORM_SUBMITTED: "submitted a form",
}
GOLF: Final = {EventType.HANDICAP_UPDATED: "a handicap", EventType.COMPETITION_ENTERED: "a competition"}
YEAR, TWO_YEARS, ANSWER_DAYS, ACTIVE_DAYS = 365, 730, 180, 90


def stage(
    profile: Row, events: Sequence[Row], clock: Clock, member: Row | None, referred: Mapping[str, datetime]
) -> Row:
    """The stage, its rule in words, and what makes it hold.

    `member` is the SCL record of the profile as SCL has it; `referred` says when those it referred last paid or played.
    """
    at = LifecycleStage(profile["lifecycle_stage"])
    because: dict[LifecycleStage, Callable[[], str]] = {
        LifecycleStage.ADVOCATE: lambda: _referrals(events, clock, referred),
        LifecycleStage.MEMBER: lambda: _contract(clock, profile, member),
        LifecycleStage.CHURNED: lambda: _lapse(events, clock, member),
        LifecycleStage.CUSTOMER: lambda: _transactions(events, clock) or _ended(clock, member),
        LifecycleStage.PROSPECT: lambda: _answers(events, clock),
        LifecycleStage.LEAD: lambda: _interest(profile, events, clock),
        LifecycleStage.SUBSCRIBER: lambda: (
            "no membership, payment, round, answer or other sign of interest that counts"
        ),
    }
    return {"stage": at, "rule": STAGES[at], "because": because[at]()}


def status(profile: Row, clock: Clock) -> Row:
    """The status and why it is that."""
    at = CustomerStatus(profile["status"])
    last = profile["last_activity_at"]
    quiet = f"the last activity was {counted(clock.age(last), 'day')} ago" if last else "there was no activity yet"
    because = {
        CustomerStatus.CHURNED: "the stage is Churned",
        CustomerStatus.AT_RISK: f"the churn risk, {profile['churn_risk_score']}, is 70 or more",
        CustomerStatus.ACTIVE: quiet if last and clock.age(last) <= ACTIVE_DAYS else "the membership is running",
        CustomerStatus.INACTIVE: f"no running membership, and {quiet}",
    }[at]
    return {"status": at, "name": STATUSES[at], "because": because}


def _referrals(events: Sequence[Row], clock: Clock, referred: Mapping[str, datetime]) -> str:
    rewarded = [
        f"brought {event['details']['referred_profile_id']} on {clock.day(event['occurred_at'])}"
        for event in events
        if event["event_type"] == EventType.REFERRAL
        and clock.age(event["occurred_at"]) <= TWO_YEARS
        and event["details"]["referred_profile_id"] != event["profile_id"]
        and (last := referred.get(event["details"]["referred_profile_id"]))
        and last >= event["occurred_at"]
    ]
    return f"{joined(rewarded)}, who has paid or played since"


def _contract(clock: Clock, profile: Row, member: Row | None) -> str:
    ends = member and member["ended_at"]
    until = f" and runs until {clock.day(ends)}" if ends and profile["membership_status"] == "RESIGNED" else ""
    return f"the membership is {profile['membership_status'].lower()}{until}"


def _lapse(events: Sequence[Row], clock: Clock, member: Row | None) -> str:
    last = _last(events, TRANSACTIONS)
    if last and clock.age(last) > YEAR:
        return f"the last payment or round was on {clock.day(last)}, {clock.age(last)} days ago"
    return f"{_ended(clock, member)}, and there was no payment or round since"


def _ended(clock: Clock, member: Row | None) -> str:
    if not member:
        return "a membership ended"
    ended = member["ended_at"] or member["updated_at"]
    return f"the membership ended on {clock.day(ended)}, {counted(clock.age(ended), 'day')} ago"


def _transactions(events: Sequence[Row], clock: Clock) -> str | None:
    last = _last(events, TRANSACTIONS)
    number = sum(event["counts_as"] in TRANSACTIONS for event in events)
    return (
        f"{counted(number, 'payment or round', 'payments and rounds')}, the last on {clock.day(last)}" if last else None
    )


def _answers(events: Sequence[Row], clock: Clock) -> str:
    last = _last(events, ANSWERS)
    return f"clicked or answered a campaign on {clock.day(last)}" if last and clock.age(last) <= ANSWER_DAYS else ""


def _interest(profile: Row, events: Sequence[Row], clock: Clock) -> str:
    signs = {
        f"{INTEREST[event['event_type']]} on {clock.day(event['occurred_at'])}": None
        for event in events
        if event["event_type"] in INTEREST and clock.age(event["occurred_at"]) <= TWO_YEARS
    }
    found = list(signs)
    if profile["membership_status"] == MembershipStatus.PENDING:
        found.append("the membership is pending")
    if booked := sum(event["counts_as"] == CountsAs.BOOKED for event in events):
        found.append(f"made {counted(booked, 'booking')} not yet played or paid")
    found += [f"has {words} on record" for kind, words in GOLF.items() if any(e["event_type"] == kind for e in events)]
    return joined(found)


def _last(events: Sequence[Row], kinds: set[CountsAs]) -> datetime | None:
    return max((event["occurred_at"] for event in events if event["counts_as"] in kinds), default=None)
