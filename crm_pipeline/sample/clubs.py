"""The clubs, the number of people of each, and the blocks of people in which a club is drawn."""

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
        """Returns the address that staff enter for guests who give none."""
        return f"reception@{self.slug}.example"


@dataclass(frozen=True, slots=True)
class PeopleBlock:
    """Some people of one club, drawn together so that memory stays bounded."""

    club: Club
    first_person: int
    first_in_club: int
    count: int
    event_target: int
    until: int
    rng: Rng
    fault_share: float
    fault_rng: Rng

    @property
    def history_start(self) -> int:
        """Returns the second at which the history begins."""
        return self.until - _HISTORY_DAYS * DAY

    @property
    def utc_offset(self) -> int:
        """Returns the seconds by which the club's winter clock is ahead of UTC; daylight saving is ignored."""
        winter = datetime.fromtimestamp(self.until, UTC).replace(month=1, day=1)
        offset = winter.astimezone(ZoneInfo(self.club.country.timezone)).utcoffset()
        return int(offset.total_seconds()) if offset else 0


def create_clubs(count: int) -> list[Club]:
    """Returns `count` clubs with distinct names, in all countries in turn."""
    return [_create_club(number) for number in range(count)]


def _create_club(number: int) -> Club:
    rest, place = divmod(number, len(_CLUB_NAME_PREFIXES))
    repeat = rest // len(_CLUB_NAME_SUFFIXES)
    words = [
        _CLUB_NAME_PREFIXES[place],
        _CLUB_NAME_SUFFIXES[(rest + place) % len(_CLUB_NAME_SUFFIXES)],
        *([str(repeat + 1)] if repeat else []),
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


def build_blocks(
    clubs: Sequence[Club], people: int, events: int, seed: int, until: datetime, faults: float = 0.0
) -> Iterator[PeopleBlock]:
    """Yields every club in blocks; `event_target` is the number of events of the sample by the end of the block."""
    max_people = max(1, min(_MAX_BLOCK_PEOPLE, _MAX_BLOCK_EVENTS * people // max(events, 1)))
    people_before = 0
    for club, size in zip(clubs, _allocate_people(len(clubs), people), strict=True):
        for first_in_club in range(0, size, max_people):
            count = min(max_people, size - first_in_club)
            target = events * (people_before + count) // people
            # Faults are drawn from a stream of their own, so that all else is the same with and without them.
            rng, fault_rng = (np.random.default_rng([seed, people_before, *stream]) for stream in ((), (1,)))
            yield PeopleBlock(
                club, people_before, first_in_club, count, target, int(until.timestamp()), rng, faults, fault_rng
            )
            people_before += count


def _allocate_people(clubs: int, people: int) -> list[int]:
    """Returns the people per club, `people` in all; the k-th biggest has about k ** -0.9 as many as the biggest."""
    min_people = 1 if people >= clubs else 0
    weights = [(rank + 1) ** -_ZIPF_EXPONENT for rank in range(clubs)]
    scale = (people - min_people * clubs) / sum(weights)
    edges = np.rint(np.cumsum([0.0, *(weight * scale for weight in weights)])).astype(int)
    return [int(size) + min_people for size in np.diff(edges)]
