"""The records of people in each service: which keys they have, and how these are spelled.

A record may lack a key, hold a mistyped, outdated or the reception's one, or be a duplicate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Table

from crm_pipeline.sample.chance import (
    DAY,
    Flags,
    Ints,
    Rng,
    draw_categories,
    draw_delays,
    draw_flags,
    draw_systematic_flags,
)
from crm_pipeline.sample.clubs import Club, PeopleBlock
from crm_pipeline.sample.people import SERVICES, People
from crm_pipeline.sample.phones import SPELLING_WEIGHTS, build_pro_shop_number, format_phone_numbers, remove_last_digit
from crm_pipeline.sample.rows import NULL, Columns, format_record_ids
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.vocabulary import Service

_OWN, _MISSING, _MISTYPED, _CLUB_OWNED, _FORMER = range(5)
_EMAIL_STATE_WEIGHTS: Final = (0.87, 0.09, 0.02, 0.02)
_PHONE_STATE_WEIGHTS: Final = (0.77, 0.16, 0.015, 0.015, 0.04)
_NAME_STATE_WEIGHTS: Final = (0.93, 0.03, 0.04)
_EMAIL_SPELLING_WEIGHTS: Final = (0.86, 0.05, 0.04, 0.05)
_NAME_SPELLING_WEIGHTS: Final = (0.94, 0.03, 0.03)
_ACCOUNT_KNOWN_RATE, _DUPLICATE_RATE, _MAX_MATCH_KEY_RECORDS = 0.6, 0.015, 3
_MEAN_REGISTRATION_DELAY, _MEAN_UPDATE_DELAY = 45 * DAY, 90 * DAY
_NULL_TEXT: Final = pa.scalar(None, pa.string())


@dataclass(frozen=True, slots=True)
class ServiceRecords:
    """A service's records of a block's people. `first_number` is the number of each person's first record, or NULL."""

    service: Service
    person: Ints
    number: Ints
    first_number: Ints
    created_at: Ints
    has_own_email: Flags
    has_club_value: Flags
    columns: Columns

    @property
    def table(self) -> Table:
        """Returns the table of the records."""
        return PERSON_TABLES[self.service]

    @property
    def ids(self) -> pa.Array:
        """Returns the record ids, as text."""
        return format_record_ids(self.table, self.number).cast(pa.string())


@dataclass(frozen=True, slots=True)
class _KeyStates:
    """The state of each key, per record."""

    person: Ints
    email: Ints
    phone: Ints
    name: Ints
    is_duplicate: Flags


def draw_records(
    block: PeopleBlock, people: People, service: Service, earliest_at: Ints, reserve_ids: Callable[[Table, int], Ints]
) -> ServiceRecords:
    """Returns the records of one service, including those of people registered twice."""
    states, rng = _draw_key_states(block, people, service), block.rng
    person, count = states.person, len(states.person)
    number = reserve_ids(PERSON_TABLES[service], count)
    later = np.where(
        states.is_duplicate | (service is Service.MESSAGING), draw_delays(rng, _MEAN_REGISTRATION_DELAY, count), 0
    )
    created_at = np.minimum(earliest_at[person] + later, block.until)
    first_number = np.full(block.count, NULL)
    first_number[person[~states.is_duplicate]] = number[~states.is_duplicate]
    return ServiceRecords(
        service=service,
        person=person,
        number=number,
        first_number=first_number,
        created_at=created_at,
        has_own_email=states.email == _OWN,
        has_club_value=(states.email == _CLUB_OWNED) | (states.phone == _CLUB_OWNED),
        columns=_draw_key_columns(block, people, states)
        | {
            "id": number,
            "tenant_id": block.club.slug,
            "created_at": created_at,
            "updated_at": np.minimum(created_at + draw_delays(rng, _MEAN_UPDATE_DELAY, count), block.until),
        },
    )


