"""The clubs, how big each is, and the blocks of people it is made in.

Who the people are, and what they do, belongs to the modules that are given a block.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from crm_pipeline.sample.chance import DAY, Rng
from crm_pipeline.sample.countries import COUNTRIES, Country
from crm_pipeline.vocabulary import TenantStatus

_HISTORY_DAYS: Final = 1_000
_MAX_BLOCK_PEOPLE, _MAX_BLOCK_EVENTS = 50_000, 1_000_000
_ZIPF_EXPONENT: Final = 0.9
_STRICT_CLUB_INTERVAL, _SUSPENDED_CLUB_INTERVAL, _STRICT_MIN_CONFIDENCE = 10, 50, 0.95

_CLUB_NAME_PREFIXES: Final = (
    *("amber", "birch", "cedar", "copper", "coral", "dune", "falcon", "fern", "granite", "harbour", "heron", "indigo"),
    *("juniper", "kestrel", "larch", "lantern", "linden", "marsh", "meadow", "mill", "oak", "orchard", "osprey"),
    *("otter", "pebble", "pine", "quarry", "raven", "reed", "ridge", "rowan", "saffron", "sandpiper", "shingle"),
    *("slate", "swallow", "thistle", "valley", "willow", "wren"),
)
_CLUB_NAME_SUFFIXES: Final = ("links", "park", "heath", "downs", "woods", "shore", "hills", "green", "common", "grange")


@dataclass(frozen=True, slots=True)
class Club:
    """A tenant."""

    slug: str
    name: str
    country: Country
    min_confidence: float | None = None
    status: TenantStatus = TenantStatus.ACTIVE

    @property
    def reception_email(self) -> str:
        """The address staff enter for guests who give none."""
        return f"reception@{self.slug}.example"


@dataclass(frozen=True, slots=True)
class PeopleBlock:
    """Some people of one club, made together so that memory stays bounded."""

    club: Club
    first_person: int
    first_in_club: int
    count: int
    event_target: int
    until: int
    rng: Rng

    @property
    def start(self) -> int:
        """The second the history begins."""
        return self.until - _HISTORY_DAYS * DAY

    @property
    def utc_offset(self) -> int:
        """Seconds the club's winter clock is ahead of UTC: near enough for a tee sheet."""
        winter = datetime.fromtimestamp(self.until, UTC).replace(month=1, day=1)
        offset = winter.astimezone(ZoneInfo(self.club.country.timezone)).utcoffset()
        return int(offset.total_seconds()) if offset else 0


def create_clubs(count: int) -> list[Club]:
    """`count` clubs with names of their own, their countries in turn."""
    return [_create_club(number) for number in range(count)]


def _create_club(number: int) -> Club:
    rest, place = divmod(number, len(_CLUB_NAME_PREFIXES))
    again = rest // len(_CLUB_NAME_SUFFIXES)
    words = [
        _CLUB_NAME_PREFIXES[place],
        _CLUB_NAME_SUFFIXES[(rest + place) % len(_CLUB_NAME_SUFFIXES)],
        *([str(again + 1)] if again else []),
    ]
    strict = number % _STRICT_CLUB_INTERVAL == _STRICT_CLUB_INTERVAL - 1
    suspended = number % _SUSPENDED_CLUB_INTERVAL == _SUSPENDED_CLUB_INTERVAL - 1
    return Club(
        slug="-".join(words),
        name=" ".join(words).title(),
        country=COUNTRIES[number % len(COUNTRIES)],
        min_confidence=_STRICT_MIN_CONFIDENCE if strict else None,
        status=TenantStatus.SUSPENDED if suspended else TenantStatus.ACTIVE,
    )


def build_blocks(clubs: Sequence[Club], people: int, events: int, seed: int, until: datetime) -> Iterator[PeopleBlock]:
    """Every club in blocks; `event_target` is how many events there should be by the end of the block."""
    most = max(1, min(_MAX_BLOCK_PEOPLE, _MAX_BLOCK_EVENTS * people // max(events, 1)))
    made = 0
    for club, size in zip(clubs, _allocate_people(len(clubs), people), strict=True):
        for first_in_club in range(0, size, most):
            count = min(most, size - first_in_club)
            target = events * (made + count) // people
            rng = np.random.default_rng([seed, made])
            yield PeopleBlock(club, made, first_in_club, count, target, int(until.timestamp()), rng)
            made += count


def _allocate_people(clubs: int, people: int) -> list[int]:
    """How many people each club has, the k-th biggest about k ** -0.9 as many as the biggest; `people` in all."""
    everywhere = 1 if people >= clubs else 0
    weights = [(rank + 1) ** -_ZIPF_EXPONENT for rank in range(clubs)]
    scale = (people - everywhere * clubs) / sum(weights)
    edges = np.rint(np.cumsum([0.0, *(weight * scale for weight in weights)])).astype(int)
    return [int(size) + everywhere for size in np.diff(edges)]
