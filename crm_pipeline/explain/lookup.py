"""Lookup of profiles by an email or phone in any spelling, a current or former profile id, or a service's record."""

from typing import Literal, NamedTuple
from uuid import UUID

from crm_pipeline.domain.contact_keys.email_and_name import normalise_email
from crm_pipeline.domain.contact_keys.phone import normalise_phone
from crm_pipeline.explain.formatting import TenantClock
from crm_pipeline.explain.labels import MATCH_KEY_LABELS, format_record_name
from crm_pipeline.explain.lake_reader import PersonRecords, parse_record_key
from crm_pipeline.explain.warehouse_reader import ProfileNotFoundError, PublishedTenant, RecordKey
from crm_pipeline.tables.outputs.identity import profile_ids
from crm_pipeline.vocabulary import ProfileEventType, Service

LookupKind = Literal["email", "phone", "profile", "record"]


class ProfileLookup(NamedTuple):
    """A search for profiles of a tenant by one value."""

    tenant_id: str
    by: LookupKind
    value: str


class LookupResult(NamedTuple):
    """The matching profiles, the value as the tables store it, and the former id that was looked up."""

    profile_ids: list[str]
    value: str
    redirected_from: str | None = None


def find_profiles(question: ProfileLookup, published: PublishedTenant, people: PersonRecords) -> LookupResult:
    """Returns the profiles that match a lookup.

    Raises:
        ProfileNotFoundError: no profile matches.
    """
    match question.by:
        case "profile":
            return _find_by_profile_id(question, published, people)
        case "record":
            return _find_by_record(question, published, people)
        case "email":
            column, value = "email", normalise_email(people.read_value("email", question.value) or "")
        case "phone":
            entered = people.read_value("phone_number", question.value) or ""
            column, value = "phone_number", normalise_phone(entered, people.tenant.country_code)
    noun = MATCH_KEY_LABELS[column]
    if value is None:
        raise ProfileNotFoundError(f"{question.value!r} is no {noun} at {question.tenant_id}")
    links = published.links_of_records(people.records_with_value(column, value))
    profile_ids_found = {str(link["profile_id"]) for link in links}
    profile_ids_found |= set(published.profile_ids_with_value(column, value))
    if not profile_ids_found:
        raise ProfileNotFoundError(f"nobody at {question.tenant_id} has the {noun} {value}")
    return LookupResult(sorted(profile_ids_found), value)


def _find_by_profile_id(question: ProfileLookup, published: PublishedTenant, people: PersonRecords) -> LookupResult:
    try:
        profile_id = str(UUID(question.value.strip()))
    except ValueError:
        raise ProfileNotFoundError(f"{question.value!r} is no profile id") from None
    rows = published.rows(profile_ids, profile_ids.c.profile_id == profile_id)
    if not rows:
        raise ProfileNotFoundError(f"no profile of {question.tenant_id} has or had the id {profile_id}")
    if rows[0]["is_live"]:
        return LookupResult([profile_id], profile_id)
    if target := rows[0]["redirects_to"]:
        return LookupResult([target], target, profile_id)
    retirement = _describe_retirement(published, people, profile_id)
    raise ProfileNotFoundError(f"profile {profile_id} of {question.tenant_id} {retirement}")


def _describe_retirement(published: PublishedTenant, people: PersonRecords, profile_id: str) -> str:
    clock = TenantClock(published.as_of, people.tenant.timezone)
    events = published.profile_id_events([profile_id])
    retirements = [event for event in events if event["event_type"] == ProfileEventType.RETIRED]
    if not retirements:
        return "leads to nobody"
    return f"was retired on {clock.format_day(retirements[-1]['occurred_at'])}: {retirements[-1]['reason']}"


def _find_by_record(question: ProfileLookup, published: PublishedTenant, people: PersonRecords) -> LookupResult:
    record = parse_record_key(question.value)
    record_id = record and people.read_value("id", record.record_id, Service(record.service))
    if record is None or record_id is None:
        raise ProfileNotFoundError(
            f"{question.value!r} names no record: say SERVICE:ID, with one of {', '.join(Service)}"
        )
    record = record._replace(record_id=record_id)
    links = published.links_of_records([record])
    if not links:
        raise ProfileNotFoundError(
            f"{question.tenant_id} has no {format_record_name(record)}{_describe_quarantine(published, record)}"
        )
    return LookupResult([str(links[0]["profile_id"])], f"{record.service}:{record.record_id}")


def _describe_quarantine(published: PublishedTenant, record: RecordKey) -> str:
    faults = [f"{row['column_name']} {row['reason']}" for row in published.quarantined_rows([record])]
    return f"; it is set aside: {', '.join(faults)}" if faults else ""
