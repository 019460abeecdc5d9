"""Contracts of members: when they joined, when they pay, and when and how they leave.

Every anniversary is a decision: a member leaves at it with a probability of their own, so those who have stayed longest
leave least. Leavers play less long before. The rows that tell of a contract are made in `ledger` and `records`.
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
    """One contract for everybody of a block; only those of members mean anything.

    `first_due` counts the anniversary that is the first of the history, `paid_dues` how many were paid from it on, each
    `pays_after` its day. `unpaid_on` is the day of a due not paid, if any.
    """

    joined: Ints
    tier: Ints
    fee: Ints
    status: npt.NDArray[np.str_]
    renews_on: Ints
    ended: Ints
    notice: Ints
    first_due: Ints
    paid_dues: Ints
    pays_after: Ints
    unpaid_on: Ints
    plays_until: Ints


@dataclass(frozen=True, slots=True)
class _ContractTerms:
    """What chance decided; the rest of a contract follows."""

    until: int
    joined: Ints
    first_due: Ints
    last_due: Ints
    leaves_at: Ints
    resigns: Flags
    notice: Ints
    pays_after: Ints
    is_pending: Flags
    is_suspended: Flags
    resigns_at_once: Flags

    @property
    def leaves_on(self) -> Ints:
        return add_years(self.joined, self.leaves_at)

    @property
    def left(self) -> Flags:
        return np.asarray(self.leaves_at <= self.last_due)

    @property
    def pays_late(self) -> Flags:
        due = add_years(self.joined, self.last_due) + self.pays_after > self.until
        return np.asarray(due & ~self.left & (self.last_due >= self.first_due))

    @property
    def gave_notice(self) -> Flags:
        return np.asarray(self.resigns & (self.notice <= self.until) & ~self.is_pending)

    @property
    def resigned(self) -> Flags:
        return np.asarray(self.gave_notice & (self.left | self.resigns_at_once))

    @property
    def lapsed(self) -> Flags:
        return np.asarray(self.left & ~self.resigns & (self.leaves_on + _GRACE_PERIOD <= self.until))

    @property
    def owes_since(self) -> Ints:
        """The day of the due not paid."""
        owes = self.pays_late | (self.left & ~self.resigned & ~self.lapsed)
        due = np.where(self.left, self.leaves_on, add_years(self.joined, self.last_due))
        return np.where(self.is_pending, self.joined, np.where(owes, due, NULL))


def draw_contracts(block: PeopleBlock) -> Contracts:
    """A contract for each of the people."""
    made = _draw_contract_terms(block)
    ended = np.where(made.resigned, made.leaves_on, np.where(made.lapsed, made.leaves_on + _GRACE_PERIOD, NULL))
    renews_at = np.where(made.left, made.leaves_at, made.last_due + ~made.pays_late)
    tier = draw_categories(block.rng, _TIER_WEIGHTS, block.count)
    quiet_before = draw_integers(block.rng, 0, _MAX_QUIET_PERIOD, block.count)
    return Contracts(
        joined=made.joined,
        tier=tier,
        fee=_YEARLY_FEE_MULTIPLIERS[tier] * block.club.country.green_fee_cents,
        status=_select_statuses(made),
        renews_on=add_years(made.joined, renews_at),
        ended=ended,
        notice=np.where(made.gave_notice, np.maximum(made.notice, made.joined), NULL),
        first_due=made.first_due,
        paid_dues=np.minimum(made.last_due - made.pays_late, made.leaves_at - 1) - made.first_due + 1,
        pays_after=made.pays_after,
        unpaid_on=made.owes_since,
        plays_until=np.minimum(made.leaves_on - quiet_before, block.until + BOOKING_WINDOW),
    )


def _draw_contract_terms(block: PeopleBlock) -> _ContractTerms:
    rng, count = block.rng, block.count
    joined = _draw_join_times(block)
    first_due = _count_whole_years(joined, block.start) + 1
    leaving = np.maximum(rng.beta(_CHURN_ALPHA, _CHURN_BETA + first_due - 1), 1 / _MAX_RENEWALS)
    leaves_at = first_due + np.minimum(rng.geometric(leaving), _MAX_RENEWALS) - 1
    return _ContractTerms(
        until=block.until,
        joined=joined,
        first_due=first_due,
        last_due=_count_whole_years(joined, block.until),
        leaves_at=leaves_at,
        resigns=draw_flags(rng, _RESIGNATION_RATE, count),
        notice=add_years(joined, leaves_at) - draw_integers(rng, 20 * DAY, 90 * DAY, count),
        pays_after=draw_delays(rng, _MEAN_PAYMENT_DELAY, count),
        is_pending=(joined > block.until - _PROCESSING_PERIOD) & draw_flags(rng, _PENDING_RATE, count),
        is_suspended=draw_flags(rng, _SUSPENSION_RATE, count),
        resigns_at_once=draw_flags(rng, _IMMEDIATE_RESIGNATION_RATE, count),
    )


def _draw_join_times(block: PeopleBlock) -> Ints:
    """Some before the history, some in it; never late in a month, so that every year has the day."""
    rng, count = block.rng, block.count
    long_ago = block.start - draw_delays(rng, _MEAN_TENURE_YEARS * _YEAR, count) % (_MAX_TENURE_YEARS * _YEAR)
    joined = np.where(
        draw_flags(rng, _EARLIER_JOIN_RATE, count), long_ago, draw_integers(rng, block.start, block.until - DAY, count)
    )
    day = (joined // DAY).astype("M8[D]")
    late = np.maximum((day - day.astype("M8[M]")).astype(np.int64) + 1 - _MAX_JOIN_DAY, 0)
    return np.asarray((day.astype(np.int64) - late) * DAY + joined % DAY)


def add_years(joined: Ints, years: Ints) -> Ints:
    """The same day and time, `years` later."""
    day = (joined // DAY).astype("M8[D]")
    month = day.astype("M8[M]")
    later = (month + 12 * years).astype("M8[D]") + (day - month)
    return np.asarray(later.astype(np.int64) * DAY + joined % DAY)


def _count_whole_years(joined: Ints, moment: int) -> Ints:
    """Whole years, 0 before the first."""
    months = (np.datetime64(moment, "s").astype("M8[M]") - (joined // DAY).astype("M8[D]").astype("M8[M]")).astype(int)
    years = months // 12
    return np.asarray(np.maximum(years - (add_years(joined, years) > moment), 0))


def _select_statuses(made: _ContractTerms) -> npt.NDArray[np.str_]:
    first_that_holds = {
        MembershipStatus.PENDING: made.is_pending,
        MembershipStatus.RESIGNED: made.resigned,
        MembershipStatus.LAPSED: made.lapsed,
        MembershipStatus.OVERDUE: made.owes_since != NULL,
        MembershipStatus.SUSPENDED: made.is_suspended,
    }
    return np.select(
        list(first_that_holds.values()), [status.value for status in first_that_holds], MembershipStatus.ACTIVE.value
    )
