"""Finding who is meant: an email or phone in any spelling, a profile id old or new, or a record of a service."""

from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from crm_pipeline.domain.contact_keys.email_and_name import normalise_email
from crm_pipeline.domain.contact_keys.phone import normalise_phone
from crm_pipeline.explain.formatting import Clock
from crm_pipeline.explain.labels import record_name
from crm_pipeline.explain.lake_reader import KnownPeople, record_named
from crm_pipeline.explain.warehouse_reader import Key, Published
from crm_pipeline.tables.outputs.identity import profile_ids
from crm_pipeline.vocabulary import ProfileEventType, Service

By = Literal["email", "phone", "profile", "record"]


class NothingFoundError(Exception):
    """The question fits nobody; the message says why in one line."""


class Question(NamedTuple):
    """Who somebody at a club is, known by one thing."""

    tenant_id: str
    by: By
    value: str


class Found(NamedTuple):
    """The profiles that fit, the value in the form the tables hold it, and the former id that was asked for."""

    profile_ids: list[str]
    value: str
    redirected_from: str | None = None


def find(question: Question, published: Published, people: KnownPeople) -> Found:
    """The profiles a question is about.

    Raises:
        NothingFoundError: there is none.
    """
    match question.by:
        case "email":
            return _by_key("email", "email address", normalise_email(question.value), question, published, people)
        case "phone":
            value = normalise_phone(question.value, people.club.country_code)
            return _by_key("phone_number", "phone number", value, question, published, people)
        case "profile":
            return _by_profile(question, published, people)
        case "record":
            return _by_record(question, published)


def _by_key(
    column: str, noun: str, value: str | None, question: Question, published: Published, people: KnownPeople
) -> Found:
    if value is None:
        raise NothingFoundError(f"{question.value!r} is no {noun} at {question.tenant_id}")
    carriers = published.links_of(people.having(column, value))
    profiles = {str(link["profile_id"]) for link in carriers} | set(published.profiles_with(column, value))
    if not profiles:
        raise NothingFoundError(f"nobody at {question.tenant_id} has the {noun} {value}")
    return Found(sorted(profiles), value)


def _by_profile(question: Question, published: Published, people: KnownPeople) -> Found:
    try:
        asked = str(UUID(question.value.strip()))
    except ValueError:
        raise NothingFoundError(f"{question.value!r} is no profile id") from None
    known = published.rows(profile_ids, profile_ids.c.profile_id == asked)
    if not known:
        raise NothingFoundError(f"no profile of {question.tenant_id} has or had the id {asked}")
    if known[0]["is_live"]:
        return Found([asked], asked)
    if target := known[0]["redirects_to"]:
        return Found([target], target, asked)
    raise NothingFoundError(f"profile {asked} of {question.tenant_id} {_retired(published, people, asked)}")


def _retired(published: Published, people: KnownPeople, profile_id: str) -> str:
    clock = Clock(published.as_of, ZoneInfo(people.club.timezone))
    ends = [event for event in published.life_of([profile_id]) if event["event_type"] == ProfileEventType.RETIRED]
    return f"was retired on {clock.day(ends[-1]['occurred_at'])}: {ends[-1]['reason']}" if ends else "leads to nobody"


def _by_record(question: Question, published: Published) -> Found:
    record = record_named(question.value)
    if record is None:
        raise NothingFoundError(f"{question.value!r} names no record: say SERVICE:ID, with one of {', '.join(Service)}")
    links = published.links_of([record])
    if not links:
        raise NothingFoundError(f"{question.tenant_id} has no {record_name(record)}{_why_not(published, record)}")
    return Found([str(links[0]["profile_id"])], f"{record.service}:{record.record_id}")


def _why_not(published: Published, record: Key) -> str:
    faults = [f"{row['column_name']} {row['reason']}" for row in published.set_aside([record])]
    return f"; it is set aside: {', '.join(faults)}" if faults else ""
