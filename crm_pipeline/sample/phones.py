"""Made-up phone numbers, and the ways people write them."""

from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata

from crm_pipeline.sample.chance import Ints
from crm_pipeline.sample.countries import Country

_FREE_DIGITS: Final = 7
_NUMBER_COUNT: Final = 10**_FREE_DIGITS
# Coprime to ten: consecutive numbers look unrelated, and none repeats within ten million.
_STRIDE: Final = 7_654_321
_PLACE_OF_NO_ZEROS: Final = _NUMBER_COUNT - 5
"""In the place of the first number, of which zeros alone would be left: a placeholder."""
# North American exchanges start at 2, so of three candidates for somebody's number at least two are valid.
CANDIDATES_PER_PERSON: Final = 3

SPELLING_WEIGHTS: Final = (0.3, 0.15, 0.17, 0.17, 0.1, 0.05, 0.06)
"""How often each form of `format_phone_numbers` is used."""


def build_phone_numbers(country: Country, first: int, count: int) -> tuple[pa.Array, pa.Array]:
    """Returns two numbers each for `count` people, without country code; the first `first` people have theirs already.

    No number repeats among the first three million people of a club.
    """
    places = np.arange(first * CANDIDATES_PER_PERSON, (first + count) * CANDIDATES_PER_PERSON, dtype=np.int64)
    places[places == 0] = _PLACE_OF_NO_ZEROS
    digits = pc.utf8_lpad(pa.array(places * _STRIDE % _NUMBER_COUNT).cast(pa.string()), _FREE_DIGITS, "0")
    candidates = pc.binary_join_element_wise(country.mobile_prefix, digits, "")
    valid = candidates.filter(pc.match_substring_regex(candidates, _build_mobile_pattern(country.code)))
    return valid[:count], valid[count : 2 * count]


def build_pro_shop_number(country: Country) -> str:
    """Returns the number of a club's pro shop, far beyond the numbers of people."""
    number: str = build_phone_numbers(country, _NUMBER_COUNT // CANDIDATES_PER_PERSON - 1, 1)[0][0].as_py()
    return number


def format_phone_numbers(country: Country, numbers: pa.Array, forms: Ints) -> pa.Array:
    """Returns the numbers, each in one of the forms a person or an import may write."""
    abroad, home = f"+{country.calling_code}", country.trunk_prefix
    spaced, dashed = (format_digit_groups(country, numbers, mark) for mark in " -")
    written = [
        _add_prefix(abroad, numbers),
        _add_prefix(f"{abroad} ", spaced),
        _add_prefix(home, numbers),
        _add_prefix(home, spaced),
        _add_prefix(home, dashed),
        _add_prefix(country.international_prefix + country.calling_code, numbers),
        _add_prefix(f"{abroad}-", dashed),
    ]
    return pc.choose(pa.array(forms), *written)


def format_digit_groups(country: Country, numbers: pa.Array, mark: str) -> pa.Array:
    """Returns the numbers with `mark` between their groups of digits."""
    edges = np.cumsum((0, *country.digit_groups)).tolist()
    parts = [pc.utf8_slice_codeunits(numbers, *edge) for edge in pairwise(edges)]
    return pc.binary_join_element_wise(*parts, mark)


def remove_last_digit(numbers: pa.Array) -> pa.Array:
    """Returns the numbers without the last digit: mostly invalid, and never another person's number."""
    return pc.utf8_slice_codeunits(numbers, 0, -1)


def _add_prefix(start: str, rest: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(start, rest, "")


@cache
def _build_mobile_pattern(region: str) -> str:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.mobile is None:
        raise ValueError(f"phonenumbers knows no mobile numbers of {region}: choose another country")
    return f"^(?:{metadata.mobile.national_number_pattern})$"
