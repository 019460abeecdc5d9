"""TeeTime's events: bookings, what became of them and what they cost; handicaps; competitions.

When people come is drawn in `visits`; what they pay through the club's own ledger is made in `ledger`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from crm_pipeline.sample.chance import DAY, HOUR, MINUTE, Flags, Ints, between, delays, happens, pick
from crm_pipeline.sample.clubs import Block
from crm_pipeline.sample.memberships import LOOKS_AHEAD
from crm_pipeline.sample.rows import NULL, Events, words
from crm_pipeline.sample.visits import Visits
from crm_pipeline.tables.sources import teetime

_BOOKED_AHEAD, _ROUND = 4 * DAY, 4 * HOUR
_PLAYED, CANCELLED, _NO_SHOW, _BOOKED = range(4)
_STATUSES: Final = ("PLAYED", "CANCELLED", "NO_SHOW", "BOOKED")
_OUTCOMES: Final = (0.89, 0.08, 0.03)
_PARTY_SIZES: Final = (0.2, 0.35, 0.15, 0.3)
_COURSES: Final = ("old", "new")
_MEMBERS_PAY, _GUESTS_PAY, _PREPAID, _PAID_FOR_CANCELLED = 0.25, 0.95, 0.5, 0.3
_PRICE_STEPS, _PRICE_STEP, _CART_SHARE = 7, 20, 4
_HAS_HANDICAP, _ENTERS, _COUNTS_FOR_HANDICAP = 0.7, 0.12, 0.25
_LOWEST, _HIGHEST, _LARGEST_MOVE = -30, 540, 9
_COMPETITIONS: Final = ("Monthly Medal", "Spring Cup", "Club Championship", "Captain's Day", "Stableford Sunday")


@dataclass(frozen=True, slots=True)
class Bookings:
    """The bookings of a block, with what other modules need to know of them."""

    number: Ints
    person: Ints
    tee_time: Ints
    booked_at: Ints
    status: Ints
    price: Ints
    paid_at: Ints
    party: Ints


def draw_bookings(block: Block, visits: Visits, numbers: Ints, begins: Ints, is_member: Flags) -> Bookings:
    """A booking for every visit that was or is planned."""
    rng, count, person = block.rng, len(visits.at), visits.person
    tee_time = visits.at
    booked_at = np.maximum(tee_time - MINUTE - delays(rng, _BOOKED_AHEAD, count) % LOOKS_AHEAD, begins[person])
    status = np.where(tee_time + _ROUND > block.until, _BOOKED, pick(rng, _OUTCOMES, count))
    party = pick(rng, _PARTY_SIZES, count) + 1
    price = _prices(block, party, is_member[person])
    paid_at = np.where(happens(rng, _PREPAID, count), booked_at, tee_time)
    is_paid = (price > 0) & (paid_at <= block.until) & (status != _NO_SHOW)
    is_paid &= (status != CANCELLED) | happens(rng, _PAID_FOR_CANCELLED, count)
    known = booked_at <= block.until
    drawn = (numbers, person, tee_time, booked_at, status, price, np.where(is_paid, paid_at, NULL), party)
    return Bookings(*(column[known] for column in drawn))


def _prices(block: Block, party: Ints, is_member: Flags) -> Ints:
    """What a party pays, null where it pays nothing: members sometimes pay for a cart, guests nearly always pay."""
    rng, count = block.rng, len(party)
    green_fee = block.club.country.green_fee_cents
    fee = np.where(is_member, green_fee // _CART_SHARE, green_fee * party)
    price = fee + fee // _PRICE_STEP * rng.integers(-_PRICE_STEPS, _PRICE_STEPS + 1, size=count)
    pays = rng.random(count) < np.where(is_member, _MEMBERS_PAY, _GUESTS_PAY)
    return np.where(pays, price, NULL)


def booking_events(block: Block, bookings: Bookings, player: Ints, paid_in_ledger: Flags) -> Events:
    """The rows; half of what the ledger was paid for a booking shows at the booking too."""
    hidden = paid_in_ledger & happens(block.rng, _PREPAID, len(paid_in_ledger))
    currency = words((block.club.country.currency,), np.zeros(len(hidden), dtype=np.int64))
    last = np.where(bookings.status == _BOOKED, bookings.booked_at, bookings.tee_time + _ROUND)
    cancelled_at = np.maximum(bookings.booked_at, bookings.tee_time - DAY)
    return Events(
        teetime.booking,
        bookings.person,
        {
            "id": bookings.number,
            "player_id": player[bookings.person],
            "course_id": words(_COURSES, bookings.number % len(_COURSES)),
            "tee_time_at": bookings.tee_time,
            "booked_at": bookings.booked_at,
            "status": words(_STATUSES, bookings.status),
            "players": bookings.party,
            "price_cents": bookings.price,
            "currency": currency,
            "paid_at": np.where(hidden, NULL, bookings.paid_at),
            "updated_at": np.minimum(np.where(bookings.status == CANCELLED, cancelled_at, last), block.until),
        },
    )


def _played(bookings: Bookings, is_member: Flags) -> Ints:
    return np.flatnonzero((bookings.status == _PLAYED) & is_member[bookings.person])


def draw_handicaps(block: Block, bookings: Bookings, player: Ints, is_member: Flags) -> tuple[Events, Ints]:
    """Handicap updates after some of the members' rounds, and everybody's handicap now, in tenths."""
    rng = block.rng
    begins_with = np.where(happens(rng, _HAS_HANDICAP, block.count), between(rng, 20, 360, block.count), NULL)
    rounds = _played(bookings, is_member & (begins_with != NULL))
    rounds = rounds[happens(rng, _COUNTS_FOR_HANDICAP, len(rounds))]
    person, moves = bookings.person[rounds], rng.integers(-_LARGEST_MOVE, _LARGEST_MOVE, size=len(rounds))
    walked = np.cumsum(moves)
    first = np.searchsorted(person, person)
    after = np.clip(begins_with[person] + walked - (walked - moves)[first], _LOWEST, _HIGHEST)
    before = np.where(np.arange(len(person)) == first, begins_with[person], np.roll(after, 1))
    now = begins_with.copy()
    now[person] = after
    recorded_at = bookings.tee_time[rounds] + _ROUND
    columns = {"player_id": player[person], "handicap": after, "previous_handicap": before}
    times = {"recorded_at": recorded_at, "updated_at": recorded_at}
    return Events(teetime.handicap_update, person, columns | times), now


def draw_competitions(block: Block, bookings: Bookings, player: Ints, is_member: Flags) -> Events:
    """Some of the members' rounds were played in a competition they had entered."""
    rng = block.rng
    rounds = _played(bookings, is_member)
    rounds = rounds[happens(rng, _ENTERS, len(rounds))]
    count, person, played_at = len(rounds), bookings.person[rounds], bookings.tee_time[rounds]
    return Events(
        teetime.competition_entry,
        person,
        {
            "player_id": player[person],
            "competition": words(_COMPETITIONS, rng.integers(len(_COMPETITIONS), size=count)),
            "entered_at": bookings.booked_at[rounds],
            "played_at": played_at,
            "position": between(rng, 1, 60, count),
            "score": between(rng, 64, 110, count),
            "updated_at": played_at + _ROUND,
        },
    )
