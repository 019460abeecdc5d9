"""Phone numbers read in whole columns: dialled digits to E.164, in one pass per decision for all numbering plans.

The decisions are those of `phonenumbers`: how the digits were dialled, and whether they are a valid number of their
country code. Verify them against `phonenumbers` again with every new release.
A pattern with the alternatives of every plan costs a column no more than that of one, so the digits carry the name of
their plan before them.
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
_RegionLayer = list[tuple[str, RegionPatterns]]
_PLAN_NAME_LENGTH: Final = 3
_MAX_CODE_LENGTH: Final = 3
_TOO_LONG: Final = 19
"""Stands for every length that no number has: a text carries its length as two digits."""


class _DialledNumbers(NamedTuple):
    """Dialled digits, each with the plan that reads them.

    Attributes:
        plans: the plans that read them.
        row: the row of the column they come from, (n,).
        plan: position in `plans` of the plan that reads them, (n,).
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
        length: _Int64Array = np.minimum(pc.binary_length(self.text).to_numpy() - _PLAN_NAME_LENGTH, _TOO_LONG)
        return length

    def take(self, some: _Int64Array | _BoolArray) -> "_DialledNumbers":
        at = np.flatnonzero(some) if some.dtype == bool else some
        return _DialledNumbers(self.plans, self.row[at], self.plan[at], self.text.take(pa.array(at)))

    def have_length(self, is_length: Callable[[NumberingPlan, int], bool]) -> _BoolArray:
        """Whether the number of digits is such a length of their plan."""
        table = np.array([[is_length(plan, length) for length in range(_TOO_LONG + 1)] for plan in self.plans], bool)
        flags: _BoolArray = table.reshape(-1, _TOO_LONG + 1)[self.plan, self.length]
        return flags

    def are_possible_numbers(self) -> _BoolArray:
        return _are_matching(self.text, self.build_pattern(lambda plan: plan.general) + "$")

    def build_pattern(self, select: Callable[[NumberingPlan], str]) -> str:
        """Returns the pattern of digits that start with what `select` takes from their plan; empty never matches."""
        return _build_prefix_pattern(f"{plan.name}(?:{select(plan)})" for plan in self.plans if select(plan))


def parse_dialled_numbers(dialled: pa.StringArray, regions: pa.StringArray) -> tuple[_Int64Array, pa.StringArray]:
    """Returns row positions and their valid numbers in E.164, null where the row has no valid number.

    Rows without digits and rows that no known plan reads are missing.

    Args:
        dialled: digits with a leading plus if any; null where there is nothing to read.
        regions: the region each is dialled in, one per row.
    """
    has_plus = pc.starts_with(dialled, "+").fill_null(False)
    region_dialled_in = pc.if_else(pc.or_(has_plus, dialled.is_null()), None, regions)
    plans, row, plan = _find_plans(region_dialled_in, find_plan_by_region)
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
    heads: pa.StringArray, find_plan: Callable[[str], NumberingPlan | None]
) -> tuple[list[NumberingPlan], _Int64Array, _Int64Array]:
    """Returns the plans found for the heads, the rows that have one, grouped by plan, and the plan of each row."""
    encoded = heads.dictionary_encode()
    found = [find_plan(head) for head in encoded.dictionary.to_pylist()]
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


def _concatenate_dialled_numbers(numbers: Sequence[_DialledNumbers]) -> _DialledNumbers:
    plans = list(dict.fromkeys(plan for each in numbers for plan in each.plans))
    plan_positions = [np.array([plans.index(plan) for plan in each.plans], np.int16)[each.plan] for each in numbers]
    rows, texts = (np.concatenate([each.row for each in numbers]), pa.concat_arrays([each.text for each in numbers]))
    return _DialledNumbers(plans, rows, np.concatenate(plan_positions), texts)


def _strip_international_prefix(national: _DialledNumbers) -> tuple[_BoolArray, pa.StringArray]:
    """Returns which digits start with an international prefix, and what comes after it."""
    prefix = national.build_pattern(lambda plan: plan.international_prefix)
    is_abroad = _are_matching(national.text, prefix)
    after = pc.replace_substring_regex(national.text.filter(pa.array(is_abroad)), prefix, "")
    # No country code starts with 0, so before a 0 the prefix is part of the number.
    begins_with_0 = pc.starts_with(after, "0")
    is_abroad[is_abroad] = pc.invert(begins_with_0)
    return is_abroad, after.filter(pc.invert(begins_with_0))


