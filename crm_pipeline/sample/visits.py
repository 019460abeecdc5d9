"""When people come to play: visits at a rate of their own, in the club's seasons, until they drop out.

The process is the one churn is modelled with (MBG/NBD): rates are gamma distributed, and after each visit, the first
included, a casual golfer drops out with a beta distributed probability. Members play until their contract makes them
stop. What a visit is booked as and costs belongs to `golf`.
"""

from typing import NamedTuple

import numpy as np

from crm_pipeline.sample.chance import DAY, HOUR, MINUTE, Floats, Ints, between, happens
from crm_pipeline.sample.clubs import Block
from crm_pipeline.sample.memberships import LOOKS_AHEAD, Contracts
from crm_pipeline.sample.people import SERVICES, Kind, People
from crm_pipeline.vocabulary import Service

_CASUAL_SHAPE, _CASUAL_DAYS = 1.0, 80
_DROPS_OUT_A, _DROPS_OUT_B, _LEAST_CHANCE = 0.6, 1.3, 1e-6
_MEMBER_SHAPE, _MEMBER_DAYS, _NEVER = 2.0, 40, 1 << 40
_FIRST_TEE, _SLOT, _SLOTS = 6 * HOUR, 10 * MINUTE, 60
_CAME_BEFORE_JOINING, _LONGEST_TRIAL = 0.25, 300 * DAY


class Visits(NamedTuple):
    """Who came, and when: sorted by person and time."""

    person: Ints
    at: Ints


class _Habits(NamedTuple):
    """When each golfer may come, how often, and how many visits are the last straw."""

    person: Ints
    begins: Ints
    ends: Ints
    visits_a_day: Floats
    most: Ints


def draw_beginnings(block: Block, people: People, contracts: Contracts) -> Ints:
    """The local midnight before the club first met each person: some members played there before they joined."""
    rng, count = block.rng, block.count
    met = between(rng, block.start, block.until - DAY, count)
    tried = np.where(happens(rng, _CAME_BEFORE_JOINING, count), between(rng, DAY, _LONGEST_TRIAL, count), 0)
    begins = np.where(people.among(Kind.MEMBER), contracts.joined - tried, met)
    return (begins + block.utc_offset) // DAY * DAY - block.utc_offset


def draw_visits(block: Block, people: People, contracts: Contracts, begins: Ints) -> Visits:
    """The visits of everybody who uses TeeTime, those already booked included."""
    rng = block.rng
    golfers = np.flatnonzero(people.uses[:, SERVICES.index(Service.TEETIME)])
    is_member, count = people.among(Kind.MEMBER)[golfers], len(golfers)
    chance = np.maximum(rng.beta(_DROPS_OUT_A, _DROPS_OUT_B, count), _LEAST_CHANCE)
    rate = np.where(
        is_member,
        rng.standard_gamma(_MEMBER_SHAPE, count) / _MEMBER_DAYS,
        rng.standard_gamma(_CASUAL_SHAPE, count) / _CASUAL_DAYS,
    )
    habits = _Habits(
        person=golfers,
        begins=begins[golfers],
        ends=np.where(is_member, contracts.plays_until[golfers], block.until + LOOKS_AHEAD),
        visits_a_day=rate,
        most=np.where(is_member, _NEVER, rng.geometric(chance)),
    )
    return _come(block, habits)


def _come(block: Block, golfers: _Habits) -> Visits:
    """The first visits, and Poisson ones in season time after them, as many as each golfer makes at most."""
    times, season = _seasons(block)
    opens = np.interp(np.maximum(golfers.begins, block.start), times, season)
    closes = np.maximum(np.interp(golfers.ends, times, season), opens)
    later = block.rng.poisson(golfers.visits_a_day * (closes - opens))
    who = np.repeat(np.arange(len(later)), later)
    moments = opens[who] + block.rng.random(len(who)) * (closes - opens)[who]
    in_order = moments[np.lexsort((moments, who))]
    nth = np.arange(len(who)) - np.repeat(np.cumsum(later) - later, later) + 1
    stays = nth < golfers.most[who]
    first = np.flatnonzero((golfers.begins >= block.start) & (golfers.begins < golfers.ends))
    person = np.concatenate([first, who[stays]])
    at = np.concatenate([golfers.begins[first], np.interp(in_order[stays], season, times).astype(np.int64)])
    return _on_the_tee_sheet(block, golfers.person[person], at)


def _on_the_tee_sheet(block: Block, person: Ints, at: Ints) -> Visits:
    """The visits moved to that day's slots, at most one a day for each person."""
    days, which = 1 << 20, (at + block.utc_offset) // DAY
    distinct = np.unique(person * days + which)
    slot = block.rng.integers(_SLOTS, size=len(distinct))
    return Visits(distinct // days, distinct % days * DAY + _FIRST_TEE + slot * _SLOT - block.utc_offset)


def _seasons(block: Block) -> tuple[Floats, Floats]:
    """The starts of the history's months, and how many average days' worth of visits come before each."""
    first, last = (np.datetime64(at, "s").astype("M8[M]") for at in (block.start, block.until + LOOKS_AHEAD))
    months = np.arange(first, last + 2)
    times = months.astype("M8[s]").astype(np.float64)
    weights = np.array(block.club.country.months)[months[:-1].astype(np.int64) % 12]
    season = np.cumsum(np.concatenate([[0.0], weights / weights.mean() * np.diff(times) / DAY]))
    return times, season
