"""One person as a document: every field with its origin, records, refusals, id history, numbers and events.

Keys are those of the tables and stay; `words` beside a fact says it as the page does. A subject-access export adds
`holdings`.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from crm_pipeline.explain import score_reasons, stage_reasons
from crm_pipeline.explain.formatting import Clock, Row
from crm_pipeline.explain.lake_reader import KnownPeople
from crm_pipeline.explain.non_matches import refusals
from crm_pipeline.explain.sentences import life_words, link_words, review_words
from crm_pipeline.explain.shared_values import Side, keys_of, place
from crm_pipeline.explain.warehouse_reader import Key, Published
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.vocabulary import EventType, ReviewKind, Service

PRIMARY: Final = {
    "scl_member_id": Service.SCL,
    "teetime_player_id": Service.TEETIME,
    "messaging_contact_id": Service.MESSAGING,
}
OPT_INS: Final = ("email_opt_in", "sms_opt_in", "push_opt_in", "whatsapp_opt_in")
SHARED_KINDS: Final = {"EMAIL": ("email", "email_is_shared"), "PHONE": ("phone_number", "phone_is_shared")}


def describe(published: Published, people: KnownPeople, profile_id: str) -> Row:
    """The whole document of one live profile."""
    clock = Clock(published.as_of, ZoneInfo(people.club.timezone))
    (profile,) = published.profiles([profile_id])
    links = keys_of(published.links(profile_id))
    own = Side(profile_id, links, people.people(links))
    held, decisions = people.held(links), people.decisions(links)
    values = {(kind, row[column]) for row in own.people.values() for kind, (column, _) in SHARED_KINDS.items()}
    reviews = published.reviews(links, [value for value in values if value[1]])
    events = published.timeline(profile_id)
    return {
        "profile_id": profile_id,
        "display_name": profile["display_name"],
        "fields": _fields(profile, held, events),
        "records": _records(published, own, held, decisions),
        "refused": refusals(published, people, own, reviews, decisions),
        "no_evidence": _no_evidence(own, reviews),
        "reviews": [review | {"words": review_words(review)} for review in reviews],
        "decisions": decisions,
        "id_history": _history(published, profile_id, clock),
        "numbers": _numbers(published, profile, events, clock, held),
        "timeline": events,
    }


def _fields(profile: Row, held: Mapping[Key, Row], events: Sequence[Row]) -> dict[str, Row]:
    return {
        column.name: {"value": profile[column.name], "origin": _origin(column.name, profile, held, events)}
        for column in customer_profiles.columns
    }


def _origin(name: str, profile: Row, held: Mapping[Key, Row], events: Sequence[Row]) -> Row:
    """Where a field's value came from: records of services, a calculation, or nowhere where there is no value."""
    sources = profile["field_sources"]
    if name in sources:
        found = [sources[name]] if sources[name] else []
    elif name == "display_name":
        parts = [sources[part] for part in ("first_name", "last_name") if sources[part]]
        found = parts or [source for source in (sources["email"], sources["phone_number"]) if source][:1]
    elif name in PRIMARY:
        found = [f"{PRIMARY[name]}:{profile[name]}"] if profile[name] is not None else []
    elif name in OPT_INS:
        contacts = {key: row for key, row in held.items() if key.service == Service.MESSAGING}
        found = [f"{key.service}:{key.record_id}" for key, row in contacts.items() if row[name] == profile[name]]
    elif name == "tags":
        tagged = [event for event in events if event["event_type"] == EventType.TAG_ADDED]
        found = [f"CRM:ProfileTag:{e['service_record_id']}" for e in tagged if e["details"]["tag"] in profile["tags"]]
    else:
        return {"kind": "calculated", "records": []}
    return {"kind": "records" if found else "none", "records": list(dict.fromkeys(found))}


def _records(published: Published, own: Side, held: Mapping[Key, Row], decisions: Sequence[Row]) -> list[Row]:
    faults = published.set_aside(own.links)
    order = sorted(own.links, key=lambda key: (own.links[key]["linked_to_service"] is not None, place(key)))
    return [
        own.links[key]
        | {
            "words": link_words(own.links[key], own.people.get(key), decisions),
            "held": held.get(key),
            "set_aside": [fault for fault in faults if (fault["service"], fault["service_record_id"]) == key],
        }
        for key in order
    ]


def _no_evidence(own: Side, reviews: Sequence[Row]) -> list[Row]:
    """Values of this person that too many others have, or that are suppressed, and so link nobody."""
    shared = [review for review in reviews if review["kind"] == ReviewKind.SHARED and review["closed_at"] is None]
    crowded = {review["witness"]["value"] for review in shared}
    found = {
        (kind, own.people[key][column])
        for kind, (column, flag) in SHARED_KINDS.items()
        for key in own.people
        if own.links[key][flag]
    }
    why = {True: "too many records have it", False: "the club has listed it"}
    return [{"kind": kind, "value": value, "why": why[value in crowded]} for kind, value in sorted(found)]


def _history(published: Published, profile_id: str, clock: Clock) -> Row:
    ids = published.ids(profile_id)
    events = published.life_of([row["profile_id"] for row in ids])
    return {"ids": ids, "events": [event | {"words": life_words(event, clock)} for event in events]}


def _numbers(published: Published, profile: Row, events: Sequence[Row], clock: Clock, held: Mapping[Key, Row]) -> Row:
    member = held.get(Key(Service.SCL, str(profile["scl_member_id"])))
    referrals = [event for event in events if event["event_type"] == EventType.REFERRAL]
    referred = published.last_transactions([event["details"]["referred_profile_id"] for event in referrals])
    risk = score_reasons.churn(profile)
    return {
        "engagement": score_reasons.engagement(profile, events, clock),
        "churn": risk,
        "lifetime_value": score_reasons.lifetime_value(profile, events),
        "predicted_value_12m": score_reasons.predicted_value(
            profile, risk, member["yearly_fee_cents"] if member else None
        ),
        **score_reasons.counts(profile, events, clock),
        "lifecycle_stage": stage_reasons.stage(profile, events, clock, member, referred),
        "status": stage_reasons.status(profile, clock),
    }
