"""What each service wrote down about a person: which keys it has, and how they are spelled.

Records may lack a key, hold a mistyped or outdated one or the reception's, or be there twice. Who people are and what
they share is drawn in `people`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Table

from crm_pipeline.sample.chance import DAY, Flags, Ints, Rng, delays, happens, pick, spread
from crm_pipeline.sample.clubs import Block, Club
from crm_pipeline.sample.people import SERVICES, People
from crm_pipeline.sample.phones import SPELLINGS, lose_a_digit, pro_shop_number, spell
from crm_pipeline.sample.rows import NULL, Columns, ids
from crm_pipeline.tables import PEOPLE
from crm_pipeline.vocabulary import Service

_OWN, _MISSING, _MISTYPED, _CLUBS, _FORMER = range(5)
_EMAILS: Final = (0.87, 0.09, 0.02, 0.02)
_PHONES: Final = (0.77, 0.16, 0.015, 0.015, 0.04)
_NAMES: Final = (0.93, 0.03, 0.04)
_EMAIL_SPELLINGS: Final = (0.86, 0.05, 0.04, 0.05)
_NAME_SPELLINGS: Final = (0.94, 0.03, 0.03)
_ACCOUNT_KNOWN, _TWICE, _STILL_EVIDENCE = 0.6, 0.015, 3
_REGISTERS_AFTER, _CHANGED_AFTER = 45 * DAY, 90 * DAY
_NO_TEXT: Final = pa.scalar(None, pa.string())


@dataclass(frozen=True, slots=True)
class Records:
    """What a service holds about the people of a block. `number_of` is each person's first record there, or NULL."""

    service: Service
    person: Ints
    number: Ints
    number_of: Ints
    created_at: Ints
    has_own_email: Flags
    has_clubs_key: Flags
    columns: Columns

    @property
    def table(self) -> Table:
        """The table they are in."""
        return PEOPLE[self.service]

    @property
    def ids(self) -> pa.Array:
        """Their ids, as text."""
        return ids(self.table, self.number).cast(pa.string())


@dataclass(frozen=True, slots=True)
class _States:
    """Per record, what became of each key."""

    person: Ints
    email: Ints
    phone: Ints
    name: Ints
    is_second: Flags


def draw_records(
    block: Block, people: People, service: Service, begins: Ints, new_ids: Callable[[Table, int], Ints]
) -> Records:
    """The records of one service, people registered twice included."""
    states, rng = _states(block, people, service), block.rng
    person, count = states.person, len(states.person)
    number = new_ids(PEOPLE[service], count)
    later = np.where(states.is_second | (service is Service.MESSAGING), delays(rng, _REGISTERS_AFTER, count), 0)
    created_at = np.minimum(begins[person] + later, block.until)
    number_of = np.full(block.count, NULL)
    number_of[person[~states.is_second]] = number[~states.is_second]
    return Records(
        service=service,
        person=person,
        number=number,
        number_of=number_of,
        created_at=created_at,
        has_own_email=states.email == _OWN,
        has_clubs_key=(states.email == _CLUBS) | (states.phone == _CLUBS),
        columns=_spelled(block, people, states)
        | {
            "id": number,
            "tenant_id": block.club.slug,
            "created_at": created_at,
            "updated_at": np.minimum(created_at + delays(rng, _CHANGED_AFTER, count), block.until),
        },
    )


def surely_one_profile(people: People, records: Sequence[Records]) -> Flags:
    """Whose records are beyond doubt one person: nothing shared, and one record or the same email in each."""
    count = len(people.number)
    held, own, clubs = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    services = people.uses.sum(axis=1)
    for each in records:
        held += np.bincount(each.person, minlength=count)
        own += np.bincount(each.person[each.has_own_email], minlength=count)
        clubs += np.bincount(each.person[each.has_clubs_key], minlength=count)
    is_clear = (held == 1) | ((held == services) & (own == held))
    return np.asarray(is_clear & ~people.shares & (clubs == 0))


def _states(block: Block, people: People, service: Service) -> _States:
    rng = block.rng
    users = np.flatnonzero(people.uses[:, SERVICES.index(service)])
    email, phone, name = (pick(rng, odds, len(users)) for odds in (_EMAILS, _PHONES, _NAMES))
    for key in (email, phone):
        # A value on so few records would still count as evidence of who somebody is.
        if (key == _CLUBS).sum() <= _STILL_EVIDENCE:
            key[key == _CLUBS] = _MISSING
    twice = spread(rng, _TWICE, len(users))
    for key in (email, phone, name):
        key[twice] = _OWN
    row = np.concatenate([np.arange(len(users)), np.flatnonzero(twice)])
    return _States(users[row], email[row], phone[row], name[row], np.arange(len(row)) >= len(users))


def _spelled(block: Block, people: People, states: _States) -> dict[str, pa.Array]:
    rng, person, count = block.rng, pa.array(states.person), len(states.person)
    knows_account = people.has_account[states.person] & happens(rng, _ACCOUNT_KNOWN, count)
    numbers = pa.array(people.number[states.person], mask=~knows_account).cast(pa.string())
    return {
        "auth_user_id": pc.binary_join_element_wise("account", numbers, "-"),
        "email": _emails(rng, block.club, people.email.take(person), states.email),
        "phone_number": _phones(block, people, states),
        "first_name": _first_names(rng, people.first_name.take(person), states.name),
        "last_name": _in_some_case(rng, people.last_name.take(person)),
    }


def _emails(rng: Rng, club: Club, own: pa.Array, state: Ints) -> pa.Array:
    held = pc.choose(pa.array(state), own, _NO_TEXT, pc.utf8_slice_codeunits(own, 1), club.reception_email)
    padded = pc.binary_join_element_wise(" ", held, " ", "")
    spelling = pa.array(pick(rng, _EMAIL_SPELLINGS, len(state)))
    return pc.choose(spelling, held, pc.utf8_upper(held), pc.utf8_capitalize(held), padded)


def _phones(block: Block, people: People, states: _States) -> pa.Array:
    country, person = block.club.country, pa.array(states.person)
    own, former = people.phone.take(person), people.former_phone.take(person)
    choices = (own, _NO_TEXT, lose_a_digit(own), pro_shop_number(country), former)
    return spell(country, pc.choose(pa.array(states.phone), *choices), pick(block.rng, SPELLINGS, len(person)))


def _first_names(rng: Rng, names: pa.Array, state: Ints) -> pa.Array:
    held = pc.choose(pa.array(state), names, _NO_TEXT, pc.utf8_slice_codeunits(names, 0, 1))
    return _in_some_case(rng, held)


def _in_some_case(rng: Rng, names: pa.Array) -> pa.Array:
    return pc.choose(
        pa.array(pick(rng, _NAME_SPELLINGS, len(names))), names, pc.utf8_upper(names), pc.utf8_lower(names)
    )
