"""Explanations of the numbers of a profile, from its published row and events, with parts that add up.

Points and log odds are read as published, weights and caps as `domain/profile_facts/engagement.py` declares them.
"""

from collections import Counter
from collections.abc import Sequence
from math import exp
from typing import Any, Final

from crm_pipeline.domain.as_of import RECENT_WINDOW
from crm_pipeline.domain.profile_facts.engagement import CONSENT_POINTS, ENGAGEMENT_GROUPS, MEMBERSHIP_POINTS
from crm_pipeline.explain.formatting import (
    Row,
    TenantClock,
    format_count,
    format_counts,
    format_money,
    format_parts_and_total,
    join_words,
)
from crm_pipeline.explain.labels import CHURN_BASIS_DESCRIPTIONS, COUNT_LABELS, ENDED_MEMBERSHIP_RISK
from crm_pipeline.vocabulary import ChurnBasis, CountsAs, EventType

CHANNEL_LABELS: Final = {"email": "email", "sms": "SMS", "push": "push messages", "whatsapp": "WhatsApp"}
NON_ACTIVITY_KINDS: Final = {None, CountsAs.OPEN, CountsAs.PLAYED_BOOKING}
BOOKING_KINDS: Final = {CountsAs.BOOKED, CountsAs.PLAYED_BOOKING}
ENDED_TERM: Final = "ended"
"""The reason of a membership that has ended, as `domain/scoring/profiles.sql` names it."""


def explain_engagement(profile: Row, events: Sequence[Row], clock: TenantClock) -> Row:
    """Returns the engagement score with its points per habit and their events; points add up to the unrounded score."""
    points = profile["engagement_reasons"]
    parts = [
        {"name": group.name, "points": points[group.name], "of": group.cap}
        | _explain_habit([event for event in events if event["counts_as"] in group.weights], clock)
        for group in ENGAGEMENT_GROUPS
    ]
    for name, most, words in (
        ("membership", MEMBERSHIP_POINTS, _describe_membership(profile)),
        ("consent", CONSENT_POINTS, _describe_consent(profile)),
    ):
        parts.append({"name": name, "points": points[name], "of": most, "events": {}, "last_at": None, "words": words})
    return {"score": profile["engagement_score"]} | _add_up_points(parts, profile["engagement_score"])


def _describe_membership(profile: Row) -> str:
    status = profile["membership_status"]
    return f"membership {status.lower()}" if status else "no membership"


def _describe_consent(profile: Row) -> str:
    agreed = join_words(name for channel, name in CHANNEL_LABELS.items() if profile[f"{channel}_opt_in"])
    return f"agreed to {agreed}" if agreed else "agreed to nothing"


def _explain_habit(events: Sequence[Row], clock: TenantClock) -> Row:
    numbers = Counter(event["counts_as"] for event in events)
    if not events:
        return {"events": {}, "last_at": None, "words": "nothing yet"}
    last = max(event["occurred_at"] for event in events)
    words = f"{format_counts(numbers, COUNT_LABELS)}, the last on {clock.format_day(last)}"
    return {"events": dict(numbers), "last_at": last, "words": f"{words}; the longer ago, the less it counts"}


def explain_churn(profile: Row) -> Row:
    """Returns the churn risk and its basis; for a member also the percentage points each reason adds."""
    basis, score, reasons = profile["churn_basis"], profile["churn_risk_score"], profile["churn_reasons"]
    basis_words = ENDED_MEMBERSHIP_RISK if _has_ended(profile) else CHURN_BASIS_DESCRIPTIONS[basis]
    answer: Row = {"score": score, "basis": basis, "basis_words": basis_words, "reasons": reasons}
    if basis == ChurnBasis.NO_SIGNAL:
        return answer | {"unrounded": None, "parts": [], "words": "no score: there is nothing to judge by"}
    if isinstance(reasons, dict):
        odds = f"{score} in 100 such customers do not come within a year, {100 - score} do"
        return answer | {"unrounded": None, "parts": [], "words": f"{reasons['words']}: {odds}"}
    parts = _build_risk_terms(reasons)
    if parts is None:
        return answer | {"unrounded": 100.0, "parts": [], "words": join_words(reason["words"] for reason in reasons)}
    return answer | _add_up_points(parts, score)


def _has_ended(profile: Row) -> bool:
    """Returns whether the risk is that of a membership which has ended."""
    is_member = profile["churn_basis"] == ChurnBasis.MEMBER
    return is_member and any(reason["term"] == ENDED_TERM for reason in profile["churn_reasons"])


