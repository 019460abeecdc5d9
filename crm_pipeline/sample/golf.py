"""TeeTime's events: bookings with status and price, handicaps, competitions."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from crm_pipeline.sample.chance import (
    DAY,
    HOUR,
    MINUTE,
    Flags,
    Ints,
    draw_categories,
    draw_delays,
    draw_flags,
    draw_integers,
)
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.memberships import BOOKING_WINDOW
from crm_pipeline.sample.rows import NULL, EventRows, decode_categories
from crm_pipeline.sample.visits import Visits
from crm_pipeline.tables.sources import teetime

_MEAN_BOOKING_LEAD, _ROUND_DURATION = 4 * DAY, 4 * HOUR
_PLAYED, CANCELLED, _NO_SHOW, _BOOKED = range(4)
_BOOKING_STATUSES: Final = ("PLAYED", "CANCELLED", "NO_SHOW", "BOOKED")
_OUTCOME_WEIGHTS: Final = (0.89, 0.08, 0.03)
_PARTY_SIZE_WEIGHTS: Final = (0.2, 0.35, 0.15, 0.3)
_COURSES: Final = ("old", "new")
_MEMBER_PAYMENT_RATE, _GUEST_PAYMENT_RATE, _PREPAYMENT_RATE, _CANCELLED_PAYMENT_RATE = 0.25, 0.95, 0.5, 0.3
_MAX_PRICE_STEPS, _PRICE_STEP_DIVISOR, _CART_FEE_DIVISOR = 7, 20, 4
_HANDICAP_HOLDER_RATE, _COMPETITION_ENTRY_RATE, _HANDICAP_UPDATE_RATE = 0.7, 0.12, 0.25
_MIN_HANDICAP, _MAX_HANDICAP, _MAX_HANDICAP_CHANGE = -30, 540, 9
_COMPETITIONS: Final = ("Monthly Medal", "Spring Cup", "Club Championship", "Captain's Day", "Stableford Sunday")


@dataclass(frozen=True, slots=True)
class Bookings:
    """The bookings of a block."""

    number: Ints
    person: Ints
    tee_time: Ints
    booked_at: Ints
    status: Ints
    price: Ints
    paid_at: Ints
    party_size: Ints


def draw_bookings(block: PeopleBlock, visits: Visits, numbers: Ints, acquired_at: Ints, is_member: Flags) -> Bookings:
    """Returns the bookings of all visits, without those not booked yet."""
    rng, count, person = block.rng, len(visits.at), visits.person
    tee_time = visits.at
    booked_at = np.maximum(
        tee_time - MINUTE - draw_delays(rng, _MEAN_BOOKING_LEAD, count) % BOOKING_WINDOW, acquired_at[person]
    )
    status = np.where(tee_time + _ROUND_DURATION > block.until, _BOOKED, draw_categories(rng, _OUTCOME_WEIGHTS, count))
    party = draw_categories(rng, _PARTY_SIZE_WEIGHTS, count) + 1
    price = _draw_prices(block, party, is_member[person])
    paid_at = np.where(draw_flags(rng, _PREPAYMENT_RATE, count), booked_at, tee_time)
    is_paid = (price > 0) & (paid_at <= block.until) & (status != _NO_SHOW)
    is_paid &= (status != CANCELLED) | draw_flags(rng, _CANCELLED_PAYMENT_RATE, count)
    known = booked_at <= block.until
    drawn = (numbers, person, tee_time, booked_at, status, price, np.where(is_paid, paid_at, NULL), party)
    return Bookings(*(column[known] for column in drawn))


def _draw_prices(block: PeopleBlock, party: Ints, is_member: Flags) -> Ints:
    """Returns what each party pays, NULL for nothing: members sometimes pay for a cart, guests nearly always pay."""
    rng, count = block.rng, len(party)
    green_fee = block.club.country.green_fee_cents
    fee = np.where(is_member, green_fee // _CART_FEE_DIVISOR, green_fee * party)
    price = fee + fee // _PRICE_STEP_DIVISOR * rng.integers(-_MAX_PRICE_STEPS, _MAX_PRICE_STEPS + 1, size=count)
    pays = rng.random(count) < np.where(is_member, _MEMBER_PAYMENT_RATE, _GUEST_PAYMENT_RATE)
    return np.where(pays, price, NULL)


def draw_booking_events(block: PeopleBlock, bookings: Bookings, player: Ints, paid_in_ledger: Flags) -> EventRows:
    """Returns the rows of Booking; half of the payments through the ledger show at the booking too."""
    hidden = paid_in_ledger & draw_flags(block.rng, _PREPAYMENT_RATE, len(paid_in_ledger))
    last = np.where(bookings.status == _BOOKED, bookings.booked_at, bookings.tee_time + _ROUND_DURATION)
    cancelled_at = np.maximum(bookings.booked_at, bookings.tee_time - DAY)
    return EventRows(
        teetime.booking,
        bookings.person,
        {
            "id": bookings.number,
            "player_id": player[bookings.person],
            "course_id": decode_categories(_COURSES, bookings.number % len(_COURSES)),
            "tee_time_at": bookings.tee_time,
            "booked_at": bookings.booked_at,
            "status": decode_categories(_BOOKING_STATUSES, bookings.status),
            "players": bookings.party_size,
            "price_cents": bookings.price,
            "currency": block.club.country.currency,
            "paid_at": np.where(hidden, NULL, bookings.paid_at),
            "updated_at": np.minimum(np.where(bookings.status == CANCELLED, cancelled_at, last), block.until),
        },
    )


def _find_played_rounds(bookings: Bookings, is_member: Flags) -> Ints:
    return np.flatnonzero((bookings.status == _PLAYED) & is_member[bookings.person])


def draw_handicaps(block: PeopleBlock, bookings: Bookings, player: Ints, is_member: Flags) -> tuple[EventRows, Ints]:
    """Returns handicap updates after some of the members' rounds, and everybody's handicap now, in tenths."""
    rng = block.rng
    first_handicap = np.where(
        draw_flags(rng, _HANDICAP_HOLDER_RATE, block.count), draw_integers(rng, 20, 360, block.count), NULL
    )
    rounds = _find_played_rounds(bookings, is_member & (first_handicap != NULL))
    rounds = rounds[draw_flags(rng, _HANDICAP_UPDATE_RATE, len(rounds))]
    person, moves = bookings.person[rounds], rng.integers(-_MAX_HANDICAP_CHANGE, _MAX_HANDICAP_CHANGE, size=len(rounds))
    total_moves = np.cumsum(moves)
    first = np.searchsorted(person, person)
    after = np.clip(first_handicap[person] + total_moves - (total_moves - moves)[first], _MIN_HANDICAP, _MAX_HANDICAP)
    before = np.where(np.arange(len(person)) == first, first_handicap[person], np.roll(after, 1))
    now = first_handicap.copy()
    now[person] = after
    recorded_at = bookings.tee_time[rounds] + _ROUND_DURATION
    columns = {"player_id": player[person], "handicap": after, "previous_handicap": before}
    times = {"recorded_at": recorded_at, "updated_at": recorded_at}
    return EventRows(teetime.handicap_update, person, columns | times), now


def draw_competitions(block: PeopleBlock, bookings: Bookings, player: Ints, is_member: Flags) -> EventRows:
    """Returns competition entries for some of the members' rounds."""
    rng = block.rng
    rounds = _find_played_rounds(bookings, is_member)
    rounds = rounds[draw_flags(rng, _COMPETITION_ENTRY_RATE, len(rounds))]
    count, person, played_at = len(rounds), bookings.person[rounds], bookings.tee_time[rounds]
    return EventRows(
        teetime.competition_entry,
        person,
        {
            "player_id": player[person],
            "competition": decode_categories(_COMPETITIONS, rng.integers(len(_COMPETITIONS), size=count)),
            "entered_at": bookings.booked_at[rounds],
            "played_at": played_at,
            "position": draw_integers(rng, 1, 60, count),
            "score": draw_integers(rng, 64, 110, count),
            "updated_at": played_at + _ROUND_DURATION,
        },
    )
