"""Phone numbers settled in whole columns: the few patterns that nearly every spelling falls under.

Belongs here: what a handful of passes over a column can prove. Does not belong here: any number that leaves a doubt,
which `phones.py` reads on its own; to leave one open is never wrong.
"""

import re
from collections.abc import Iterator
from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import SUPPORTED_REGIONS

from crm_pipeline.domain.numbering_plans import (
    NEVER,
    Kind,
    NumberingPlan,
    Region,
    calling_code_of,
    plan_of_code,
    plan_of_region,
)

LONGEST_SPELLING: Final = 250
PLAIN: Final = re.compile(r"\+?[0-9]{3,}")
# phonenumbers drops "x", "~" and the katakana dash too, but they may begin an extension or end the number.
_ASCII_PUNCTUATION: Final = b" ()./[]-"
PUNCTUATION: Final = _ASCII_PUNCTUATION.decode() + "\u00a0\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
# Fewer numbers than this are read one by one in the time it takes to compile their patterns for a column.
_WORTH_A_COLUMN: Final = 300


def without_punctuation(values: pa.StringArray) -> tuple[pa.StringArray, pa.BooleanArray]:
    """The spellings, the plain ones reduced to digits and plus, and which ones those are."""
    dialled = _without_bytes(values, _ASCII_PUNCTUATION)
    is_short = pc.less_equal(pc.binary_length(values), LONGEST_SPELLING)
    is_plain = pc.and_(is_short, pc.match_substring_regex(dialled, f"^(?:{PLAIN.pattern})$"))
    return pc.if_else(is_plain, dialled, values), is_plain


def _without_bytes(values: pa.StringArray, unwanted: bytes) -> pa.StringArray:
    """The spellings without some ASCII characters, null as empty: half the time of a pattern."""
    _, ends, text = values.buffers()
    if text is None:
        return pc.fill_null(values, "")
    characters = np.frombuffer(text, np.uint8)
    wanted = ~np.isin(np.arange(256), list(unwanted))[characters]
    moved = np.zeros(len(characters) + 1, np.int32)
    np.cumsum(wanted, out=moved[1:])
    ends = moved[np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1]]
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(ends), pa.py_buffer(characters[wanted]))


def numbers_in_columns(
    dialled: pa.StringArray, is_plain: pa.BooleanArray, regions: pa.StringArray
) -> Iterator[tuple[npt.NDArray[np.int64], pa.StringArray]]:
    """Row numbers, and the valid numbers they hold, wherever one pass over a column leaves no doubt."""
    states_code = pc.starts_with(dialled, "+")
    is_readable = pc.and_(is_plain, pc.or_(states_code, pc.is_in(regions, value_set=pa.array(SUPPORTED_REGIONS))))
    read_by = pc.if_else(states_code, pc.utf8_slice_codeunits(dialled, 0, 4), regions)
    for plan, rows in _groups(pc.if_else(is_readable, read_by, None)):
        if len(rows) >= _WORTH_A_COLUMN:
            numbers = _settle(dialled.take(rows), plan)
            yield rows[numbers.is_valid().to_numpy(zero_copy_only=False)], numbers.drop_null()


def _groups(heads: pa.StringArray) -> Iterator[tuple[NumberingPlan, npt.NDArray[np.int64]]]:
    """The rows that each plan reads, by a head such as `+442`, where they state a country code, or `GB`."""
    encoded = heads.dictionary_encode()
    plan_of_head = [_plan_of(head) for head in encoded.dictionary.to_pylist()]
    plans = list(dict.fromkeys(plan for plan in plan_of_head if plan))
    number_of = np.array([plans.index(plan) if plan else -1 for plan in plan_of_head] + [-1])
    numbers = number_of[encoded.indices.fill_null(len(plan_of_head)).to_numpy()]
    by_plan = np.argsort(numbers, kind="stable")
    ends = np.searchsorted(numbers[by_plan], np.arange(-1, len(plans)), side="right")
    return ((plan, by_plan[start:end]) for plan, start, end in zip(plans, ends[:-1], ends[1:], strict=True))


def _plan_of(head: str) -> NumberingPlan | None:
    if not head.startswith("+"):
        return plan_of_region(head)
    code = calling_code_of(head[1:])
    return plan_of_code(code) if code else None


def _settle(dialled: pa.StringArray, plan: NumberingPlan) -> pa.StringArray:
    """The valid numbers among those one plan reads, null where the plainest reading might not be the right one."""
    code = f"+{plan.calling_code}"
    digits = pc.if_else(pc.starts_with(dialled, code), pc.utf8_slice_codeunits(dialled, len(code)), dialled)
    from_abroad = [plan.calling_code, plan.international_prefix.pattern]
    sure = pc.invert(_begin(dialled, "|".join(prefix for prefix in from_abroad if prefix != NEVER)))
    if plan.trunk_rewrite:
        kept = _without(digits, plan.trunk_prefix, keep=True)
        sure = pc.and_(sure, pc.equal(_without(digits, plan.trunk_prefix), kept))
    digits = _without(digits, plan.trunk_prefix)
    lengths = pc.binary_length(digits)
    sure = pc.and_(sure, pc.is_in(lengths, value_set=pa.array(plan.lengths, pa.int32())))
    general = _are_of(plan.region.general, digits, lengths)
    valid = reduce(pc.or_, (_are_valid_in(region, digits, lengths) for region in (plan.region, *plan.siblings)))
    return pc.if_else(pc.and_(pc.and_(sure, general), valid), pc.binary_join_element_wise(code, digits, ""), None)


def _are_valid_in(region: Region, digits: pa.StringArray, lengths: pa.Int32Array) -> pa.BooleanArray:
    """Whether the digits are surely a mobile or fixed-line number, of this region or of one asked before it."""
    sure = reduce(pc.or_, (_are_of(kind, digits, lengths) for kind in region.personal), pa.scalar(False))
    sure = pc.and_(sure, _are_of(region.general, digits, lengths))
    if region.leading:
        sure = pc.and_(sure, _begin(digits, region.leading))
    return pc.and_(sure, pc.invert(_begin(digits, region.decided_before))) if region.decided_before else sure


def _are_of(kind: Kind, digits: pa.StringArray, lengths: pa.Int32Array) -> pa.BooleanArray:
    possible = pc.is_in(lengths, value_set=pa.array(kind.lengths, pa.int32()))
    return pc.and_(possible, pc.match_substring_regex(digits, f"^(?:{kind.pattern})$"))


def _begin(digits: pa.StringArray, pattern: str) -> pa.BooleanArray:
    return pc.match_substring_regex(digits, f"^(?:{pattern})")


def _without(digits: pa.StringArray, prefix: re.Pattern[str], *, keep: bool = False) -> pa.StringArray:
    """The digits after a prefix, with `keep` after what the last group of the prefix took."""
    if prefix.pattern == NEVER:
        return digits
    return pc.replace_substring_regex(digits, f"^(?:{prefix.pattern})", rf"\{prefix.groups}" if keep else "")