def are_single_profiles(people: People, records: Sequence[ServiceRecords]) -> Flags:
    """Returns which people surely become one profile: nothing shared, and one record or the same email in each."""
    count = len(people.number)
    record_counts, own_email_counts, club_value_counts = (np.zeros(count, np.int64) for _ in range(3))
    services = people.uses_service.sum(axis=1)
    for each in records:
        record_counts += np.bincount(each.person, minlength=count)
        own_email_counts += np.bincount(each.person[each.has_own_email], minlength=count)
        club_value_counts += np.bincount(each.person[each.has_club_value], minlength=count)
    is_clear = (record_counts == 1) | ((record_counts == services) & (own_email_counts == record_counts))
    return np.asarray(is_clear & ~people.has_shared_value & (club_value_counts == 0))


def _draw_key_states(block: PeopleBlock, people: People, service: Service) -> _KeyStates:
    rng = block.rng
    users = np.flatnonzero(people.uses_service[:, SERVICES.index(service)])
    email, phone, name = (
        draw_categories(rng, odds, len(users))
        for odds in (_EMAIL_STATE_WEIGHTS, _PHONE_STATE_WEIGHTS, _NAME_STATE_WEIGHTS)
    )
    for key in (email, phone):
        # A value on so few records would still be a match key.
        if (key == _CLUB_OWNED).sum() <= _MAX_MATCH_KEY_RECORDS:
            key[key == _CLUB_OWNED] = _MISSING
    is_duplicated = draw_systematic_flags(rng, _DUPLICATE_RATE, len(users))
    for key in (email, phone, name):
        key[is_duplicated] = _OWN
    row = np.concatenate([np.arange(len(users)), np.flatnonzero(is_duplicated)])
    return _KeyStates(users[row], email[row], phone[row], name[row], np.arange(len(row)) >= len(users))


def _draw_key_columns(block: PeopleBlock, people: People, states: _KeyStates) -> dict[str, pa.Array]:
    rng, person, count = block.rng, pa.array(states.person), len(states.person)
    knows_account = people.has_account[states.person] & draw_flags(rng, _ACCOUNT_KNOWN_RATE, count)
    numbers = pa.array(people.number[states.person], mask=~knows_account).cast(pa.string())
    return {
        "auth_user_id": pc.binary_join_element_wise("account", numbers, "-"),
        "email": _draw_recorded_emails(rng, block.club, people.email.take(person), states.email),
        "phone_number": _draw_recorded_phones(block, people, states),
        "first_name": _draw_recorded_first_names(rng, people.first_name.take(person), states.name),
        "last_name": _draw_letter_case(rng, people.last_name.take(person)),
    }


def _draw_recorded_emails(rng: Rng, club: Club, own: pa.Array, state: Ints) -> pa.Array:
    held = pc.choose(pa.array(state), own, _NULL_TEXT, pc.utf8_slice_codeunits(own, 1), club.reception_email)
    padded = pc.binary_join_element_wise(" ", held, " ", "")
    spelling = pa.array(draw_categories(rng, _EMAIL_SPELLING_WEIGHTS, len(state)))
    return pc.choose(spelling, held, pc.utf8_upper(held), pc.utf8_capitalize(held), padded)


def _draw_recorded_phones(block: PeopleBlock, people: People, states: _KeyStates) -> pa.Array:
    country, person = block.club.country, pa.array(states.person)
    own, former = people.phone.take(person), people.former_phone.take(person)
    choices = (own, _NULL_TEXT, remove_last_digit(own), build_pro_shop_number(country), former)
    return format_phone_numbers(
        country, pc.choose(pa.array(states.phone), *choices), draw_categories(block.rng, SPELLING_WEIGHTS, len(person))
    )


def _draw_recorded_first_names(rng: Rng, names: pa.Array, state: Ints) -> pa.Array:
    held = pc.choose(pa.array(state), names, _NULL_TEXT, pc.utf8_slice_codeunits(names, 0, 1))
    return _draw_letter_case(rng, held)


def _draw_letter_case(rng: Rng, names: pa.Array) -> pa.Array:
    return pc.choose(
        pa.array(draw_categories(rng, _NAME_SPELLING_WEIGHTS, len(names))),
        names,
        pc.utf8_upper(names),
        pc.utf8_lower(names),
    )
