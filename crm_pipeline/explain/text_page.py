"""The text page of an `explain` document, for club staff."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import combinations
from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.text import Text

from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.explain.formatting import Row, TenantClock, format_count, join_words
from crm_pipeline.explain.labels import (
    MATCH_KEY_LABELS,
    format_crm_row,
    format_record_name,
    format_review_instruction,
)
from crm_pipeline.explain.sentences import describe_decision
from crm_pipeline.explain.warehouse_reader import RecordKey
from crm_pipeline.tables.columns import to_snake_case

MAX_EVENTS = 15
MAX_NON_MATCHES = 10
MIN_TEXT_WIDTH = 40
LOOKUP_LABELS: Final = {"email": "the email address", "phone": "the phone number"}
FIELD_LABELS: Final = {
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


def print_answer(console: Console, answer: Row) -> None:
    """Prints the whole page of one profile, or a list to choose from if several match."""
    page = _Page(console, TenantClock(datetime.fromisoformat(answer["as_of"]), answer["club"]["timezone"]))
    people = answer["people"]
    if len(people) == 1:
        page.print_person(answer, people[0])
    else:
        page.print_choice(answer, people)


class _Page:
    """Sections of text, printed on a console, with times in the tenant's time zone."""

    def __init__(self, console: Console, clock: TenantClock) -> None:
        self.console, self.clock = console, clock

    def print_person(self, answer: Row, person: Row) -> None:
        self.print_heading(answer, person)
        self.print_section("Who this is", build_field_lines(person))
        self.print_records(person)
        self.print_section("Kept apart from", list(build_non_match_lines(person)))
        self.print_section("Says nothing about who somebody is", list(build_excluded_key_lines(person)))
        self.print_section("Questions for you", list(build_open_review_lines(person)))
        self.print_numbers(person["numbers"])
        self.print_section(
            "History of the profile id", [("", event["words"]) for event in person["id_history"]["events"]]
        )
        events = person["timeline"]
        shown = [(self.format_time(event["occurred_at"]), event["summary"]) for event in events[: -MAX_EVENTS - 1 : -1]]
        self.print_section(f"Latest of {format_count(len(events), 'event')}", shown)

    def print_heading(self, answer: Row, person: Row) -> None:
        former = answer["asked"]["redirected_from"]
        if former:
            self.print_line(f"{former} is a former id: that profile is now part of this one.")
            self.console.print()
        club = answer["club"]
        self.print_line(format_display_name(person), style="bold")
        self.print_line(f"{club['name']}, as of {self.format_time(answer['as_of'])}, times in {club['timezone']}")
        self.print_line(f"profile {person['profile_id']}")

    def print_records(self, person: Row) -> None:
        records = [(format_linked_record(row), describe_record(row)) for row in person["records"]]
        title = f"{format_count(len(records), 'record')} that {'is' if len(records) == 1 else 'are'} this person"
        confidence = person["fields"]["identity_confidence"]["value"]
        weakest = f" ({confidence:.0%} certain at the weakest link)"
        self.print_section(f"{title}{weakest if len(records) > 1 else ''}", records)

    def print_choice(self, answer: Row, people: Sequence[Row]) -> None:
        asked = answer["asked"]
        self.print_line(
            f"{len(people)} people at {answer['club']['name']} have {LOOKUP_LABELS[asked['by']]} {asked['value']}:"
        )
        for person in people:
            records = join_words(format_linked_record(row) for row in person["records"])
            self.print_section(format_display_name(person), [("profile", person["profile_id"]), ("records", records)])
        reasons = [
            (f"{format_display_name(one)} and {format_display_name(two)}", non_match["why"])
            for one, two in combinations(people, 2)
            for non_match in one["refused"]
            if non_match["profile_id"] == two["profile_id"]
        ]
        self.print_section("Why they are not one person", reasons[:MAX_NON_MATCHES])
        self.print_section("Says nothing about who somebody is", list(build_excluded_key_lines(people[0])))
        self.console.print()
        self.print_line(f"One of them in full: crm-pipeline explain --tenant {asked['tenant_id']} --profile ID")

    def print_numbers(self, numbers: Row) -> None:
        engagement, churn = numbers["engagement"], numbers["churn"]
        parts = [
            (f"{part['shown']} of {part['of']:g}", f"{part['name']}: {part['words']}") for part in engagement["parts"]
        ]
        self.print_section(f"Engagement {engagement['score']} of 100", [*parts, ("together", engagement["words"])])
        terms = [(part["shown"], part["words"]) for part in churn["parts"]]
        score = "no score" if churn["score"] is None else f"{churn['score']} of 100"
        together = [("together" if terms else "", churn["words"])]
        self.print_section(f"Churn risk: {score}", [("", f"This is {churn['basis_words']}."), *terms, *together])
        self.print_standing(numbers)

    def print_standing(self, numbers: Row) -> None:
        stage, status = numbers["lifecycle_stage"], numbers["status"]
        stage_rule = f"{stage['stage'].capitalize()} ({stage['rule']}): {stage['because']}"
        self.print_section(
            "Standing and numbers",
            [
                ("Stage", stage_rule),
                ("Status", f"{status['name']}: {status['because']}"),
                ("Activities, 30 days", numbers["activity_count_30d"]["words"]),
                ("Bookings, 30 days", numbers["booking_count_30d"]["words"]),
                ("Last activity", numbers["last_activity_at"]["words"]),
                ("Lifetime value", numbers["lifetime_value"]["words"]),
                ("Next 12 months", numbers["predicted_value_12m"]["words"]),
            ],
        )

    def print_section(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        if not rows:
            return
        self.console.print()
        self.print_line(title, style="bold")
        rows = [(escape_invisible_characters(label), escape_invisible_characters(words)) for label, words in rows]
        label_width = max(len(label) for label, _ in rows)
        indent = " " * (label_width + 4 if label_width else 2)
        for label, words in rows:
            width = max(self.console.width - len(indent), MIN_TEXT_WIDTH)
            first, *more = wrap(words, width, break_long_words=False, break_on_hyphens=False) or [""]
            self.print_line(f"{f'  {label}':<{len(indent)}}{first}".rstrip())
            for continuation in more:
                self.print_line(indent + continuation)

    def print_line(self, words: str, style: str | None = None) -> None:
        self.console.print(Text(escape_invisible_characters(words)), style=style, soft_wrap=True)

    def format_time(self, stored: str) -> str:
        return self.clock.format_time(datetime.fromisoformat(stored))


def format_display_name(person: Row) -> str:
    """Returns the display name of a person, or a placeholder without one."""
    return person["display_name"] or "Nameless"


def format_linked_record(row: Row) -> str:
    """Returns the name of a linked record."""
    return format_record_name(RecordKey(row["service"], row["service_record_id"]))


def build_field_lines(person: Row) -> list[tuple[str, str]]:
    """Returns the label and text of every field with a value, each text with its origin."""
    fields, linked = person["fields"], {(row["service"], row["service_record_id"]) for row in person["records"]}
    shown = []
    for name, label in FIELD_LABELS.items():
        value, origin = fields[name]["value"], fields[name]["origin"]
        if value is None or value == []:
            continue
        source = _format_origin(origin["records"], linked)
        if name.endswith("_opt_in"):
            source = source or "nothing in Messaging says so"
        shown.append((label, _format_field_value(name, value), source))
    width = max((len(words) for _, words, _ in shown), default=0)
    return [(label, f"{words:<{width}}  {source}".rstrip()) for label, words, source in shown]


def _format_field_value(name: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return join_words(value)
    return str(value).lower() if name == "membership_status" else str(value)


def _format_origin(records: Iterable[str], linked: Collection[tuple[str, str]]) -> str:
    names = []
    for service, id_ in (record.split(":", 1) for record in records):
        if id_.startswith("ProfileTag:"):
            names.append("a tag in the CRM")
            continue
        # A record that is set aside links no more, but a contact's consent is withheld because of it.
        aside = "" if (service, id_) in linked else " (set aside)"
        names.append(f"{format_record_name(RecordKey(service, id_))}{aside}")
    return f"from {join_words(dict.fromkeys(names))}" if names else ""


def describe_record(row: Row) -> str:
    """Returns why a record is linked, its name and contact values, and its quarantined columns."""
    service_row = row["held"] or {}
    name = " ".join(filter(None, (service_row.get("first_name"), service_row.get("last_name"))))
    values = [name, service_row.get("email"), service_row.get("phone_number")]
    columns = (to_snake_case(fault["column_name"]).replace("_", " ") for fault in row["set_aside"])
    faults = [f"its {column} is set aside as unusable" for column in columns]
    return "; ".join([row["words"], ", ".join(value.strip() for value in values if value and value.strip()), *faults])


def build_non_match_lines(person: Row) -> Iterator[tuple[str, str]]:
    """Yields the label and text of each profile that was not merged with the person, and why."""
    for other in person["refused"][:MAX_NON_MATCHES]:
        yield format_display_name(other), f"profile {other['profile_id']}"
        yield from (("", words) for words in _build_reason_lines(person, other))
    if (more := len(person["refused"]) - MAX_NON_MATCHES) > 0:
        yield "", f"and {format_count(more, 'other person', 'other people')}: see --json"


def _build_reason_lines(person: Row, other: Row) -> Iterator[str]:
    yield from (f"{alike['words']}." for alike in other["alike"])
    yield f"Not joined: {other['why']}."
    for decision in other["decisions"]:
        decided = "one person" if decision["decision"] == "ALWAYS" else "two people"
        undo = f"without IdentityOverride {decision['id']} they would be judged anew"
        yield f"Staff decided that they are {decided}{describe_decision(decision)}; {undo}."
    for review in _list_open_reviews(person):
        if review["review_id"] in other["open_review_ids"]:
            yield f"Open question: {review['words']}."
            yield format_review_instruction(review)
    if other["settled_by"] and not other["open_review_ids"]:
        yield f"If they are one person after all, add this to the CRM: {format_crm_row(other['settled_by'])}"


def build_excluded_key_lines(person: Row) -> Iterator[tuple[str, str]]:
    """Yields each value of the person that links nothing, with the reason."""
    for row in person["no_evidence"]:
        noun = MATCH_KEY_LABELS["email" if row["kind"] == "EMAIL" else "phone_number"]
        yield row["value"], f"{noun}; {row['why']}, so it joins nobody"


def build_open_review_lines(person: Row) -> Iterator[tuple[str, str]]:
    """Yields the open reviews that no non-match shows, and the number of settled ones."""
    reported_ids = {id_ for other in person["refused"] for id_ in other["open_review_ids"]}
    for review in _list_open_reviews(person):
        if review["review_id"] not in reported_ids:
            yield "", f"{review['words']}."
            yield "", format_review_instruction(review)
    if settled := len(person["reviews"]) - len(_list_open_reviews(person)):
        yield "", f"{format_count(settled, 'earlier question')} settled"


def _list_open_reviews(person: Row) -> list[Row]:
    return [review for review in person["reviews"] if review["closed_at"] is None]
