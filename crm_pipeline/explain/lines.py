"""The lines of the page's sections about identity: pairs of a label and words, from the document of one person."""

from collections.abc import Iterable, Iterator
from typing import Final

from crm_pipeline.explain.published import Key
from crm_pipeline.explain.told import decision_words
from crm_pipeline.explain.values import Row, counted, joined
from crm_pipeline.explain.words import QUESTIONS, VALUES, record_name, row_to_add
from crm_pipeline.vocabulary import ReviewKind

MOST_OTHERS = 10
FIELDS: Final = {
    "first_name": "First name",
    "last_name": "Last name",
    "email": "Email",
    "phone_number": "Phone",
    "auth_user_id": "Login account",
    "membership_tier": "Membership",
    "membership_status": "Membership is",
    "handicap": "Handicap",
    "home_club_id": "Home club",
    "tags": "Tags",
    "email_opt_in": "Agreed to email",
    "sms_opt_in": "Agreed to SMS",
    "push_opt_in": "Agreed to push",
    "whatsapp_opt_in": "Agreed to WhatsApp",
}


def name_of(person: Row) -> str:
    """What to call somebody."""
    return person["display_name"] or "Nameless"


def record_of(row: Row) -> str:
    """What to call a record."""
    return record_name(Key(row["service"], row["service_record_id"]))


def who_lines(fields: dict[str, Row]) -> list[tuple[str, str]]:
    """The fields a person is known by, each with its origin."""
    shown = []
    for name, label in FIELDS.items():
        value, origin = fields[name]["value"], fields[name]["origin"]
        if value is None or value == []:
            continue
        source = _from(origin["records"])
        if name.endswith("_opt_in"):
            source = source or "nothing in Messaging says so"
        shown.append((label, _value(name, value), source))
    width = max((len(words) for _, words, _ in shown), default=0)
    return [(label, f"{words:<{width}}  {source}".rstrip()) for label, words, source in shown]


def _value(name: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return joined(value)
    return str(value).lower() if name == "membership_status" else str(value)


def _from(records: Iterable[str]) -> str:
    keys = [record.split(":", 1) for record in records]
    names = [
        "a tag in the CRM" if id_.startswith("ProfileTag:") else record_name(Key(service, id_)) for service, id_ in keys
    ]
    return f"from {joined(dict.fromkeys(names))}" if names else ""


def record_words(row: Row) -> str:
    """Why a record belongs to the person, and what it says."""
    held = row["held"] or {}
    name = " ".join(filter(None, (held.get("first_name"), held.get("last_name"))))
    values = [name, held.get("email"), held.get("phone_number")]
    faults = [f"its {_spaced(fault['column_name'])} is set aside as unusable" for fault in row["set_aside"]]
    return "; ".join([row["words"], ", ".join(value.strip() for value in values if value and value.strip()), *faults])


def _spaced(column: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in column)


def refused_lines(person: Row) -> Iterator[tuple[str, str]]:
    """Everybody the person was kept apart from."""
    for other in person["refused"][:MOST_OTHERS]:
        yield name_of(other), f"profile {other['profile_id']}"
        yield from (("", words) for words in _why_apart(person, other))
    if len(person["refused"]) > MOST_OTHERS:
        yield "", f"and {counted(len(person['refused']) - MOST_OTHERS, 'other person', 'other people')}: see --json"


def _why_apart(person: Row, other: Row) -> Iterator[str]:
    yield from (f"{alike['words']}." for alike in other["alike"])
    yield f"Not joined: {other['why']}."
    for decision in other["decisions"]:
        decided = "one person" if decision["decision"] == "ALWAYS" else "two people"
        undo = f"without IdentityOverride {decision['id']} they would be judged anew"
        yield f"Staff decided that they are {decided}{decision_words(decision)}; {undo}."
    for review in _open(person):
        if review["review_id"] in other["open_review_ids"]:
            yield f"Open question: {review['words']}."
            yield _settling(review)
    if other["settled_by"] and not other["open_review_ids"]:
        yield f"If they are one person after all, add this to the CRM: {row_to_add(other['settled_by'])}"


def _settling(review: Row) -> str:
    return f"{QUESTIONS[ReviewKind(review['kind'])]}: {row_to_add(review['settled_by'])}"


def no_evidence_lines(person: Row) -> Iterator[tuple[str, str]]:
    """The person's values that join nobody."""
    for row in person["no_evidence"]:
        noun = VALUES["email" if row["kind"] == "EMAIL" else "phone_number"]
        yield row["value"], f"{noun}; {row['why']}, so it joins nobody"


def question_lines(person: Row) -> Iterator[tuple[str, str]]:
    """The open questions that are not about somebody who was kept apart."""
    told = {id_ for other in person["refused"] for id_ in other["open_review_ids"]}
    for review in _open(person):
        if review["review_id"] not in told:
            yield "", f"{review['words']}."
            yield "", _settling(review)
    if settled := len(person["reviews"]) - len(_open(person)):
        yield "", f"{counted(settled, 'earlier question')} settled"


def _open(person: Row) -> list[Row]:
    return [review for review in person["reviews"] if review["closed_at"] is None]
