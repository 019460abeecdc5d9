"""SCL's events: fees, payments for bookings, refunds, changes of tier.

The contracts behind them are drawn in `memberships`, the bookings in `golf`.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from crm_pipeline.sample.chance import DAY, HOUR, Flags, Ints, between, happens
from crm_pipeline.sample.clubs import Block
from crm_pipeline.sample.golf import CANCELLED, Bookings
from crm_pipeline.sample.memberships import TIERS, Contracts, anniversary
from crm_pipeline.sample.rows import NULL, Events, ids, words
from crm_pipeline.tables.sources import scl, teetime

_STATUSES: Final = ("SETTLED", "PENDING", "FAILED")
_SETTLED, _PENDING, _FAILED = range(3)
_DESCRIPTIONS: Final = ("Membership fee", "Tee time", "Refund")
_FEE, _TEE_TIME, _REFUND = range(3)
_BOUNCES, _GETS_REFUND, _THROUGH_LEDGER, _CHANGES_TIER = 0.02, 0.015, 0.6, 0.08
_SOONEST, _LATEST = DAY, 20 * DAY


@dataclass(frozen=True, slots=True)
class _Entries:
    """Lines of the ledger. `refund_of` is the place of the line given back, `booking` a number; NULL for neither."""

    person: Ints
    amount: Ints
    due: Ints
    paid: Ints
    status: Ints
    what: Ints
    booking: Ints
    refund_of: Ints


def draw_ledger_bookings(block: Block, bookings: Bookings, is_member: Flags) -> Flags:
    """Which bookings members paid through the club's ledger."""
    could = is_member[bookings.person] & (bookings.paid_at != NULL) & (bookings.status != CANCELLED)
    return np.asarray(could & happens(block.rng, _THROUGH_LEDGER, len(could)))


def draw_entries(
    block: Block, contracts: Contracts, bookings: Bookings, paid_here: Flags, is_member: Flags
) -> _Entries:
    """Every payment and refund, the refunds last."""
    made = _joined([*_fees(block, contracts, is_member), _booking_payments(bookings, paid_here)])
    return _joined([made, _refunds(block, made)])


def payment_events(block: Block, entries: _Entries, numbers: Ints, member: Ints) -> Events:
    """The rows."""
    refund_of = np.where(entries.refund_of == NULL, NULL, numbers[np.maximum(entries.refund_of, 0)])
    happened = np.where(entries.paid == NULL, entries.due, entries.paid)
    return Events(
        scl.payment,
        entries.person,
        {
            "id": numbers,
            "member_id": member[entries.person],
            "kind": words(("PAYMENT", "REFUND"), (entries.what == _REFUND).astype(np.int64)),
            "refund_of_id": ids(scl.payment, refund_of),
            "booking_id": ids(teetime.booking, entries.booking),
            "amount_cents": entries.amount,
            "currency": block.club.country.currency,
            "status": words(_STATUSES, entries.status),
            "description": words(_DESCRIPTIONS, entries.what),
            "due_at": entries.due,
            "paid_at": entries.paid,
            "updated_at": np.minimum(happened, block.until),
        },
    )


def draw_tier_changes(block: Block, contracts: Contracts, member: Ints) -> Events:
    """Some members once had another tier."""
    begins = np.maximum(contracts.joined, block.start) + DAY
    ends = np.minimum(np.where(contracts.ended == NULL, block.until, contracts.ended), block.until)
    changes = (member != NULL) & (begins < ends) & happens(block.rng, _CHANGES_TIER, block.count)
    person = np.flatnonzero(changes)
    changed_at = between(block.rng, begins[person], ends[person], len(person))
    tier = contracts.tier[person]
    before = (tier + block.rng.integers(1, len(TIERS), size=len(person))) % len(TIERS)
    columns = {"member_id": member[person], "from_tier": words(TIERS, before), "to_tier": words(TIERS, tier)}
    return Events(scl.tier_change, person, columns | {"changed_at": changed_at, "updated_at": changed_at})


def _joined(parts: list[_Entries]) -> _Entries:
    columns = (tuple(getattr(part, field.name) for part in parts) for field in fields(_Entries))
    return _Entries(*map(np.concatenate, columns))


def _fees(block: Block, contracts: Contracts, is_member: Flags) -> list[_Entries]:
    """Those paid, those asked for in vain, and those still owed."""
    joined_here = is_member & (contracts.joined >= block.start) & (contracts.unpaid_on != contracts.joined)
    dues = np.where(is_member, contracts.paid_dues, 0)
    renewals = np.repeat(np.arange(block.count), dues)
    nth = np.arange(len(renewals)) - np.repeat(np.cumsum(dues) - dues, dues)
    renewed_on = anniversary(contracts.joined[renewals], contracts.first_due[renewals] + nth)
    first = np.flatnonzero(joined_here)
    person = np.concatenate([first, renewals])
    due = np.concatenate([contracts.joined[first], renewed_on])
    paid = due + np.where(np.arange(len(person)) < len(first), HOUR, contracts.pays_after[person])
    bounced = happens(block.rng, _BOUNCES, len(person))
    owing = np.flatnonzero(is_member & (contracts.unpaid_on != NULL))
    return [
        _fee(contracts, person, due, np.where(paid <= block.until, paid, due), _SETTLED),
        _fee(contracts, person[bounced], due[bounced], np.full(bounced.sum(), NULL), _FAILED),
        _fee(contracts, owing, contracts.unpaid_on[owing], np.full(len(owing), NULL), _PENDING),
    ]


def _fee(contracts: Contracts, person: Ints, due: Ints, paid: Ints, status: int) -> _Entries:
    none = np.full_like(person, NULL)
    state, what = np.full_like(person, status), np.full_like(person, _FEE)
    return _Entries(person, contracts.fee[person], due, paid, state, what, none, none)


def _booking_payments(bookings: Bookings, paid_here: Flags) -> _Entries:
    person = bookings.person[paid_here]
    none, paid = np.full_like(person, NULL), bookings.paid_at[paid_here]
    state, what = np.full_like(person, _SETTLED), np.full_like(person, _TEE_TIME)
    return _Entries(person, bookings.price[paid_here], none, paid, state, what, bookings.number[paid_here], none)


def _refunds(block: Block, made: _Entries) -> _Entries:
    settled = np.flatnonzero(made.status == _SETTLED)
    returned = settled[happens(block.rng, _GETS_REFUND, len(settled))]
    paid = made.paid[returned] + between(block.rng, _SOONEST, _LATEST, len(returned))
    in_time = paid <= block.until
    place, paid = returned[in_time], paid[in_time]
    none, what = np.full_like(place, NULL), np.full_like(place, _REFUND)
    return _Entries(made.person[place], made.amount[place], none, paid, made.status[place], what, none, place)