def _strip_calling_code(rows: _Int64Array, digits: pa.StringArray) -> _DialledNumbers:
    """Returns the digits after their country code, read by its main region; digits without a code are missing."""

    def find_plan(head: str) -> NumberingPlan | None:
        code = find_calling_code(head)
        return find_plan_by_code(code) if code else None

    plans, at, plan = _find_plans(_slice_texts(digits, 0, _MAX_CODE_LENGTH), find_plan)
    codes = _build_prefix_pattern(each.calling_code for each in plans)
    return _build_dialled_numbers(
        plans, rows[at], plan, pc.replace_substring_regex(digits.take(pa.array(at)), codes, "")
    )


def _strip_own_calling_code(national: _DialledNumbers, is_abroad: _BoolArray) -> tuple[_BoolArray, _DialledNumbers]:
    """Returns which digits are a number only without the country code of their region, and those digits without it."""
    code = national.build_pattern(lambda plan: plan.calling_code)
    has_code = np.flatnonzero(_are_matching(national.text, code) & ~is_abroad)
    some = national.take(has_code)
    rest = _strip_trunk_prefix(
        _build_dialled_numbers(some.plans, some.row, some.plan, pc.replace_substring_regex(some.text, code, ""))
    )
    is_better = rest.are_possible_numbers() & ~some.are_possible_numbers() | some.have_length(NumberingPlan.is_too_long)
    has_own_code, rest = np.zeros(len(is_abroad), bool), rest.take(is_better)
    has_own_code[has_code[is_better]] = True
    return has_own_code, _build_dialled_numbers(
        [find_plan_by_code(each.calling_code) for each in rest.plans], rest.row, rest.plan, rest.digits
    )


def _format_e164(dialled: _DialledNumbers) -> pa.StringArray:
    """Returns the E.164 numbers of digits without country code, null where they are not valid."""
    number = _strip_trunk_prefix(dialled)
    is_misread = number.have_length(NumberingPlan.is_too_short)
    as_dialled = dialled.text.filter(pa.array(is_misread))
    number = number._replace(text=pc.replace_with_mask(number.text, pa.array(is_misread), as_dialled))
    codes = sorted({plan.calling_code for plan in number.plans})
    code = np.array([codes.index(plan.calling_code) for plan in number.plans], np.int16)[number.plan]
    digits = number.digits
    valid = _are_valid_numbers(codes, code, digits, number.length)
    prefix = pa.array([f"+{code}" for code in codes], pa.string()).take(pa.array(code, mask=~valid))
    return pc.binary_join_element_wise(prefix, digits, "")


def _strip_trunk_prefix(dialled: _DialledNumbers) -> _DialledNumbers:
    """Returns the digits after the trunk prefix: 0, or whatever else is dialled before a number within the region."""
    prefix = dialled.build_pattern(lambda plan: plan.trunk_prefix)
    has_prefix = _are_matching(dialled.text, prefix)
    some = dialled.take(has_prefix)
    digits = pc.replace_substring_regex(some.text, prefix, "")
    for number, plan in enumerate(some.plans):
        if plan.trunk_rewrite:
            digits = _rewrite_trunk_prefix(plan, some, some.plan == number, digits)
    rest = _build_dialled_numbers(some.plans, some.row, some.plan, digits)
    is_better = rest.are_possible_numbers()
    is_better[~is_better] = ~some.take(~is_better).are_possible_numbers()
    has_prefix[has_prefix] = is_better
    texts = pc.replace_with_mask(dialled.text, pa.array(has_prefix), rest.text.filter(pa.array(is_better)))
    return dialled._replace(text=texts)


def _rewrite_trunk_prefix(
    plan: NumberingPlan, some: _DialledNumbers, is_of_plan: _BoolArray, digits: pa.StringArray
) -> pa.StringArray:
    """Returns `digits`, rewritten where they are of the plan and the last group of its trunk prefix matched."""
    if not (plan.trunk_rewrite and is_of_plan.any()):
        return digits
    rewrite, group = plan.trunk_rewrite
    prefix, plan_digits = f"^(?:{plan.trunk_prefix})", some.take(is_of_plan).digits
    has_last_group = pc.invert(pc.starts_with(pc.replace_substring_regex(plan_digits, prefix, rf"\{group}|"), "|"))
    rewritten = pc.replace_substring_regex(plan_digits.filter(has_last_group), prefix, rewrite)
    is_rewritten = is_of_plan.copy()
    is_rewritten[is_of_plan] = has_last_group
    return pc.replace_with_mask(digits, pa.array(is_rewritten), rewritten)


