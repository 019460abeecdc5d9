"""SCL's events: fees, payments for bookings, refunds, changes of tier."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from crm_pipeline.sample.chance import DAY, HOUR, Flags, Ints, draw_flags, draw_integers
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.golf import CANCELLED, Bookings
from crm_pipeline.sample.memberships import TIERS, Contracts, add_years
from crm_pipeline.sample.rows import NULL, EventRows, decode_categories, format_record_ids
from crm_pipeline.tables.sources import scl, teetime

_PAYMENT_STATUSES: Final = ("SETTLED", "PENDING", "FAILED")
_SETTLED, _PENDING, _FAILED = range(3)
_DESCRIPTIONS: Final = ("Membership fee", "Tee time", "Refund")
_FEE, _TEE_TIME, _REFUND = range(3)
_FAILED_FEE_RATE, _REFUND_RATE, _LEDGER_PAYMENT_RATE, _TIER_CHANGE_RATE = 0.02, 0.015, 0.6, 0.08
_MIN_REFUND_DELAY, _MAX_REFUND_DELAY = DAY, 20 * DAY


@dataclass(frozen=True, slots=True)
class _LedgerEntries:
    """Lines of the ledger. `refund_of` is the position of the refunded line; it and `booking_number` may be NULL."""

    person: Ints
    amount_cents: Ints
    due_at: Ints
    paid_at: Ints
    status: Ints
    description: Ints
    booking_number: Ints
    refund_of: Ints


def draw_ledger_bookings(block: PeopleBlock, bookings: Bookings, is_member: Flags) -> Flags:
    """Returns which bookings members paid through the club's ledger."""
    is_eligible = is_member[bookings.person] & (bookings.paid_at != NULL) & (bookings.status != CANCELLED)
    return np.asarray(is_eligible & draw_flags(block.rng, _LEDGER_PAYMENT_RATE, len(is_eligible)))


def draw_entries(
    block: PeopleBlock, contracts: Contracts, bookings: Bookings, paid_here: Flags, is_member: Flags
) -> _LedgerEntries:
    """Returns every payment and refund, the refunds last."""
    made = _concatenate_entries(
        [*_draw_fees(block, contracts, is_member), _build_booking_payments(bookings, paid_here)]
    )
    return _concatenate_entries([made, _draw_refunds(block, made)])


def build_payment_events(block: PeopleBlock, entries: _LedgerEntries, numbers: Ints, member: Ints) -> EventRows:
    """Returns the rows of Payment."""
    refund_of = np.where(entries.refund_of == NULL, NULL, numbers[np.maximum(entries.refund_of, 0)])
    happened = np.where(entries.paid_at == NULL, entries.due_at, entries.paid_at)
    return EventRows(
        scl.payment,
        entries.person,
        {
            "id": numbers,
            "member_id": member[entries.person],
            "kind": decode_categories(("PAYMENT", "REFUND"), (entries.description == _REFUND).astype(np.int64)),
            "refund_of_id": format_record_ids(scl.payment, refund_of),
            "booking_id": format_record_ids(teetime.booking, entries.booking_number),
            "amount_cents": entries.amount_cents,
            "currency": block.club.country.currency,
            "status": decode_categories(_PAYMENT_STATUSES, entries.status),
            "description": decode_categories(_DESCRIPTIONS, entries.description),
            "due_at": entries.due_at,
            "paid_at": entries.paid_at,
            "updated_at": np.minimum(happened, block.until),
        },
    )


def draw_tier_changes(block: PeopleBlock, contracts: Contracts, member: Ints) -> EventRows:
    """Returns the tier changes of some members."""
    begins = np.maximum(contracts.joined_at, block.history_start) + DAY
    ends = np.minimum(np.where(contracts.ended_at == NULL, block.until, contracts.ended_at), block.until)
    changes = (member != NULL) & (begins < ends) & draw_flags(block.rng, _TIER_CHANGE_RATE, block.count)
    person = np.flatnonzero(changes)
    changed_at = draw_integers(block.rng, begins[person], ends[person], len(person))
    tier = contracts.tier[person]
    before = (tier + block.rng.integers(1, len(TIERS), size=len(person))) % len(TIERS)
    columns = {
        "member_id": member[person],
        "from_tier": decode_categories(TIERS, before),
        "to_tier": decode_categories(TIERS, tier),
    }
    return EventRows(scl.tier_change, person, columns | {"changed_at": changed_at, "updated_at": changed_at})


def _concatenate_entries(parts: list[_LedgerEntries]) -> _LedgerEntries:
    columns = (tuple(getattr(part, field.name) for part in parts) for field in fields(_LedgerEntries))
    return _LedgerEntries(*map(np.concatenate, columns))


def _draw_fees(block: PeopleBlock, contracts: Contracts, is_member: Flags) -> list[_LedgerEntries]:
    """Returns the fees paid, the payments that failed, and the fees still owed."""
    joined_here = (
        is_member & (contracts.joined_at >= block.history_start) & (contracts.unpaid_on != contracts.joined_at)
    )
    dues = np.where(is_member, contracts.paid_due_count, 0)
    renewals = np.repeat(np.arange(block.count), dues)
    nth = np.arange(len(renewals)) - np.repeat(np.cumsum(dues) - dues, dues)
    renewed_on = add_years(contracts.joined_at[renewals], contracts.first_due_year[renewals] + nth)
    first = np.flatnonzero(joined_here)
    person = np.concatenate([first, renewals])
    due = np.concatenate([contracts.joined_at[first], renewed_on])
    paid = due + np.where(np.arange(len(person)) < len(first), HOUR, contracts.payment_delay[person])
    bounced = draw_flags(block.rng, _FAILED_FEE_RATE, len(person))
    owing = np.flatnonzero(is_member & (contracts.unpaid_on != NULL))
    return [
        _build_fee_entries(contracts, person, due, np.where(paid <= block.until, paid, due), _SETTLED),
        _build_fee_entries(contracts, person[bounced], due[bounced], np.full(bounced.sum(), NULL), _FAILED),
        _build_fee_entries(contracts, owing, contracts.unpaid_on[owing], np.full(len(owing), NULL), _PENDING),
    ]


def _build_fee_entries(contracts: Contracts, person: Ints, due: Ints, paid: Ints, status: int) -> _LedgerEntries:
    none = np.full_like(person, NULL)
    state, what = np.full_like(person, status), np.full_like(person, _FEE)
    return _LedgerEntries(person, contracts.yearly_fee_cents[person], due, paid, state, what, none, none)


def _build_booking_payments(bookings: Bookings, paid_here: Flags) -> _LedgerEntries:
    person = bookings.person[paid_here]
    none, paid = np.full_like(person, NULL), bookings.paid_at[paid_here]
    state, what = np.full_like(person, _SETTLED), np.full_like(person, _TEE_TIME)
    return _LedgerEntries(person, bookings.price[paid_here], none, paid, state, what, bookings.number[paid_here], none)


def _draw_refunds(block: PeopleBlock, made: _LedgerEntries) -> _LedgerEntries:
    settled = np.flatnonzero(made.status == _SETTLED)
    returned = settled[draw_flags(block.rng, _REFUND_RATE, len(settled))]
    paid = made.paid_at[returned] + draw_integers(block.rng, _MIN_REFUND_DELAY, _MAX_REFUND_DELAY, len(returned))
    in_time = paid <= block.until
    place, paid = returned[in_time], paid[in_time]
    none, what = np.full_like(place, NULL), np.full_like(place, _REFUND)
    return _LedgerEntries(
        made.person[place], made.amount_cents[place], none, paid, made.status[place], what, none, place
    )
