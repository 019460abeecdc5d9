"""The CRM's own rows: clubs, suppressed values, notes, tags, campaign interactions and referrals.

A row about a profile needs the id that the pipeline will give it, so such rows exist only for people whose records
are certain to become one profile (`records.are_single_profiles`).
"""

from collections.abc import Sequence
from typing import Final
from uuid import uuid5

import numpy as np
import pyarrow as pa

from crm_pipeline.domain.identity.profile_ids import PROFILE_ID_NAMESPACE
from crm_pipeline.sample.chance import DAY, Flags, Ints, draw_categories, draw_flags, draw_integers
from crm_pipeline.sample.clubs import Club, PeopleBlock
from crm_pipeline.sample.people import People, PersonKind
from crm_pipeline.sample.phones import build_pro_shop_number
from crm_pipeline.sample.records import ServiceRecords
from crm_pipeline.sample.rows import NULL, Columns, EventRows, decode_categories, format_record_ids
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

_NOTE_RATE, _TAG_RATE, _INTERACTION_RATE, _REFERRAL_RATE, _TAG_REMOVAL_RATE = 0.05, 0.06, 0.07, 0.02, 0.2
_NOTES: Final = (
    "Prefers morning tee times.",
    "Asked about lessons.",
    "Left a cap in the clubhouse.",
    "Hosts guests often.",
)
_TAGS: Final = ("vip", "early-bird", "society-organiser", "left-handed")
_INTERACTION_KINDS: Final = ("RESPONDED", "FORM_SUBMITTED", "ENQUIRED", "UNSUBSCRIBED")
_INTERACTION_WEIGHTS: Final = (0.45, 0.2, 0.25, 0.1)
_CAMPAIGN_COUNT: Final = 24


def build_first_profile_id(tenant: str, service: Service, record_id: str) -> str:
    """Returns the id that the pipeline gives a new person, from their first record."""
    return str(uuid5(PROFILE_ID_NAMESPACE, f"{tenant}|{service}|{record_id}|0"))


def build_tenant_columns(clubs: Sequence[Club], updated_at: int) -> Columns:
    """Returns the rows of Tenant."""
    countries = [club.country for club in clubs]
    return {
        "tenant_id": pa.array([club.slug for club in clubs]),
        "name": pa.array([club.name for club in clubs]),
        "country_code": pa.array([country.code for country in countries]),
        "currency": pa.array([country.currency for country in countries]),
        "timezone": pa.array([country.timezone for country in countries]),
        "status": pa.array([club.status.value for club in clubs]),
        "min_confidence": pa.array([club.min_confidence for club in clubs], pa.float64()),
        "updated_at": np.full(len(clubs), updated_at),
    }


def list_suppressing_clubs(clubs: Sequence[Club]) -> Sequence[Club]:
    """Returns every second club: those that have listed their own address and number."""
    return clubs[::2]


def build_suppressed_columns(clubs: Sequence[Club], updated_at: int) -> Columns:
    """Returns the rows of SuppressedIdentifier."""
    listed_clubs = list_suppressing_clubs(clubs)
    kinds, values = ("EMAIL", "PHONE"), [(club.reception_email, _format_pro_shop_number(club)) for club in listed_clubs]
    return {
        "id": format_record_ids(crm.suppressed_identifier, np.arange(2 * len(listed_clubs))),
        "tenant_id": pa.array([club.slug for club in listed_clubs for _ in kinds]),
        "kind": pa.array(kinds * len(listed_clubs)),
        "value": pa.array([value for pair in values for value in pair], pa.string()),
        "reason": "The club's own.",
        "updated_at": np.full(2 * len(listed_clubs), updated_at),
    }


def _format_pro_shop_number(club: Club) -> str:
    return f"+{club.country.calling_code}{build_pro_shop_number(club.country)}"


