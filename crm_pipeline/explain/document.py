"""The document of one profile: fields with their origin, records, non-matches, id history, numbers and events.

Keys are the column names of the tables and do not change; `words` next to a fact is its text on the page.
`explain_profiles` adds `held_rows`, the subject-access export.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from crm_pipeline.domain.identity.match_keys import MATCH_KEY_COLUMNS
from crm_pipeline.explain import score_reasons, stage_reasons
from crm_pipeline.explain.formatting import Row, TenantClock
from crm_pipeline.explain.lake_reader import PersonRecords
from crm_pipeline.explain.non_matches import find_non_matches
from crm_pipeline.explain.sentences import describe_link, describe_profile_event, describe_review
from crm_pipeline.explain.shared_values import ComparedProfile, index_links_by_record, to_sort_key
from crm_pipeline.explain.warehouse_reader import PublishedTenant, RecordKey
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.vocabulary import EventType, ReviewKind, Service

PRIMARY_ID_SERVICES: Final = {
    "scl_member_id": Service.SCL,
    "teetime_player_id": Service.TEETIME,
    "messaging_contact_id": Service.MESSAGING,
}
OPT_IN_COLUMNS: Final = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
SHARED_VALUE_COLUMNS: Final = {"EMAIL": ("email", "email_is_shared"), "PHONE": ("phone_number", "phone_is_shared")}


def build_profile_document(published: PublishedTenant, people: PersonRecords, profile_id: str) -> Row:
    """Returns the whole document of one live profile."""
    clock = TenantClock(published.as_of, people.tenant.timezone)
    (profile,) = published.profiles([profile_id])
    links = index_links_by_record(published.links_of_profile(profile_id))
    own = ComparedProfile(profile_id, links, people.comparison_rows(links))
    service_rows, decisions = people.service_rows(links), people.decisions(links)
    values = {(kind, row[column]) for row in own.comparison_rows.values() for kind, column in MATCH_KEY_COLUMNS.items()}
    reviews = published.reviews(links, [value for value in values if value[1]])
    events = published.timeline(profile_id)
    withheld = people.withheld_contacts([str(row["profile_id"]) for row in published.profile_id_rows(profile_id)])
    return {
        "profile_id": profile_id,
        "display_name": profile["display_name"],
        "fields": build_fields(profile, service_rows, events, withheld),
        "records": _build_records(published, own, service_rows, decisions),
        "refused": find_non_matches(published, people, own, reviews, decisions),
        "no_evidence": _find_excluded_keys(own, reviews),
        "reviews": [review | {"words": describe_review(review)} for review in reviews],
        "decisions": decisions,
        "id_history": _build_id_history(published, profile_id, clock),
        "numbers": _build_numbers(published, people, profile, events, clock, service_rows),
        "timeline": events,
    }


def build_fields(
    profile: Row, service_rows: Mapping[RecordKey, Row], events: Sequence[Row], withheld: Sequence[RecordKey]
) -> dict[str, Row]:
    """Returns the value and the origin of every column of the profile; `withheld` are contacts that are set aside."""
    answers = {key: row for key, row in service_rows.items() if key.service == Service.MESSAGING}
    # A contact that is set aside agrees to nothing.
    answers |= {key: dict.fromkeys(OPT_IN_COLUMNS, False) for key in withheld}
    return {
        column.name: {
            "value": profile[column.name],
            "origin": _find_field_origin(column.name, profile, answers, events),
        }
        for column in customer_profiles.columns
    }


def _find_field_origin(name: str, profile: Row, answers: Mapping[RecordKey, Row], events: Sequence[Row]) -> Row:
    """Returns the origin of a field's value: `records` of services, `calculated`, or `none` without a value.

    `answers` are the opt-ins of the profile's contacts.
    """
    sources = profile["field_sources"]
    if name in sources:
        records = [sources[name]] if sources[name] else []
    elif name == "display_name":
        parts = [sources[part] for part in ("first_name", "last_name") if sources[part]]
        records = parts or [source for source in (sources["email"], sources["phone_number"]) if source][:1]
    elif name in PRIMARY_ID_SERVICES:
        records = [f"{PRIMARY_ID_SERVICES[name]}:{profile[name]}"] if profile[name] is not None else []
    elif name in OPT_IN_COLUMNS:
        records = [f"{key.service}:{key.record_id}" for key, row in answers.items() if row[name] == profile[name]]
    elif name == "tags":
        tagged = [event for event in events if event["event_type"] == EventType.TAG_ADDED]
        records = [f"CRM:ProfileTag:{e['service_record_id']}" for e in tagged if e["details"]["tag"] in profile["tags"]]
    else:
        return {"kind": "calculated", "records": []}
    return {"kind": "records" if records else "none", "records": list(dict.fromkeys(records))}


def _build_records(
    published: PublishedTenant, own: ComparedProfile, service_rows: Mapping[RecordKey, Row], decisions: Sequence[Row]
) -> list[Row]:
    faults = published.quarantined_rows(own.links)
    order = sorted(own.links, key=lambda key: (own.links[key]["linked_to_service"] is not None, to_sort_key(key)))
    return [
        own.links[key]
        | {
            "words": describe_link(own.links[key], own.comparison_rows.get(key), decisions),
            "held": service_rows.get(key),
            "set_aside": [fault for fault in faults if (fault["service"], fault["service_record_id"]) == key],
        }
        for key in order
    ]


def _find_excluded_keys(own: ComparedProfile, reviews: Sequence[Row]) -> list[Row]:
    """Returns the profile's values that link nothing: too many records have them, or the tenant suppressed them."""
    shared = [review for review in reviews if review["kind"] == ReviewKind.SHARED and review["closed_at"] is None]
    overused_values = {review["witness"]["value"] for review in shared}
    excluded = {
        (kind, own.comparison_rows[key][column])
        for kind, (column, flag) in SHARED_VALUE_COLUMNS.items()
        for key in own.comparison_rows
        if own.links[key][flag]
    }
    reasons = {True: "too many records have it", False: "the club has listed it"}
    return [
        {"kind": kind, "value": value, "why": reasons[value in overused_values]} for kind, value in sorted(excluded)
    ]


