"""Which digits are valid phone numbers, for whole columns and all country codes together.

Belongs here: validity of the digits after a country code. Does not belong here: how they were dialled
(`phone_columns.py`), and what is valid where (`numbering_plans.py`).
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.numbering_plans import Kind, Region, regions_of_code

TOO_LONG: Final = 19
"""Stands for all lengths no number has: a text carries its length as two digits."""

_Rows = npt.NDArray[np.int64]
_Layer = list[tuple[str, Region]]


def are_valid(
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
    plain, leading = (_layers(codes, has_leading) for has_leading in (False, True))
    for layer in plain:
        found = _are_of(texts, layer)
        valid[rows[found]] = True
        texts, rows = texts.filter(pa.array(~found)), rows[~found]
    led = _have_leading(texts, [each for layer in leading for each in layer])
    for layer in leading:
        texts, rows = texts.filter(pa.array(led)), rows[led]
        if not len(rows):
            break
        valid[rows] = is_mine = _have_leading(texts, layer)
        valid[rows[is_mine]] = _are_of(texts.filter(pa.array(is_mine)), layer)
        led = ~is_mine
    return valid


def _layers(codes: Sequence[str], has_leading: bool) -> list[_Layer]:
    """The regions with or without leading digits: the first behind each code, the second, and so on."""
    several = ([region for region in regions_of_code(code) if bool(region.leading) == has_leading] for code in codes)
    layers = (zip(codes, layer, strict=True) for layer in zip_longest(*several))
    return [[(code, region) for code, region in layer if region] for layer in layers]


def _are_of(texts: pa.StringArray, layer: _Layer) -> npt.NDArray[np.bool_]:
    """Whether each is a number of one of some regions, one per country code."""
    general = _whole((code, (region.general,)) for code, region in layer)
    found = match(texts, general) & match(texts, _whole((code, region.kinds) for code, region in layer))
    decided = [f"{code:3}..(?:{region.decided_before})" for code, region in layer if region.decided_before]
    return found & ~match(texts, either(decided)) if decided else found


def _have_leading(texts: pa.StringArray, layer: _Layer) -> npt.NDArray[np.bool_]:
    return match(texts, either(f"{code:3}..(?:{region.leading})" for code, region in layer))


def _whole(kinds: Iterable[tuple[str, tuple[Kind, ...]]]) -> str:
    """The pattern of the numbers of some kinds, by country code."""
    of_codes = ((f"{code:3}", "|".join(map(_of_kind, several))) for code, several in kinds if several)
    return either(f"{code}(?:{pattern})" for code, pattern in of_codes) + "$"


def _of_kind(kind: Kind) -> str:
    return f"(?:{'|'.join(f'{length:02}' for length in sorted(kind.lengths))})(?:{kind.pattern})"


def either(patterns: Iterable[str]) -> str:
    """The pattern of a text that begins with one of some patterns; without any, of no text but an empty one."""
    return f"^(?:{'|'.join(patterns) or '$'})"


def match(texts: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    """Whether each text matches."""
    matches: npt.NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matches
