"""Which rows of a file are faulty, and what becomes of each: one fault, as text."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Table

from crm_pipeline.sample.chance import DAY, Flags, Rng, draw_flags
from crm_pipeline.sample.clubs import PeopleBlock
from crm_pipeline.sample.faults.spellings import (
    PLACEHOLDERS,
    SPELLINGS,
    add_extension,
    add_invisible,
    format_time,
    pick_one,
    spell_number,
    spell_uuid,
)
from crm_pipeline.sample.phones import build_pro_shop_number
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.sources import crm, scl, teetime

Row = dict[str, str | None]

_PLACEHOLDER_RATE, _CONTRACT_FAULT_RATE, _HUGE_AMOUNT_RATE = 0.4, 0.2, 0.1
_HUGE_AMOUNT: Final = str(2**63 - 1)
_OPEN_END: Final = "9999-12-31T00:00:00Z"
_MAX_EMPTY_LINES, _NEW_MEMBER_PERIOD, _PLANNED_START_DELAY = 2, 120 * DAY, 30 * DAY
_ACCOUNT_PREFIX, _BOOKING_PREFIX, _PURGED_BOOKING = "account-", "booking-", "booking-0"
_HASH_MULTIPLIER, _HASH_RANGE = 2_654_435_761, 1 << 32

NUMBERED_COLUMNS: Final = {
    **dict.fromkeys(PERSON_TABLES.values(), ("authUserId", _ACCOUNT_PREFIX)),
    teetime.booking: ("id", _BOOKING_PREFIX),
    scl.payment: ("bookingId", _BOOKING_PREFIX),
}
"""Columns whose values are of another kind for a share of the accounts and bookings, wherever they are named."""


def split_faulty_rows(block: PeopleBlock, table: Table, rows: pa.Table) -> tuple[pa.Table, bytes]:
    """Returns the rows that stay as they are, and the faulty ones as lines of CSV with empty lines after them."""
    has_fault = _draw_faulty_rows(block, table, rows.num_rows)
    is_numbered = _find_numbered_rows(block, table, rows)
    is_faulty = has_fault | is_numbered
    faulty = _as_texts(rows.filter(pa.array(is_faulty)))
    for row, is_spoilt, is_renamed in zip(faulty, has_fault[is_faulty], is_numbered[is_faulty], strict=True):
        if is_renamed:
            _rename_numbered(table, row, block)
        if is_spoilt:
            _SPOILERS[table](row, block)
    lines = format_rows(table, faulty)
    if faulty:
        empty_lines = int(block.fault_rng.integers(_MAX_EMPTY_LINES + 1))
        lines += f"{',' * (len(table.columns) - 1)}\n".encode() * empty_lines
    return rows.filter(pa.array(~is_faulty)), lines


def format_rows(table: Table, rows: Iterable[Mapping[str, str | None]]) -> bytes:
    """Returns the rows as lines of CSV, quoted where they have to be; columns not given are empty."""
    lines = io.StringIO()
    csv.DictWriter(lines, [column.name for column in table.columns], lineterminator="\n").writerows(rows)
    return lines.getvalue().encode()


def _draw_faulty_rows(block: PeopleBlock, table: Table, count: int) -> Flags:
    return draw_flags(block.fault_rng, block.fault_share if table in _SPOILERS else 0.0, count)


def _find_numbered_rows(block: PeopleBlock, table: Table, rows: pa.Table) -> Flags:
    """Returns which rows name a chosen account or booking, by a hash of its number alone."""
    if table not in NUMBERED_COLUMNS:
        return np.zeros(rows.num_rows, np.bool_)
    name, prefix = NUMBERED_COLUMNS[table]
    texts = pc.utf8_slice_codeunits(rows[name], len(prefix))
    numbers = pc.fill_null(texts.cast(pa.int64()), -1).to_numpy().astype(np.uint64)
    hashed = numbers * np.uint64(_HASH_MULTIPLIER) % np.uint64(_HASH_RANGE)
    return np.asarray((hashed < block.fault_share * _HASH_RANGE) & rows[name].is_valid().to_numpy())


def _as_texts(rows: pa.Table) -> list[Row]:
    texts = pa.table([column.cast(pa.string()) for column in rows.columns], names=rows.column_names)
    faulty: list[Row] = texts.to_pylist()
    return faulty


def _rename_numbered(table: Table, row: Row, block: PeopleBlock) -> None:
    """Writes an account as a UUID and a booking as a plain number, both in various spellings."""
    name, prefix = NUMBERED_COLUMNS[table]
    value = str(row[name])
    if prefix == _ACCOUNT_PREFIX:
        row[name] = spell_uuid(str(uuid5(NAMESPACE_URL, value)), block.fault_rng)
    else:
        number = value.removeprefix(prefix)
        row[name] = number if table is teetime.booking else spell_number(number, block.fault_rng)


def _spoil_person(row: Row, block: PeopleBlock) -> None:
    rng = block.fault_rng
    column = pick_one(tuple(PLACEHOLDERS), rng)
    value = row[column]
    if column == "phoneNumber" and rng.random() < _PLACEHOLDER_RATE:
        # Several people behind one number of the club.
        club_number = f"+{block.club.country.calling_code}{build_pro_shop_number(block.club.country)}"
        row[column] = pick_one((add_extension(club_number, rng), pick_one(PLACEHOLDERS[column], rng)), rng)
    elif value is None or rng.random() < _PLACEHOLDER_RATE:
        row[column] = pick_one(PLACEHOLDERS[column], rng)
    else:
        row[column] = pick_one(SPELLINGS[column], rng)(value, rng)


def _spoil_member(row: Row, block: PeopleBlock) -> None:
    if str(row["joinedAt"]) > format_time(block.until - _NEW_MEMBER_PERIOD):
        row["joinedAt"] = format_time(block.until + _PLANNED_START_DELAY)
    elif block.fault_rng.random() >= _CONTRACT_FAULT_RATE:
        _spoil_person(row, block)
    elif row["endedAt"] is None:
        row["endedAt"] = _OPEN_END
    else:
        row["yearlyFeeCents"] = _HUGE_AMOUNT


def _spoil_payment(row: Row, block: PeopleBlock) -> None:
    rng = block.fault_rng
    if rng.random() < _HUGE_AMOUNT_RATE:
        row["amountCents"] = _HUGE_AMOUNT
    elif row["bookingId"] is None:
        row["memberId"] = f"{row['memberId']}.0"
    else:
        row["bookingId"] = pick_one((_PURGED_BOOKING, add_invisible(row["bookingId"], rng)), rng)


def _spoil_booking(row: Row, block: PeopleBlock) -> None:
    if block.fault_rng.random() < _HUGE_AMOUNT_RATE:
        row["priceCents"] = _HUGE_AMOUNT
    else:
        row["courseId"] = _add_invisible_where_given(row["courseId"], block.fault_rng)


def _spoil_profile_id(row: Row, block: PeopleBlock) -> None:
    for column in ("profileId", "referrerProfileId", "referredProfileId"):
        if (value := row.get(column)) is not None:
            row[column] = spell_uuid(value, block.fault_rng)


def _add_invisible_where_given(value: str | None, rng: Rng) -> str | None:
    return None if value is None else add_invisible(value, rng)


_SPOILERS: Final[dict[Table, Callable[[Row, PeopleBlock], None]]] = {
    **dict.fromkeys(PERSON_TABLES.values(), _spoil_person),
    scl.member: _spoil_member,
    scl.payment: _spoil_payment,
    teetime.booking: _spoil_booking,
    **dict.fromkeys((crm.note, crm.profile_tag, crm.campaign_interaction, crm.referral), _spoil_profile_id),
}
"""Per table, what gives a row one fault."""