def _build_id_history(published: PublishedTenant, profile_id: str, clock: TenantClock) -> Row:
    id_rows = published.profile_id_rows(profile_id)
    events = published.profile_id_events([row["profile_id"] for row in id_rows])
    return {"ids": id_rows, "events": [event | {"words": describe_profile_event(event, clock)} for event in events]}


def _build_numbers(
    published: PublishedTenant,
    people: PersonRecords,
    profile: Row,
    events: Sequence[Row],
    clock: TenantClock,
    service_rows: Mapping[RecordKey, Row],
) -> Row:
    member = service_rows.get(RecordKey(Service.SCL, str(profile["scl_member_id"])))
    if member:
        ended_at = member["ended_at"] or people.first_ended_at(member["id"]) or member["updated_at"]
        member = member | {"contract_ended_at": ended_at}
    referrals = [event for event in events if event["event_type"] == EventType.REFERRAL]
    referred = published.last_transactions(
        [event["details"]["referred_profile_id"] for event in referrals], clock.start_of_day()
    )
    risk = score_reasons.explain_churn(profile)
    return {
        "engagement": score_reasons.explain_engagement(profile, events, clock),
        "churn": risk,
        "lifetime_value": score_reasons.explain_lifetime_value(profile, events),
        "predicted_value_12m": score_reasons.explain_predicted_value(
            profile, risk, member["yearly_fee_cents"] if member else None
        ),
        **score_reasons.explain_counts(profile, events, clock),
        "lifecycle_stage": stage_reasons.explain_stage(profile, events, clock, member, referred),
        "status": stage_reasons.explain_status(profile, clock),
    }
