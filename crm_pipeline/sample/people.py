"""The people around a club: households, names, shared values, and the services each of them uses.

The values that people share are drawn before the services they use, and do not depend on them.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.sample.chance import Flags, Ints, Rng, draw_categories, draw_flags, draw_systematic_flags
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.countries import NameLists
from crm_pipeline.sample.phones import build_phone_numbers
from crm_pipeline.vocabulary import Service

SERVICES: Final = tuple(Service)


class PersonKind(IntEnum):
    """The relation of a person to the club."""

    MEMBER = 0
    CASUAL = 1
    SUBSCRIBER = 2
    LEAD = 3


_KIND_WEIGHTS: Final = (0.22, 0.45, 0.2, 0.13)
# Per kind, the probability that each service has them: SCL, TEETIME, MESSAGING, CRM.
_SERVICE_USE_RATES: Final = np.array([(1, 0.85, 0.8, 0.06), (0, 1, 0.55, 0.12), (0, 0, 1, 0.1), (0, 0, 0.35, 1)])
_HOUSEHOLD_SIZE_WEIGHTS: Final = (0.72, 0.17, 0.06, 0.05)
# Shares of the households of two and more people, which hold half of all people.
_SHARED_EMAIL_RATE, _SHARED_PHONE_RATE = 0.26, 0.2
# Namesakes who share an address or a phone cannot be distinguished; they are as rare as in reality.
_SAME_FIRST_NAME_RATE, _SAME_INITIAL_RATE = 0.005, 0.12
_ACCOUNT_RATE: Final = 0.35
_EMAIL_DOMAINS: Final = ("example.com", "example.org", "example.net", "post.example", "mail.example")


@dataclass(frozen=True, slots=True)
class People:
    """The people of a block, by position in the block; `number` counts people of the whole sample."""

    number: Ints
    kind: Ints
    uses_service: Flags
    first_name: pa.Array
    last_name: pa.Array
    email: pa.Array
    phone: pa.Array
    former_phone: pa.Array
    has_account: Flags
    has_shared_value: Flags

    def are_of_kind(self, kind: PersonKind) -> Flags:
        """Returns which people are of a kind."""
        return np.asarray(self.kind == kind)


def draw_people(block: PeopleBlock) -> People:
    """Returns the people of a block."""
    rng, count, names = block.rng, block.count, block.club.country.names
    number = block.first_person + np.arange(count)
    kind = draw_categories(rng, _KIND_WEIGHTS, count)
    house = np.repeat(np.arange(count), draw_categories(rng, _HOUSEHOLD_SIZE_WEIGHTS, count) + 1)[:count]
    head = np.searchsorted(house, house)
    email_of, phone_of = (
        _draw_value_owners(rng, house, head, share) for share in (_SHARED_EMAIL_RATE, _SHARED_PHONE_RATE)
    )
    first, last = _draw_first_names(rng, names, head), rng.integers(len(names.last), size=count)[head]
    phone, former_phone = build_phone_numbers(block.club.country, block.first_in_club, count)
    return People(
        number=number,
        kind=kind,
        uses_service=rng.random((count, len(SERVICES))) < _SERVICE_USE_RATES[kind],
        first_name=pa.array(names.first).take(pa.array(first)),
        last_name=pa.array(names.last).take(pa.array(last)),
        email=_draw_email_addresses(rng, names, first, last, number).take(pa.array(email_of)),
        phone=phone.take(pa.array(phone_of)),
        former_phone=former_phone,
        has_account=draw_flags(rng, _ACCOUNT_RATE, count),
        has_shared_value=_is_shared(email_of) | _is_shared(phone_of),
    )


def _draw_value_owners(rng: Rng, house: Ints, head: Ints, share: float) -> Ints:
    """Returns the owner of the value each person uses: the head, in `share` of the households of two and more."""
    positions = np.arange(len(house))
    houses, sizes = np.unique(house, return_counts=True)
    several = houses[sizes > 1]
    together = several[draw_systematic_flags(rng, share, len(several))]
    return np.where(np.isin(house, together), head, positions)


def _is_shared(value_of: Ints) -> Flags:
    return np.asarray(np.bincount(value_of, minlength=len(value_of))[value_of] > 1)


def _draw_first_names(rng: Rng, names: NameLists, head: Ints) -> Ints:
    """Returns first names that differ within a household, except some sons with the head's name or initial."""
    count = len(head)
    place = np.arange(count) - head
    step = rng.integers(1, len(names.first) // len(_HOUSEHOLD_SIZE_WEIGHTS), size=count)[head]
    first = (rng.integers(len(names.first), size=count)[head] + place * step) % len(names.first)
    son = place == 1
    first = np.where(
        son & draw_flags(rng, _SAME_INITIAL_RATE, count), _find_same_initial_names(names)[first[head]], first
    )
    return np.where(son & draw_flags(rng, _SAME_FIRST_NAME_RATE, count), first[head], first)


@cache
def _find_same_initial_names(names: NameLists) -> Ints:
    """Returns for each first name the next one with the same initial, or itself."""
    size = len(names.first)
    others = ((at, (at + step) % size) for at in range(size) for step in range(size, 0, -1))
    return np.array(list({at: other for at, other in others if names.first[other][0] == names.first[at][0]}.values()))


def _draw_email_addresses(rng: Rng, names: NameLists, first: Ints, last: Ints, number: Ints) -> pa.Array:
    """Returns a distinct address for each person, under domains reserved for examples."""
    local_first, local_last = (pa.array(_to_ascii_words(words)) for words in (names.first, names.last))
    domain = pa.array(_EMAIL_DOMAINS).take(pa.array(rng.integers(len(_EMAIL_DOMAINS), size=len(number))))
    name = pc.binary_join_element_wise(local_first.take(pa.array(first)), local_last.take(pa.array(last)), ".")
    return pc.binary_join_element_wise(name, pa.array(number).cast(pa.string()), "@", domain, "")


def _to_ascii_words(words: Iterable[str]) -> list[str]:
    plain = (unicodedata.normalize("NFKD", word.lower()).encode("ascii", "ignore").decode() for word in words)
    return ["".join(filter(str.isalpha, word)) for word in plain]
