"""The document of `explain` as a page for people who run a club. Nothing is found out here, only laid out."""

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from textwrap import wrap
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from crm_pipeline.explain.lines import (
    MOST_OTHERS,
    name_of,
    no_evidence_lines,
    question_lines,
    record_of,
    record_words,
    refused_lines,
    who_lines,
)
from crm_pipeline.explain.values import Clock, Row, counted, joined
from crm_pipeline.explain.words import STATUSES
from crm_pipeline.vocabulary import CustomerStatus

MOST_EVENTS = 15
NARROWEST = 40
ASKED: Final = {"email": "the email address", "phone": "the phone number"}


def print_answer(console: Console, answer: Row) -> None:
    """Print one person in full, or everybody who fits, to choose from."""
    page = _Page(console, Clock(datetime.fromisoformat(answer["as_of"]), ZoneInfo(answer["club"]["timezone"])))
    people = answer["people"]
    if len(people) == 1:
        page.person(answer, people[0])
    else:
        page.choice(answer, people)


class _Page:
    def __init__(self, console: Console, clock: Clock) -> None:
        self.console, self.clock = console, clock

    def person(self, answer: Row, person: Row) -> None:
        former = answer["asked"]["redirected_from"]
        if former:
            self.line(f"{former} is a former id: that profile is now part of this one.\n")
        fields, club = person["fields"], answer["club"]
        self.line(name_of(person), style="bold")
        self.line(f"{club['name']}, as of {self.time(answer['as_of'])}, times in {club['timezone']}")
        self.line(f"profile {person['profile_id']}")
        self.section("Who this is", who_lines(fields))
        records = [(record_of(row), record_words(row)) for row in person["records"]]
        title = f"{counted(len(records), 'record')} that {'is' if len(records) == 1 else 'are'} this person"
        weakest = f" ({fields['identity_confidence']['value']:.0%} certain at the weakest link)"
        self.section(f"{title}{weakest if len(records) > 1 else ''}", records)
        self.section("Kept apart from", list(refused_lines(person)))
        self.section("Says nothing about who somebody is", list(no_evidence_lines(person)))
        self.section("Questions for you", list(question_lines(person)))
        self.numbers(person["numbers"])
        self.section("History of the profile id", [("", event["words"]) for event in person["id_history"]["events"]])
        events = person["timeline"]
        shown = [(self.time(event["occurred_at"]), event["summary"]) for event in events[: -MOST_EVENTS - 1 : -1]]
        self.section(f"Latest of {counted(len(events), 'event')}", shown)

    def choice(self, answer: Row, people: Sequence[Row]) -> None:
        asked = answer["asked"]
        self.line(f"{len(people)} people at {answer['club']['name']} have {ASKED[asked['by']]} {asked['value']}:")
        for person in people:
            records = joined(record_of(row) for row in person["records"])
            self.section(name_of(person), [("profile", person["profile_id"]), ("records", records)])
        apart = [
            (f"{name_of(one)} and {name_of(two)}", refused["why"])
            for one, two in combinations(people, 2)
            for refused in one["refused"]
            if refused["profile_id"] == two["profile_id"]
        ]
        self.section("Why they are not one person", apart[:MOST_OTHERS])
        self.section("Says nothing about who somebody is", list(no_evidence_lines(people[0])))
        self.line(f"\nOne of them in full: crm-pipeline explain --tenant {asked['tenant_id']} --profile ID")

    def numbers(self, numbers: Row) -> None:
        engagement, churn = numbers["engagement"], numbers["churn"]
        parts = [
            (f"{part['shown']} of {part['of']:g}", f"{part['name']}: {part['words']}") for part in engagement["parts"]
        ]
        self.section(f"Engagement {engagement['score']} of 100", [*parts, ("together", engagement["words"])])
        terms = [(part["shown"], part["words"]) for part in churn["parts"]]
        score = "no score" if churn["score"] is None else f"{churn['score']} of 100"
        together = [("together" if terms else "", churn["words"])]
        self.section(f"Churn risk: {score}", [("", f"This is {churn['basis_words']}."), *terms, *together])
        stage, status = numbers["lifecycle_stage"], numbers["status"]
        stage_rule = f"{stage['stage'].capitalize()} ({stage['rule']}): {stage['because']}"
        self.section(
            "Standing and numbers",
            [
                ("Stage", stage_rule),
                ("Status", f"{STATUSES[CustomerStatus(status['status'])]}: {status['because']}"),
                ("Activities, 30 days", numbers["activity_count_30d"]["words"]),
                ("Bookings, 30 days", numbers["booking_count_30d"]["words"]),
                ("Last activity", numbers["last_activity_at"]["words"]),
                ("Lifetime value", numbers["lifetime_value"]["words"]),
                ("Next 12 months", numbers["predicted_value_12m"]["words"]),
            ],
        )

    def section(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        if not rows:
            return
        self.line(f"\n{title}", style="bold")
        labels = max(len(label) for label, _ in rows)
        indent = " " * (labels + 4 if labels else 2)
        for label, words in rows:
            width = max(self.console.width - len(indent), NARROWEST)
            first, *more = wrap(words, width, break_long_words=False, break_on_hyphens=False) or [""]
            self.line(f"{f'  {label}':<{len(indent)}}{first}".rstrip())
            for words_left in more:
                self.line(indent + words_left)

    def line(self, words: str, style: str | None = None) -> None:
        self.console.print(Text(words), style=style, soft_wrap=True)

    def time(self, stored: str) -> str:
        local = datetime.fromisoformat(stored).astimezone(self.clock.zone)
        return f"{self.clock.day(local)} {local:%H:%M}"