def _add_up_points(parts: Sequence[Row], score: int) -> Row:
    """Returns the unrounded total of the parts, the parts as they are shown, and their sum in words."""
    points = [part["points"] for part in parts]
    shown, total = format_parts_and_total(points)
    terms = " + ".join(shown).replace("+ -", "- ")
    return {
        "unrounded": sum(points),
        "parts": [part | {"shown": text} for part, text in zip(parts, shown, strict=True)],
        "words": f"{terms} = {total}, rounded to {score}" if len(parts) > 1 else f"{total}, rounded to {score}",
    }


def _build_risk_terms(reasons: Sequence[Row]) -> list[Row] | None:
    """Returns the percentage points per term in order, None if one term is certain by itself and nothing adds up."""
    if any(reason["log_odds"] is None for reason in reasons):
        return None
    terms, log_odds, before = [], 0.0, 0.0
    for reason in (reason for reason in reasons if reason["log_odds"]):
        log_odds += reason["log_odds"]
        risk = 100.0 / (1.0 + exp(-log_odds))
        terms.append(reason | {"points": risk - before})
        before = risk
    return terms


def explain_predicted_value(profile: Row, risk: Row, yearly_fee_cents: int | None) -> Row:
    """Returns the value predicted for the next 12 months, and what it is calculated from."""
    cents, currency = profile["predicted_value_12m"], profile["currency"]
    if cents is None:
        missing = {
            ChurnBasis.MEMBER: "the yearly fee is not known",
            ChurnBasis.TRANSACTIONAL: "there was no visit yet",
            ChurnBasis.NO_SIGNAL: "nothing to judge by",
        }
        return {"cents": None, "words": f"not known: {missing[risk['basis']]}"}
    if _has_ended(profile):
        made_of = "the membership ended, and there was no visit"
    elif risk["basis"] == ChurnBasis.MEMBER and yearly_fee_cents is not None:
        stays = 1.0 - risk["unrounded"] / 100.0
        fee = format_money(yearly_fee_cents, currency)
        made_of = f"the yearly fee of {fee} times the chance of {stays:.2%} that it is renewed"
    else:
        made_of = "the visits expected within a year, times what such a visit usually brings"
    return {"cents": cents, "words": f"{format_money(cents, currency)}: {made_of}"}


def explain_lifetime_value(profile: Row, events: Sequence[Row]) -> Row:
    """Returns the lifetime value: payments less refunds, in cents."""
    paid = [event["amount_cents"] for event in events if event["event_type"] == EventType.PAYMENT]
    refunded = [-event["amount_cents"] for event in events if event["event_type"] == EventType.REFUND]
    net, currency = sum(paid) - sum(refunded), profile["currency"]
    words = f"{format_count(len(paid), 'payment')} of {format_money(sum(paid), currency)}"
    if refunded:
        words += f" less {format_count(len(refunded), 'refund')} of {format_money(sum(refunded), currency)}"
    shown = format_money(profile["lifetime_value"], currency)
    words = f"{shown}: {words}" + (", and never below nothing" if net < 0 else "")
    return {"cents": profile["lifetime_value"], "paid_cents": sum(paid), "refunded_cents": sum(refunded),
            "words": words if paid or refunded else f"{shown}: nothing paid yet"}  # fmt: skip


def explain_counts(profile: Row, events: Sequence[Row], clock: TenantClock) -> dict[str, Any]:
    """Returns the 30-day counts by kind of event, and the latest activity."""
    recent = [event["counts_as"] for event in events if event["occurred_at"] > clock.as_of - RECENT_WINDOW]
    activities = Counter(kind for kind in recent if kind not in NON_ACTIVITY_KINDS)
    bookings = Counter(kind for kind in recent if kind in BOOKING_KINDS)
    latest = max(
        (event for event in events if event["counts_as"] not in NON_ACTIVITY_KINDS),
        key=lambda event: event["occurred_at"],
        default=None,
    )
    last = profile["last_activity_at"]
    return {
        "activity_count_30d": _explain_count(profile["activity_count_30d"], activities),
        "booking_count_30d": _explain_count(profile["booking_count_30d"], bookings),
        "last_activity_at": {
            "at": last,
            "event_id": latest and latest["event_id"],
            "words": f"{clock.format_day(last)}: {latest['summary']}" if latest and last else "nothing yet",
        },
    }


def _explain_count(number: int, by_kind: Counter[str]) -> Row:
    made_of = format_counts(by_kind, COUNT_LABELS)
    return {"count": number, "of": dict(by_kind), "words": f"{number}: {made_of}" if made_of else str(number)}
