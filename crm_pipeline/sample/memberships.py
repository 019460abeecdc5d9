"""Contracts of members: when they joined, when they pay, and when and how they leave.

At every anniversary a member leaves with a probability of their own, so those who have stayed longest leave least.
Leavers stop playing some time before.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from crm_pipeline.sample.chance import DAY, Flags, Ints, draw_categories, draw_delays, draw_flags, draw_integers
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.rows import NULL
from crm_pipeline.vocabulary import MembershipStatus

TIERS: Final = ("Full", "Weekday", "Senior", "Junior", "Social")
_TIER_WEIGHTS: Final = (0.5, 0.2, 0.15, 0.07, 0.08)
_YEARLY_FEE_MULTIPLIERS: Final = np.array((30, 22, 18, 6, 3))

_YEAR, _MAX_JOIN_DAY = 365 * DAY, 28
_EARLIER_JOIN_RATE, _MEAN_TENURE_YEARS, _MAX_TENURE_YEARS = 0.55, 5, 25
_CHURN_ALPHA, _CHURN_BETA, _MAX_RENEWALS = 0.9, 4.5, 60
_RESIGNATION_RATE, _IMMEDIATE_RESIGNATION_RATE, _SUSPENSION_RATE, _PENDING_RATE = 0.6, 0.5, 0.015, 0.6
_MEAN_PAYMENT_DELAY, _GRACE_PERIOD, _PROCESSING_PERIOD, _MAX_QUIET_PERIOD = 10 * DAY, 90 * DAY, 21 * DAY, 240 * DAY
BOOKING_WINDOW: Final = 14 * DAY
"""How far ahead people book."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """One contract for each person of a block; only those of members are used.

    `first_due_year` is the number of the first anniversary in the history, `paid_due_count` how many dues were paid
    from it on, each `payment_delay` seconds after its day. `unpaid_on` is the day of a due not paid, or NULL.
    """

    joined_at: Ints
    tier: Ints
    yearly_fee_cents: Ints
    status: npt.NDArray[np.str_]
    renews_on: Ints
    ended_at: Ints
    notice_given_at: Ints
    first_due_year: Ints
    paid_due_count: Ints
    payment_delay: Ints
    unpaid_on: Ints
    plays_until: Ints


@dataclass(frozen=True, slots=True)
class _ContractTerms:
    """The drawn terms of a contract, from which the rest follows."""

    until: int
    joined_at: Ints
    first_due_year: Ints
    last_due_year: Ints
    leave_year: Ints
    is_resignation: Flags
    notice_given_at: Ints
    payment_delay: Ints
    is_pending: Flags
    is_suspended: Flags
    is_immediate_resignation: Flags

    @property
    def left_at(self) -> Ints:
        return add_years(self.joined_at, self.leave_year)

    @property
    def has_left(self) -> Flags:
        return np.asarray(self.leave_year <= self.last_due_year)

    @property
    def is_paying_late(self) -> Flags:
        due = add_years(self.joined_at, self.last_due_year) + self.payment_delay > self.until
        return np.asarray(due & ~self.has_left & (self.last_due_year >= self.first_due_year))

    @property
    def has_given_notice(self) -> Flags:
        return np.asarray(self.is_resignation & (self.notice_given_at <= self.until) & ~self.is_pending)

    @property
    def has_resigned(self) -> Flags:
        return np.asarray(self.has_given_notice & (self.has_left | self.is_immediate_resignation))

    @property
    def has_lapsed(self) -> Flags:
        return np.asarray(self.has_left & ~self.is_resignation & (self.left_at + _GRACE_PERIOD <= self.until))

    @property
    def unpaid_on(self) -> Ints:
        """Returns the day of the due not paid, or NULL."""
        owes = self.is_paying_late | (self.has_left & ~self.has_resigned & ~self.has_lapsed)
        due = np.where(self.has_left, self.left_at, add_years(self.joined_at, self.last_due_year))
        return np.where(self.is_pending, self.joined_at, np.where(owes, due, NULL))


def draw_contracts(block: PeopleBlock) -> Contracts:
    """Returns a contract for each of the people."""
    terms = _draw_contract_terms(block)
    ended = np.where(terms.has_resigned, terms.left_at, np.where(terms.has_lapsed, terms.left_at + _GRACE_PERIOD, NULL))
    renews_at = np.where(terms.has_left, terms.leave_year, terms.last_due_year + ~terms.is_paying_late)
    tier = draw_categories(block.rng, _TIER_WEIGHTS, block.count)
    quiet_before = draw_integers(block.rng, 0, _MAX_QUIET_PERIOD, block.count)
    return Contracts(
        joined_at=terms.joined_at,
        tier=tier,
        yearly_fee_cents=_YEARLY_FEE_MULTIPLIERS[tier] * block.club.country.green_fee_cents,
        status=_select_statuses(terms),
        renews_on=add_years(terms.joined_at, renews_at),
        ended_at=ended,
        notice_given_at=np.where(terms.has_given_notice, np.maximum(terms.notice_given_at, terms.joined_at), NULL),
        first_due_year=terms.first_due_year,
        paid_due_count=np.minimum(terms.last_due_year - terms.is_paying_late, terms.leave_year - 1)
        - terms.first_due_year
        + 1,
        payment_delay=terms.payment_delay,
        unpaid_on=terms.unpaid_on,
        plays_until=np.minimum(terms.left_at - quiet_before, block.until + BOOKING_WINDOW),
    )


def _draw_contract_terms(block: PeopleBlock) -> _ContractTerms:
    rng, count = block.rng, block.count
    joined = _draw_join_times(block)
    first_due_year = _count_whole_years(joined, block.history_start) + 1
    leaving = np.maximum(rng.beta(_CHURN_ALPHA, _CHURN_BETA + first_due_year - 1), 1 / _MAX_RENEWALS)
    leave_year = first_due_year + np.minimum(rng.geometric(leaving), _MAX_RENEWALS) - 1
    return _ContractTerms(
        until=block.until,
        joined_at=joined,
        first_due_year=first_due_year,
        last_due_year=_count_whole_years(joined, block.until),
        leave_year=leave_year,
        is_resignation=draw_flags(rng, _RESIGNATION_RATE, count),
        notice_given_at=add_years(joined, leave_year) - draw_integers(rng, 20 * DAY, 90 * DAY, count),
        payment_delay=draw_delays(rng, _MEAN_PAYMENT_DELAY, count),
        is_pending=(joined > block.until - _PROCESSING_PERIOD) & draw_flags(rng, _PENDING_RATE, count),
        is_suspended=draw_flags(rng, _SUSPENSION_RATE, count),
        is_immediate_resignation=draw_flags(rng, _IMMEDIATE_RESIGNATION_RATE, count),
    )


def _draw_join_times(block: PeopleBlock) -> Ints:
    """Returns join times before and in the history, never late in a month, so that the day exists in every year."""
    rng, count = block.rng, block.count
    long_ago = block.history_start - draw_delays(rng, _MEAN_TENURE_YEARS * _YEAR, count) % (_MAX_TENURE_YEARS * _YEAR)
    joined = np.where(
        draw_flags(rng, _EARLIER_JOIN_RATE, count),
        long_ago,
        draw_integers(rng, block.history_start, block.until - DAY, count),
    )
    day = (joined // DAY).astype("M8[D]")
    late = np.maximum((day - day.astype("M8[M]")).astype(np.int64) + 1 - _MAX_JOIN_DAY, 0)
    return np.asarray((day.astype(np.int64) - late) * DAY + joined % DAY)


def add_years(joined: Ints, years: Ints) -> Ints:
    """Returns the same day and time, `years` later."""
    day = (joined // DAY).astype("M8[D]")
    month = day.astype("M8[M]")
    later = (month + 12 * years).astype("M8[D]") + (day - month)
    return np.asarray(later.astype(np.int64) * DAY + joined % DAY)


def _count_whole_years(joined: Ints, moment: int) -> Ints:
    """Returns the whole years from `joined` to `moment`, 0 before the first."""
    months = (np.datetime64(moment, "s").astype("M8[M]") - (joined // DAY).astype("M8[D]").astype("M8[M]")).astype(int)
    years = months // 12
    return np.asarray(np.maximum(years - (add_years(joined, years) > moment), 0))


def _select_statuses(terms: _ContractTerms) -> npt.NDArray[np.str_]:
    first_that_holds = {
        MembershipStatus.PENDING: terms.is_pending,
        MembershipStatus.RESIGNED: terms.has_resigned,
        MembershipStatus.LAPSED: terms.has_lapsed,
        MembershipStatus.OVERDUE: terms.unpaid_on != NULL,
        MembershipStatus.SUSPENDED: terms.is_suspended,
    }
    return np.select(
        list(first_that_holds.values()), [status.value for status in first_that_holds], MembershipStatus.ACTIVE.value
    )
