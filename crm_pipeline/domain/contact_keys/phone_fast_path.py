"""Phone numbers read in whole columns: digits as dialled, in one pass per decision for all numbering plans together.

The module takes the decisions that `phonenumbers` takes on a string of digits: how they were dialled, and whether they
are a valid number behind their country code. `phone_metadata` has the facts of each region.

A pattern costs a column no more when it holds the alternatives of every plan, each behind the name of its plan, so the
digits carry that name before them. All of it must be verified against `phonenumbers` again with every new release.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.contact_keys.phone_metadata import (
    NumberingPlan,
    NumberKind,
    RegionPatterns,
    find_calling_code,
    find_plan_by_code,
    find_plan_by_region,
    find_regions_by_code,
)

_Int64Array = npt.NDArray[np.int64]
_BoolArray = npt.NDArray[np.bool_]
_PLAN_NAME_LENGTH: Final = 3
_MAX_CODE_LENGTH: Final = 3


class _DialledNumbers(NamedTuple):
    """Digits to be read.

    Attributes:
        plans: the plans that read them.
        row: where in the column they come from, (n,).
        plan: which of `plans` reads them, (n,).
        text: the name of that plan and the digits, (n,).
    """

    plans: list[NumberingPlan]
    row: _Int64Array
    plan: _Int64Array
    text: pa.StringArray

    @property
    def digits(self) -> pa.StringArray:
        return _slice_texts(self.text, _PLAN_NAME_LENGTH)

    @property
    def length(self) -> _Int64Array:
        length: _Int64Array = np.minimum(pc.binary_length(self.text).to_numpy() - _PLAN_NAME_LENGTH, TOO_LONG)
        return length

    def take(self, some: _Int64Array | _BoolArray) -> "_DialledNumbers":
        at = np.flatnonzero(some) if some.dtype == bool else some
        return _DialledNumbers(self.plans, self.row[at], self.plan[at], self.text.take(pa.array(at)))

    def are(self, of_length: Callable[[NumberingPlan, int], bool]) -> _BoolArray:
        """Whether something holds for the plan and the number of digits."""
        table = np.array([[of_length(plan, length) for length in range(TOO_LONG + 1)] for plan in self.plans], bool)
        flags: _BoolArray = table.reshape(-1, TOO_LONG + 1)[self.plan, self.length]
        return flags

    def are_general(self) -> _BoolArray:
        return are_matching(self.text, self.beginning(lambda plan: plan.general) + "$")

    def beginning(self, part: Callable[[NumberingPlan], str]) -> str:
        """The pattern of a part of the plan at the beginning of the digits; without that part it never matches."""
        return build_prefix_pattern(f"{plan.name}(?:{part(plan)})" for plan in self.plans if part(plan))


def parse_dialled_numbers(dialled: pa.StringArray, regions: pa.StringArray) -> tuple[_Int64Array, pa.StringArray]:
    """Rows, and the valid numbers they hold in E.164, null where they hold none.

    Rows are left out where nothing is dialled, or no plan is known to read it by.

    Args:
        dialled: digits and the plus before them; null where there is nothing to read.
        regions: as many: where each is dialled.
    """
    has_plus = pc.starts_with(dialled, "+").fill_null(False)
    within = pc.if_else(pc.or_(has_plus, dialled.is_null()), None, regions)
    plans, row, plan = _find_plans(within, find_plan_by_region)
    national = _build_dialled_numbers(plans, row, plan, dialled.take(pa.array(row)))
    is_abroad, digits_abroad = _strip_international_prefix(national)
    has_own_code, without_code = _strip_own_calling_code(national, is_abroad)
    with_plus = np.flatnonzero(has_plus)
    rows = np.concatenate([with_plus, national.row[is_abroad]])
    digits = pa.concat_arrays([_slice_texts(dialled.take(pa.array(with_plus)), 1), digits_abroad])
    read = _concatenate_dialled_numbers(
        [national.take(~is_abroad & ~has_own_code), without_code, _strip_calling_code(rows, digits)]
    )
    return read.row, _format_e164(read)


def _find_plans(
    heads: pa.StringArray, plan_of: Callable[[str], NumberingPlan | None]
) -> tuple[list[NumberingPlan], _Int64Array, _Int64Array]:
    """The plans that the heads lead to, the rows that have one, a plan at a time, and which one that is."""
    encoded = heads.dictionary_encode()
    found = [plan_of(head) for head in encoded.dictionary.to_pylist()]
    plans = list(dict.fromkeys(plan for plan in found if plan))
    number = np.array([plans.index(plan) if plan else -1 for plan in found] + [-1], np.int16)
    plan = number[encoded.indices.fill_null(len(found)).to_numpy()]
    rows = np.argsort(plan, kind="stable")[np.count_nonzero(plan < 0) :]
    return plans, rows, plan[rows]


def _build_dialled_numbers(
    plans: list[NumberingPlan], row: _Int64Array, plan: _Int64Array, digits: pa.StringArray
) -> _DialledNumbers:
    names = pa.array([plan.name for plan in plans], pa.string())
    return _DialledNumbers(plans, row, plan, pc.binary_join_element_wise(names.take(pa.array(plan)), digits, ""))


def _concatenate_dialled_numbers(parts: Sequence[_DialledNumbers]) -> _DialledNumbers:
    plans = list(dict.fromkeys(plan for part in parts for plan in part.plans))
    plan = [np.array([plans.index(plan) for plan in part.plans], np.int16)[part.plan] for part in parts]
    rows, texts = (np.concatenate([part.row for part in parts]), pa.concat_arrays([part.text for part in parts]))
    return _DialledNumbers(plans, rows, np.concatenate(plan), texts)


def _strip_international_prefix(national: _DialledNumbers) -> tuple[_BoolArray, pa.StringArray]:
    """Which digits begin with an international prefix, and what comes after it."""
    prefix = national.beginning(lambda plan: plan.international_prefix)
    is_abroad = are_matching(national.text, prefix)
    after = pc.replace_substring_regex(national.text.filter(pa.array(is_abroad)), prefix, "")
    # No country code begins with 0, so there the prefix is taken for a part of the number.
    begins_with_0 = pc.starts_with(after, "0")
    is_abroad[is_abroad] = pc.invert(begins_with_0)
    return is_abroad, after.filter(pc.invert(begins_with_0))


def _strip_calling_code(rows: _Int64Array, digits: pa.StringArray) -> _DialledNumbers:
    """The digits after a country code, for the main region behind it to read; those without a code left out."""

    def plan_of(head: str) -> NumberingPlan | None:
        code = find_calling_code(head)
        return find_plan_by_code(code) if code else None

    plans, at, plan = _find_plans(_slice_texts(digits, 0, _MAX_CODE_LENGTH), plan_of)
    codes = build_prefix_pattern(each.calling_code for each in plans)
    return _build_dialled_numbers(
        plans, rows[at], plan, pc.replace_substring_regex(digits.take(pa.array(at)), codes, "")
    )


def _strip_own_calling_code(national: _DialledNumbers, is_abroad: _BoolArray) -> tuple[_BoolArray, _DialledNumbers]:
    """Which digits make sense only without the country code of their region before them, and what they are then."""
    code = national.beginning(lambda plan: plan.calling_code)
    has_code = np.flatnonzero(are_matching(national.text, code) & ~is_abroad)
    some = national.take(has_code)
    rest = _strip_trunk_prefix(
        _build_dialled_numbers(some.plans, some.row, some.plan, pc.replace_substring_regex(some.text, code, ""))
    )
    is_better = rest.are_general() & ~some.are_general() | some.are(NumberingPlan.is_too_long)
    has_own_code, rest = np.zeros(len(is_abroad), bool), rest.take(is_better)
    has_own_code[has_code[is_better]] = True
    return has_own_code, _build_dialled_numbers(
        [find_plan_by_code(each.calling_code) for each in rest.plans], rest.row, rest.plan, rest.digits
    )


def _format_e164(dialled: _DialledNumbers) -> pa.StringArray:
    """The numbers that the digits, without country code, stand for, null where they are not valid."""
    number = _strip_trunk_prefix(dialled)
    is_misread = number.are(NumberingPlan.is_too_short)
    as_dialled = dialled.text.filter(pa.array(is_misread))
    number = number._replace(text=pc.replace_with_mask(number.text, pa.array(is_misread), as_dialled))
    codes = sorted({plan.calling_code for plan in number.plans})
    code = np.array([codes.index(plan.calling_code) for plan in number.plans], np.int16)[number.plan]
    digits = number.digits
    valid = are_valid_numbers(codes, code, digits, number.length)
    prefix = pa.array([f"+{code}" for code in codes], pa.string()).take(pa.array(code, mask=~valid))
    return pc.binary_join_element_wise(prefix, digits, "")


def _strip_trunk_prefix(dialled: _DialledNumbers) -> _DialledNumbers:
    """The digits after 0, or whatever else is dialled before a number within the region."""
    prefix = dialled.beginning(lambda plan: plan.trunk_prefix)
    has_prefix = are_matching(dialled.text, prefix)
    some = dialled.take(has_prefix)
    digits = pc.replace_substring_regex(some.text, prefix, "")
    for number, plan in enumerate(some.plans):
        if plan.trunk_rewrite:
            digits = _rewrite_trunk_prefix(plan, some, some.plan == number, digits)
    rest = _build_dialled_numbers(some.plans, some.row, some.plan, digits)
    is_better = rest.are_general()
    is_better[~is_better] = ~some.take(~is_better).are_general()
    has_prefix[has_prefix] = is_better
    texts = pc.replace_with_mask(dialled.text, pa.array(has_prefix), rest.text.filter(pa.array(is_better)))
    return dialled._replace(text=texts)


def _rewrite_trunk_prefix(
    plan: NumberingPlan, some: _DialledNumbers, is_of_plan: _BoolArray, digits: pa.StringArray
) -> pa.StringArray:
    """`digits`, where they are of a plan and the last group of its trunk prefix took part in the match rewritten."""
    if not (plan.trunk_rewrite and is_of_plan.any()):
        return digits
    rewrite, group = plan.trunk_rewrite
    prefix, mine = f"^(?:{plan.trunk_prefix})", some.take(is_of_plan).digits
    took_part = pc.invert(pc.starts_with(pc.replace_substring_regex(mine, prefix, rf"\{group}|"), "|"))
    rewritten = pc.replace_substring_regex(mine.filter(took_part), prefix, rewrite)
    is_rewritten = is_of_plan.copy()
    is_rewritten[is_of_plan] = took_part
    return pc.replace_with_mask(digits, pa.array(is_rewritten), rewritten)


def _slice_texts(texts: pa.StringArray, start: int, stop: int = 2**10) -> pa.StringArray:
    """A part of each text; all of them are ASCII, so bytes are characters."""
    return pc.binary_slice(texts.cast(pa.binary()), start, stop).cast(pa.string())


TOO_LONG: Final = 19
"""Stands for all lengths no number has: a text carries its length as two digits."""

_RegionLayer = list[tuple[str, RegionPatterns]]


def are_valid_numbers(
    codes: Sequence[str], code: npt.NDArray[np.integer], digits: pa.StringArray, length: npt.NDArray[np.integer]
) -> npt.NDArray[np.bool_]:
    """Whether the digits are a valid number in one of the regions behind their country code.

    Args:
        codes: country codes.
        code: which of `codes` is before the digits, (n,).
        digits: ASCII digits, (n,).
        length: how many, and `TOO_LONG` at most, (n,).
    """
    heads = pa.array([f"{code:3}{length:02}" for code in codes for length in range(TOO_LONG + 1)], pa.string())
    at = code.astype(np.int32) * (TOO_LONG + 1) + length
    texts = pc.binary_join_element_wise(heads.take(pa.array(at)), digits, "")
    valid, rows = np.zeros(len(texts), bool), np.arange(len(texts))
    plain, leading = (_build_region_layers(codes, has_leading) for has_leading in (False, True))
    for layer in plain:
        found = _are_layer_numbers(texts, layer)
        valid[rows[found]] = True
        texts, rows = texts.filter(pa.array(~found)), rows[~found]
    led = _have_leading_digits(texts, [each for layer in leading for each in layer])
    for layer in leading:
        texts, rows = texts.filter(pa.array(led)), rows[led]
        if not len(rows):
            break
        valid[rows] = is_mine = _have_leading_digits(texts, layer)
        valid[rows[is_mine]] = _are_layer_numbers(texts.filter(pa.array(is_mine)), layer)
        led = ~is_mine
    return valid


def _build_region_layers(codes: Sequence[str], has_leading: bool) -> list[_RegionLayer]:
    """The regions with or without leading digits: the first behind each code, the second, and so on."""
    several = (
        [region for region in find_regions_by_code(code) if bool(region.leading) == has_leading] for code in codes
    )
    layers = (zip(codes, layer, strict=True) for layer in zip_longest(*several))
    return [[(code, region) for code, region in layer if region] for layer in layers]


def _are_layer_numbers(texts: pa.StringArray, layer: _RegionLayer) -> npt.NDArray[np.bool_]:
    """Whether each is a number of one of some regions, one per country code."""
    general = _build_full_pattern((code, (region.general,)) for code, region in layer)
    found = are_matching(texts, general) & are_matching(
        texts, _build_full_pattern((code, region.kinds) for code, region in layer)
    )
    decided = [f"{code:3}..(?:{region.decided_before})" for code, region in layer if region.decided_before]
    return found & ~are_matching(texts, build_prefix_pattern(decided)) if decided else found


def _have_leading_digits(texts: pa.StringArray, layer: _RegionLayer) -> npt.NDArray[np.bool_]:
    return are_matching(texts, build_prefix_pattern(f"{code:3}..(?:{region.leading})" for code, region in layer))


def _build_full_pattern(kinds: Iterable[tuple[str, tuple[NumberKind, ...]]]) -> str:
    """The pattern of the numbers of some kinds, by country code."""
    of_codes = ((f"{code:3}", "|".join(map(_build_kind_pattern, several))) for code, several in kinds if several)
    return build_prefix_pattern(f"{code}(?:{pattern})" for code, pattern in of_codes) + "$"


def _build_kind_pattern(kind: NumberKind) -> str:
    return f"(?:{'|'.join(f'{length:02}' for length in sorted(kind.lengths))})(?:{kind.pattern})"


def build_prefix_pattern(patterns: Iterable[str]) -> str:
    """The pattern of a text that begins with one of some patterns; without any, of no text but an empty one."""
    return f"^(?:{'|'.join(patterns) or '$'})"


def are_matching(texts: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    """Whether each text matches."""
    matches: npt.NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matches