def _slice_texts(texts: pa.StringArray, start: int, stop: int = 2**10) -> pa.StringArray:
    """Returns a slice of each text; all are ASCII, so bytes are characters."""
    return pc.binary_slice(texts.cast(pa.binary()), start, stop).cast(pa.string())


def _are_valid_numbers(
    codes: Sequence[str], code: npt.NDArray[np.integer], digits: pa.StringArray, length: npt.NDArray[np.integer]
) -> npt.NDArray[np.bool_]:
    """Whether the digits are a valid number in one of the regions of their country code.

    Args:
        codes: country codes.
        code: position in `codes` of the code before the digits, (n,).
        digits: ASCII digits, (n,).
        length: the number of digits, at most `_TOO_LONG`, (n,).
    """
    heads = pa.array([f"{code:3}{length:02}" for code in codes for length in range(_TOO_LONG + 1)], pa.string())
    at = code.astype(np.int32) * (_TOO_LONG + 1) + length
    texts = pc.binary_join_element_wise(heads.take(pa.array(at)), digits, "")
    valid, rows = np.zeros(len(texts), bool), np.arange(len(texts))
    plain_layers, leading_layers = (_build_region_layers(codes, has_leading) for has_leading in (False, True))
    for layer in plain_layers:
        found = _are_layer_numbers(texts, layer)
        valid[rows[found]] = True
        texts, rows = texts.filter(pa.array(~found)), rows[~found]
    has_leading_digits = _have_leading_digits(texts, [each for layer in leading_layers for each in layer])
    for layer in leading_layers:
        texts, rows = texts.filter(pa.array(has_leading_digits)), rows[has_leading_digits]
        if not len(rows):
            break
        valid[rows] = is_of_layer = _have_leading_digits(texts, layer)
        valid[rows[is_of_layer]] = _are_layer_numbers(texts.filter(pa.array(is_of_layer)), layer)
        has_leading_digits = ~is_of_layer
    return valid


def _build_region_layers(codes: Sequence[str], has_leading: bool) -> list[_RegionLayer]:
    """Returns layers of the regions with or without leading digits: the first of each code, the second, and so on."""
    several = (
        [region for region in find_regions_by_code(code) if bool(region.leading_digits) == has_leading]
        for code in codes
    )
    layers = (zip(codes, layer, strict=True) for layer in zip_longest(*several))
    return [[(code, region) for code, region in layer if region] for layer in layers]


def _are_layer_numbers(texts: pa.StringArray, layer: _RegionLayer) -> npt.NDArray[np.bool_]:
    """Whether each text is a number of the layer, which has one region per country code."""
    general = _build_full_pattern((code, (region.general,)) for code, region in layer)
    found = _are_matching(texts, general) & _are_matching(
        texts, _build_full_pattern((code, region.kinds) for code, region in layer)
    )
    earlier = [
        f"{code:3}..(?:{region.earlier_leading_digits})" for code, region in layer if region.earlier_leading_digits
    ]
    return found & ~_are_matching(texts, _build_prefix_pattern(earlier)) if earlier else found


def _have_leading_digits(texts: pa.StringArray, layer: _RegionLayer) -> npt.NDArray[np.bool_]:
    return _are_matching(
        texts, _build_prefix_pattern(f"{code:3}..(?:{region.leading_digits})" for code, region in layer)
    )


def _build_full_pattern(kinds: Iterable[tuple[str, tuple[NumberKind, ...]]]) -> str:
    """Returns the pattern of the numbers of some kinds per country code."""
    of_codes = ((f"{code:3}", "|".join(map(_build_kind_pattern, several))) for code, several in kinds if several)
    return _build_prefix_pattern(f"{code}(?:{pattern})" for code, pattern in of_codes) + "$"


def _build_kind_pattern(kind: NumberKind) -> str:
    return f"(?:{'|'.join(f'{length:02}' for length in sorted(kind.lengths))})(?:{kind.pattern})"


def _build_prefix_pattern(patterns: Iterable[str]) -> str:
    """Returns the pattern of texts that start with one of the patterns; without any, only the empty text matches."""
    return f"^(?:{'|'.join(patterns) or '$'})"


def _are_matching(texts: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    """Whether each text matches the pattern."""
    matches: npt.NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matches
