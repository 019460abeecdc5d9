"""Finding who is meant: an email or phone in any spelling, a profile id old or new, or a record of a service."""

from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from crm_pipeline.domain.contact_keys.email_and_name import normalise_email
from crm_pipeline.domain.contact_keys.phone import normalise_phone
from crm_pipeline.explain.formatting import TenantClock
from crm_pipeline.explain.labels import format_record_name
from crm_pipeline.explain.lake_reader import PersonRecords, parse_record_key
from crm_pipeline.explain.warehouse_reader import PublishedTenant, RecordKey
from crm_pipeline.tables.outputs.identity import profile_ids
from crm_pipeline.vocabulary import ProfileEventType, Service

LookupKind = Literal["email", "phone", "profile", "record"]


class ProfileNotFoundError(Exception):
    """The question fits nobody; the message says why in one line."""


class ProfileLookup(NamedTuple):
    """Who somebody at a club is, known by one thing."""

    tenant_id: str
    by: LookupKind
    value: str


class LookupResult(NamedTuple):
    """The profiles that fit, the value in the form the tables hold it, and the former id that was asked for."""

    profile_ids: list[str]
    value: str
    redirected_from: str | None = None


def find_profiles(question: ProfileLookup, published: PublishedTenant, people: PersonRecords) -> LookupResult:
    """The profiles a question is about.

    Raises:
        NothingFoundError: there is none.
    """
    match question.by:
        case "email":
            return _find_by_contact(
                "email", "email address", normalise_email(question.value), question, published, people
            )
        case "phone":
            value = normalise_phone(question.value, people.club.country_code)
            return _find_by_contact("phone_number", "phone number", value, question, published, people)
        case "profile":
            return _find_by_profile_id(question, published, people)
        case "record":
            return _find_by_record(question, published)


def _find_by_contact(
    column: str,
    noun: str,
    value: str | None,
    question: ProfileLookup,
    published: PublishedTenant,
    people: PersonRecords,
) -> LookupResult:
    if value is None:
        raise ProfileNotFoundError(f"{question.value!r} is no {noun} at {question.tenant_id}")
    carriers = published.links_of(people.having(column, value))
    profiles = {str(link["profile_id"]) for link in carriers} | set(published.profiles_with(column, value))
    if not profiles:
        raise ProfileNotFoundError(f"nobody at {question.tenant_id} has the {noun} {value}")
    return LookupResult(sorted(profiles), value)


def _find_by_profile_id(question: ProfileLookup, published: PublishedTenant, people: PersonRecords) -> LookupResult:
    try:
        asked = str(UUID(question.value.strip()))
    except ValueError:
        raise ProfileNotFoundError(f"{question.value!r} is no profile id") from None
    known = published.rows(profile_ids, profile_ids.c.profile_id == asked)
    if not known:
        raise ProfileNotFoundError(f"no profile of {question.tenant_id} has or had the id {asked}")
    if known[0]["is_live"]:
        return LookupResult([asked], asked)
    if target := known[0]["redirects_to"]:
        return LookupResult([target], target, asked)
    raise ProfileNotFoundError(
        f"profile {asked} of {question.tenant_id} {_describe_retirement(published, people, asked)}"
    )


def _describe_retirement(published: PublishedTenant, people: PersonRecords, profile_id: str) -> str:
    clock = TenantClock(published.as_of, ZoneInfo(people.club.timezone))
    ends = [event for event in published.life_of([profile_id]) if event["event_type"] == ProfileEventType.RETIRED]
    return f"was retired on {clock.day(ends[-1]['occurred_at'])}: {ends[-1]['reason']}" if ends else "leads to nobody"


def _find_by_record(question: ProfileLookup, published: PublishedTenant) -> LookupResult:
    record = parse_record_key(question.value)
    if record is None:
        raise ProfileNotFoundError(
            f"{question.value!r} names no record: say SERVICE:ID, with one of {', '.join(Service)}"
        )
    links = published.links_of([record])
    if not links:
        raise ProfileNotFoundError(
            f"{question.tenant_id} has no {format_record_name(record)}{_describe_quarantine(published, record)}"
        )
    return LookupResult([str(links[0]["profile_id"])], f"{record.service}:{record.record_id}")


def _describe_quarantine(published: PublishedTenant, record: RecordKey) -> str:
    faults = [f"{row['column_name']} {row['reason']}" for row in published.set_aside([record])]
    return f"; it is set aside: {', '.join(faults)}" if faults else ""
