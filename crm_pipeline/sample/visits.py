"""Visits: each golfer comes at a rate of their own, in the club's seasons, until they drop out.

The process is that of the churn model (MBG/NBD): rates are gamma distributed, and after each visit, the first
included, a casual golfer drops out with a beta distributed probability. Members play until a while before
their contract ends.
"""

from typing import NamedTuple

import numpy as np

from crm_pipeline.sample.chance import DAY, HOUR, MINUTE, Floats, Ints, draw_flags, draw_integers
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.memberships import BOOKING_WINDOW, Contracts
from crm_pipeline.sample.people import SERVICES, People, PersonKind
from crm_pipeline.vocabulary import Service

_CASUAL_GAMMA_SHAPE, _CASUAL_GAMMA_DAYS = 1.0, 80
_DROPOUT_ALPHA, _DROPOUT_BETA, _MIN_DROPOUT_PROBABILITY = 0.6, 1.3, 1e-6
_MEMBER_GAMMA_SHAPE, _MEMBER_GAMMA_DAYS, _UNLIMITED_VISITS = 2.0, 40, 1 << 40
_FIRST_TEE_TIME, _SLOT_DURATION, _SLOT_COUNT = 6 * HOUR, 10 * MINUTE, 60
_TRIAL_RATE, _MAX_TRIAL_PERIOD = 0.25, 300 * DAY


class Visits(NamedTuple):
    """Visits: person and time, sorted by both."""

    person: Ints
    at: Ints


class _VisitPatterns(NamedTuple):
    """Per golfer: the period of their visits, the rate, and the most visits, including the first."""

    person: Ints
    first_visit_at: Ints
    last_visit_at: Ints
    visits_a_day: Floats
    max_visits: Ints


def draw_acquisition_times(block: PeopleBlock, people: People, contracts: Contracts) -> Ints:
    """Returns the local midnight before each person's first contact; some members played there before they joined."""
    rng, count = block.rng, block.count
    met = draw_integers(rng, block.history_start, block.until - DAY, count)
    tried = np.where(draw_flags(rng, _TRIAL_RATE, count), draw_integers(rng, DAY, _MAX_TRIAL_PERIOD, count), 0)
    acquired_at = np.where(people.are_of_kind(PersonKind.MEMBER), contracts.joined_at - tried, met)
    return (acquired_at + block.utc_offset) // DAY * DAY - block.utc_offset


def draw_visits(block: PeopleBlock, people: People, contracts: Contracts, acquired_at: Ints) -> Visits:
    """Returns the visits of everybody who uses TeeTime, including those booked for the future."""
    rng = block.rng
    golfers = np.flatnonzero(people.uses_service[:, SERVICES.index(Service.TEETIME)])
    is_member, count = people.are_of_kind(PersonKind.MEMBER)[golfers], len(golfers)
    dropout_probability = np.maximum(rng.beta(_DROPOUT_ALPHA, _DROPOUT_BETA, count), _MIN_DROPOUT_PROBABILITY)
    rate = np.where(
        is_member,
        rng.standard_gamma(_MEMBER_GAMMA_SHAPE, count) / _MEMBER_GAMMA_DAYS,
        rng.standard_gamma(_CASUAL_GAMMA_SHAPE, count) / _CASUAL_GAMMA_DAYS,
    )
    habits = _VisitPatterns(
        person=golfers,
        first_visit_at=acquired_at[golfers],
        last_visit_at=np.where(is_member, contracts.plays_until[golfers], block.until + BOOKING_WINDOW),
        visits_a_day=rate,
        max_visits=np.where(is_member, _UNLIMITED_VISITS, rng.geometric(dropout_probability)),
    )
    return _draw_visit_times(block, habits)


def _draw_visit_times(block: PeopleBlock, golfers: _VisitPatterns) -> Visits:
    """Returns the first visits, and Poisson visits in season time after them, up to each golfer's maximum."""
    times, season = _build_season_times(block)
    opens = np.interp(np.maximum(golfers.first_visit_at, block.history_start), times, season)
    closes = np.maximum(np.interp(golfers.last_visit_at, times, season), opens)
    later = block.rng.poisson(golfers.visits_a_day * (closes - opens))
    who = np.repeat(np.arange(len(later)), later)
    moments = opens[who] + block.rng.random(len(who)) * (closes - opens)[who]
    in_order = moments[np.lexsort((moments, who))]
    nth = np.arange(len(who)) - np.repeat(np.cumsum(later) - later, later) + 1
    stays = nth < golfers.max_visits[who]
    first = np.flatnonzero(
        (golfers.first_visit_at >= block.history_start) & (golfers.first_visit_at < golfers.last_visit_at)
    )
    person = np.concatenate([first, who[stays]])
    at = np.concatenate([golfers.first_visit_at[first], np.interp(in_order[stays], season, times).astype(np.int64)])
    return _draw_tee_slots(block, golfers.person[person], at)


def _draw_tee_slots(block: PeopleBlock, person: Ints, at: Ints) -> Visits:
    """Returns the visits at a tee slot of their day, at most one per day and person."""
    days, day = 1 << 20, (at + block.utc_offset) // DAY
    distinct = np.unique(person * days + day)
    slot = block.rng.integers(_SLOT_COUNT, size=len(distinct))
    return Visits(distinct // days, distinct % days * DAY + _FIRST_TEE_TIME + slot * _SLOT_DURATION - block.utc_offset)


def _build_season_times(block: PeopleBlock) -> tuple[Floats, Floats]:
    """Returns the starts of the history's months, and the visits before each in units of an average day."""
    first, last = (np.datetime64(at, "s").astype("M8[M]") for at in (block.history_start, block.until + BOOKING_WINDOW))
    months = np.arange(first, last + 2)
    times = months.astype("M8[s]").astype(np.float64)
    weights = np.array(block.club.country.month_weights)[months[:-1].astype(np.int64) % 12]
    season = np.cumsum(np.concatenate([[0.0], weights / weights.mean() * np.diff(times) / DAY]))
    return times, season
