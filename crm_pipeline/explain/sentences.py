"""What a link, a question and an event of a profile id say, as sentences."""

from collections.abc import Sequence
from typing import Final

from crm_pipeline.explain.formatting import Clock, Row
from crm_pipeline.explain.labels import CANNOT_LINK, LIFE, RULES, record_name
from crm_pipeline.explain.shared_values import sides_of
from crm_pipeline.explain.warehouse_reader import Key
from crm_pipeline.vocabulary import LinkRule, ProfileEventType, ReviewKind

_SHOWN: Final = {
    LinkRule.AUTH_USER_ID: ("auth_user_id",),
    LinkRule.EMAIL_AND_PHONE: ("email", "phone_number"),
    LinkRule.DUPLICATE_REGISTRATION: ("email", "phone_number"),
    LinkRule.EMAIL: ("email",),
    LinkRule.PHONE: ("phone_number",),
}
_KINDS: Final = {"EMAIL": "email address", "PHONE": "phone number", "AUTH_USER_ID": "login account"}


def link_words(link: Row, person: Row | None, decisions: Sequence[Row]) -> str:
    """Why a record belongs to the profile, and through which other one."""
    rule = LinkRule(link["rule"])
    if link["linked_to_service"] is None:
        return RULES[LinkRule.ANCHOR]
    other = Key(link["linked_to_service"], link["linked_to_record_id"])
    said = f"{RULES[rule]} as {record_name(other)}"
    if rule == LinkRule.ALWAYS:
        said = f"{RULES[rule]}, with {record_name(other)}{_decided(link, other, decisions)}"
    elif person:
        said += f" ({', '.join(person[name] for name in _SHOWN[rule] if person[name])})"
    return f"{said}, {link['confidence']:.0%} certain"


def _decided(link: Row, other: Key, decisions: Sequence[Row]) -> str:
    pair = {Key(link["service"], link["service_record_id"]), other}
    about = [row for row in decisions if row["decision"] == "ALWAYS" and set(sides_of(row)) == pair]
    return decision_words(about[0]) if about else ""


def decision_words(decision: Row) -> str:
    """Who decided, and the reason given."""
    return f" ({decision['decided_by']}: {decision['reason']})"


def review_words(review: Row) -> str:
    """What is asked, with the records that stand against it."""
    kind, witness = ReviewKind(review["kind"]), review["witness"]
    if kind == ReviewKind.SHARED:
        noun = _KINDS[witness["kind"]]
        return (
            f"{witness['records']} records have the {noun} {witness['value']}: too many for it to say who somebody is"
        )
    one, other = map(record_name, sides_of(review))
    match = f"{one} and {other} match: {RULES[LinkRule(witness['rule'])]}"
    if kind == ReviewKind.NAMES_DIFFER:
        return f"{match}. They were joined by nothing else, and their first names differ"
    against = [Key(witness[f"service_{side}"], witness[f"record_id_{side}"]) for side in "ab"]
    opponents = f"{record_name(against[0])} and {record_name(against[1])}"
    why = CANNOT_LINK[witness["cannot_link"]]
    if kind == ReviewKind.AMBIGUOUS:
        rival = f"one of them matches somebody else as well: {opponents} cannot be one person ({why})"
        return f"{match}. But {rival}, and first names do not decide"
    if kind == ReviewKind.CONFLICT:
        one_of_all = f"joining everybody who matches would make one person of {opponents}, which cannot be ({why})"
        return f"{match}. But {one_of_all}, so nobody was joined"
    return f"Staff decided that {one} and {other} are one person, which was refused: {why}"


def life_words(event: Row, clock: Clock) -> str:
    """What happened to a profile id, when and why."""
    happened = LIFE[ProfileEventType(event["event_type"])]
    one, other = event["profile_id"], event["other_profile_id"]
    if event["event_type"] == ProfileEventType.SPLIT:
        one, other = other, one
    subject = f"{clock.day(event['occurred_at'])}: {one} {happened}{f' {other}' if other else ''}"
    return f"{subject} ({event['reason']})"
