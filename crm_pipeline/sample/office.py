"""The CRM's own rows: clubs, suppressed values, and what staff and campaigns noted about profiles.

A row that names a profile needs the id the pipeline will give it, so such rows are only made about people whose records
are beyond doubt one person (`records.surely_one_profile`).
"""

from collections.abc import Sequence
from typing import Final
from uuid import uuid5

import numpy as np
import pyarrow as pa

from crm_pipeline.domain.identity.profile_ids import NAMESPACE
from crm_pipeline.sample.chance import DAY, Flags, Ints, between, happens, pick
from crm_pipeline.sample.clubs import Block, Club
from crm_pipeline.sample.people import Kind, People
from crm_pipeline.sample.phones import pro_shop_number
from crm_pipeline.sample.records import Records
from crm_pipeline.sample.rows import NULL, Columns, Events, ids, words
from crm_pipeline.tables.sources import crm
from crm_pipeline.vocabulary import Service

_NOTED, _TAGGED, _ANSWERED, _REFERRED, _TAKEN_OFF = 0.05, 0.06, 0.07, 0.02, 0.2
_NOTES: Final = (
    "Prefers morning tee times.",
    "Asked about lessons.",
    "Left a cap in the clubhouse.",
    "Hosts guests often.",
)
_TAGS: Final = ("vip", "early-bird", "society-organiser", "left-handed")
_ANSWERS: Final = ("RESPONDED", "FORM_SUBMITTED", "ENQUIRED", "UNSUBSCRIBED")
_ANSWER_ODDS: Final = (0.45, 0.2, 0.25, 0.1)
_CAMPAIGNS: Final = 24


def first_profile_id(tenant: str, service: Service, record_id: str) -> str:
    """The id the pipeline gives a person when it first sees them, from their first record."""
    return str(uuid5(NAMESPACE, f"{tenant}|{service}|{record_id}|0"))


def club_columns(clubs: Sequence[Club], updated_at: int) -> Columns:
    """The rows of Tenant."""
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


def suppressed_columns(clubs: Sequence[Club], updated_at: int) -> Columns:
    """The rows of SuppressedIdentifier: every second club has listed its own address and number."""
    listing = clubs[::2]
    kinds, values = ("EMAIL", "PHONE"), [(club.reception_email, _pro_shop(club)) for club in listing]
    return {
        "id": ids(crm.suppressed_identifier, np.arange(2 * len(listing))),
        "tenant_id": pa.array([club.slug for club in listing for _ in kinds]),
        "kind": pa.array(kinds * len(listing)),
        "value": pa.array([value for pair in values for value in pair], pa.string()),
        "reason": "The club's own.",
        "updated_at": np.full(2 * len(listing), updated_at),
    }


def _pro_shop(club: Club) -> str:
    return f"+{club.country.calling_code}{pro_shop_number(club.country)}"


def draw_office_events(
    block: Block, people: People, records: Sequence[Records], begins: Ints, known: Flags
) -> list[Events]:
    """Notes, tags, answers to campaigns and referrals about people `known` to be one profile each."""
    known = known & (begins < block.until - DAY)
    since = np.maximum(begins, block.start)
    noted, tagged, answered = (
        np.flatnonzero(known & happens(block.rng, share, block.count)) for share in (_NOTED, _TAGGED, _ANSWERED)
    )
    referrer, referred = _referrals(block, people, since, known)
    profile = _ProfileIds(block, records)
    return [
        _notes(block, noted, profile.of(noted), since),
        _tags(block, tagged, profile.of(tagged), since),
        _answers(block, answered, profile.of(answered), since),
        Events(
            crm.referral,
            referrer,
            {
                "referrer_profile_id": profile.of(referrer),
                "referred_profile_id": profile.of(referred),
                "occurred_at": since[referred],
                "updated_at": since[referred],
            },
        ),
    ]


class _ProfileIds:
    """The ids the pipeline will give people: minted from their first record in the first service that has one."""

    def __init__(self, block: Block, records: Sequence[Records]) -> None:
        self._block, self._records = block, records

    def of(self, persons: Ints) -> pa.Array:
        return pa.array([self._id(person) for person in persons.tolist()], pa.string())

    def _id(self, person: int) -> str:
        anchored = next(each for each in self._records if each.number_of[person] != NULL)
        [record_id] = ids(anchored.table, anchored.number_of[person : person + 1]).cast(pa.string()).to_pylist()
        return first_profile_id(self._block.club.slug, anchored.service, record_id)


def _referrals(block: Block, people: People, since: Ints, known: Flags) -> tuple[Ints, Ints]:
    """Pairs of a member and a casual golfer the club met after the member."""
    referred = np.flatnonzero(known & people.among(Kind.CASUAL) & happens(block.rng, _REFERRED, block.count))
    members = np.flatnonzero(known & people.among(Kind.MEMBER))
    if not len(members):
        return referred[:0], referred[:0]
    referrer = block.rng.choice(members, len(referred))
    knew = since[referrer] < since[referred]
    return referrer[knew], referred[knew]


def _notes(block: Block, person: Ints, profile: pa.Array, since: Ints) -> Events:
    rng, count = block.rng, len(person)
    at = between(rng, since[person], block.until, count)
    columns = {"profile_id": profile, "body": words(_NOTES, rng.integers(len(_NOTES), size=count))}
    return Events(crm.note, person, columns | {"author_id": "staff-1", "created_at": at, "updated_at": at})


def _tags(block: Block, person: Ints, profile: pa.Array, since: Ints) -> Events:
    rng, count = block.rng, len(person)
    at = between(rng, since[person], block.until, count)
    removed_at = np.where(happens(rng, _TAKEN_OFF, count), between(rng, at, block.until, count), NULL)
    columns = {"profile_id": profile, "tag": words(_TAGS, rng.integers(len(_TAGS), size=count))}
    times = {"added_at": at, "removed_at": removed_at, "updated_at": np.maximum(at, removed_at)}
    return Events(crm.profile_tag, person, columns | times)


def _answers(block: Block, person: Ints, profile: pa.Array, since: Ints) -> Events:
    rng, count = block.rng, len(person)
    at = between(rng, since[person], block.until, count)
    campaign = words(tuple(f"campaign-{number}" for number in range(_CAMPAIGNS)), rng.integers(_CAMPAIGNS, size=count))
    columns = {"profile_id": profile, "campaign_id": campaign, "kind": words(_ANSWERS, pick(rng, _ANSWER_ODDS, count))}
    return Events(crm.campaign_interaction, person, columns | {"occurred_at": at, "updated_at": at})