def draw_office_events(
    block: PeopleBlock, people: People, records: Sequence[ServiceRecords], acquired_at: Ints, is_single_profile: Flags
) -> list[EventRows]:
    """Returns notes, tags, campaign interactions and referrals of the people who are one profile each."""
    is_single_profile = is_single_profile & (acquired_at < block.until - DAY)
    since = np.maximum(acquired_at, block.history_start)
    note_persons, tag_persons, interaction_persons = (
        np.flatnonzero(is_single_profile & draw_flags(block.rng, share, block.count))
        for share in (_NOTE_RATE, _TAG_RATE, _INTERACTION_RATE)
    )
    referrer, referred = _draw_referrals(block, people, since, is_single_profile)
    return [
        _draw_notes(block, note_persons, _build_profile_ids(block, records, note_persons), since),
        _draw_tags(block, tag_persons, _build_profile_ids(block, records, tag_persons), since),
        _draw_interactions(block, interaction_persons, _build_profile_ids(block, records, interaction_persons), since),
        EventRows(
            crm.referral,
            referrer,
            {
                "referrer_profile_id": _build_profile_ids(block, records, referrer),
                "referred_profile_id": _build_profile_ids(block, records, referred),
                "occurred_at": since[referred],
                "updated_at": since[referred],
            },
        ),
    ]


def _build_profile_ids(block: PeopleBlock, records: Sequence[ServiceRecords], persons: Ints) -> pa.Array:
    """Returns the ids the pipeline will give people, from their first record in the first service that has one."""
    profile_ids = []
    for person in persons.tolist():
        anchor = next(each for each in records if each.first_number[person] != NULL)
        record_ids = format_record_ids(anchor.table, anchor.first_number[person : person + 1])
        profile_ids.append(build_first_profile_id(block.club.slug, anchor.service, str(record_ids[0])))
    return pa.array(profile_ids, pa.string())


def _draw_referrals(block: PeopleBlock, people: People, since: Ints, is_single_profile: Flags) -> tuple[Ints, Ints]:
    """Returns pairs of a member and a casual golfer whom the club met after the member."""
    referred = np.flatnonzero(
        is_single_profile & people.are_of_kind(PersonKind.CASUAL) & draw_flags(block.rng, _REFERRAL_RATE, block.count)
    )
    members = np.flatnonzero(is_single_profile & people.are_of_kind(PersonKind.MEMBER))
    if not len(members):
        return referred[:0], referred[:0]
    referrer = block.rng.choice(members, len(referred))
    is_later = since[referrer] < since[referred]
    return referrer[is_later], referred[is_later]


def _draw_notes(block: PeopleBlock, person: Ints, profile: pa.Array, since: Ints) -> EventRows:
    rng, count = block.rng, len(person)
    at = draw_integers(rng, since[person], block.until, count)
    columns = {"profile_id": profile, "body": decode_categories(_NOTES, rng.integers(len(_NOTES), size=count))}
    return EventRows(crm.note, person, columns | {"author_id": "staff-1", "created_at": at, "updated_at": at})


def _draw_tags(block: PeopleBlock, person: Ints, profile: pa.Array, since: Ints) -> EventRows:
    rng, count = block.rng, len(person)
    at = draw_integers(rng, since[person], block.until, count)
    removed_at = np.where(draw_flags(rng, _TAG_REMOVAL_RATE, count), draw_integers(rng, at, block.until, count), NULL)
    columns = {"profile_id": profile, "tag": decode_categories(_TAGS, rng.integers(len(_TAGS), size=count))}
    times = {"added_at": at, "removed_at": removed_at, "updated_at": np.maximum(at, removed_at)}
    return EventRows(crm.profile_tag, person, columns | times)


def _draw_interactions(block: PeopleBlock, person: Ints, profile: pa.Array, since: Ints) -> EventRows:
    rng, count = block.rng, len(person)
    at = draw_integers(rng, since[person], block.until, count)
    campaign = decode_categories(
        tuple(f"campaign-{number}" for number in range(_CAMPAIGN_COUNT)), rng.integers(_CAMPAIGN_COUNT, size=count)
    )
    columns = {
        "profile_id": profile,
        "campaign_id": campaign,
        "kind": decode_categories(_INTERACTION_KINDS, draw_categories(rng, _INTERACTION_WEIGHTS, count)),
    }
    return EventRows(crm.campaign_interaction, person, columns | {"occurred_at": at, "updated_at": at})
