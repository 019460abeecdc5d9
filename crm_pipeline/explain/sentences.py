"""Sentences about a link, a decision, a review and an event of a profile id."""

from collections.abc import Sequence

from crm_pipeline.domain.identity.match_keys import MATCH_KEY_COLUMNS
from crm_pipeline.explain.formatting import Row, TenantClock, join_words
from crm_pipeline.explain.labels import (
    CANNOT_LINK_DESCRIPTIONS,
    LINK_RULE_DESCRIPTIONS,
    MATCH_KEY_LABELS,
    PROFILE_EVENT_LABELS,
    format_record_name,
)
from crm_pipeline.explain.shared_values import RULE_COLUMNS, list_paired_records
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.vocabulary import LinkRule, ProfileEventType, ReviewKind


def describe_link(link: Row, person: Row | None, decisions: Sequence[Row]) -> str:
    """Returns why a record is in its profile, and which record links it."""
    rule = LinkRule(link["rule"])
    if link["linked_to_service"] is None:
        return LINK_RULE_DESCRIPTIONS[LinkRule.ANCHOR]
    other = RecordKey(link["linked_to_service"], link["linked_to_record_id"])
    description, partner = LINK_RULE_DESCRIPTIONS[rule], format_record_name(other)
    words = f"{description} as {partner}"
    if rule == LinkRule.ALWAYS:
        words = f"{description}, with {partner}{_describe_link_decision(link, other, decisions)}"
    elif person:
        words += f" ({', '.join(person[name] for name in RULE_COLUMNS[rule] if person[name])})"
    return f"{words}, {link['confidence']:.0%} certain"


def _describe_link_decision(link: Row, other: RecordKey, decisions: Sequence[Row]) -> str:
    pair = {RecordKey(link["service"], link["service_record_id"]), other}
    about = [row for row in decisions if row["decision"] == "ALWAYS" and set(list_paired_records(row)) == pair]
    return describe_decision(about[0]) if about else ""


def describe_decision(decision: Row) -> str:
    """Returns who decided, and the reason given, in parentheses."""
    return f" ({decision['decided_by']}: {decision['reason']})"


def describe_review(review: Row) -> str:
    """Returns the question of a review, with the two records that cannot be one person."""
    note = review["witness"].get("ineffective_decision", "").rstrip(".")
    return f"{_describe_question(review)}{f'. {note}' if note else ''}"


def _describe_question(review: Row) -> str:
    kind, witness = ReviewKind(review["kind"]), review["witness"]
    if kind == ReviewKind.SHARED:
        return _describe_shared_value(witness)
    one, other = map(format_record_name, list_paired_records(review))
    match = f"{one} and {other} match: {LINK_RULE_DESCRIPTIONS[LinkRule(witness['rule'])]}"
    if kind == ReviewKind.NAMES_DIFFER:
        return f"{match}. They were joined by nothing else, and their first names differ"
    against = [RecordKey(witness[f"service_{side}"], witness[f"record_id_{side}"]) for side in "ab"]
    opponents = f"{format_record_name(against[0])} and {format_record_name(against[1])}"
    why = CANNOT_LINK_DESCRIPTIONS[witness["cannot_link"]]
    if kind == ReviewKind.AMBIGUOUS:
        competing_match = f"one of them matches somebody else as well: {opponents} cannot be one person ({why})"
        return f"{match}. But {competing_match}, and first names do not decide"
    if kind == ReviewKind.CONFLICT:
        merged = f"joining everybody who matches would make one person of {opponents}, which cannot be ({why})"
        return f"{match}. But {merged}, so nobody was joined"
    return f"Staff decided that {one} and {other} are one person, which was refused: {why}"


def _describe_shared_value(witness: Row) -> str:
    noun = MATCH_KEY_LABELS[MATCH_KEY_COLUMNS[witness["kind"]]]
    subject = f"{witness['records']} records have the {noun} {witness['value']}"
    if differing := witness.get("differing_records"):
        three = join_words(format_record_name(RecordKey(**record)) for record in differing)
        return (
            f"{subject}, but {three} are three people by first name, email and phone: it does not say who somebody is"
        )
    return f"{subject}: too many for it to say who somebody is"


def describe_profile_event(event: Row, clock: TenantClock) -> str:
    """Returns what happened to a profile id, when and why."""
    happened = PROFILE_EVENT_LABELS[ProfileEventType(event["event_type"])]
    one, other = event["profile_id"], event["other_profile_id"]
    if event["event_type"] == ProfileEventType.SPLIT:
        one, other = other, one
    subject = f"{clock.format_day(event['occurred_at'])}: {one} {happened}{f' {other}' if other else ''}"
    return f"{subject} ({event['reason']})"
