"""Phone numbers in their normal form: E.164, national numbers read in the tenant's country.

Belongs here: what a spelling stands for, and which characters between its digits mean nothing. Does not belong here:
the digits (`phone_columns.py`), how a region dials (`numbering_plans.py`), and the other keys (`contacts.py`).

`phonenumbers` is the authority and `normalise_phone` asks it, but it is slow. `normalise_phones` gives the same
answers: it reads digits, punctuation and a leading plus in whole columns, and asks `phonenumbers` about what is left.
"""

import re
from typing import Final

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.contact_keys.email_and_name import to_string_array
from crm_pipeline.domain.contact_keys.phone_fast_path import parse_dialled_numbers

_MAX_SPELLING_LENGTH: Final = 250
_DIALLED_PATTERN: Final = re.compile(r"\+?[0-9]{3,}")
# phonenumbers drops "x", "~" and the katakana dash too, but they may begin an extension or end the number.
_ASCII_PUNCTUATION: Final = b" ()./[]-"
_PUNCTUATION: Final = _ASCII_PUNCTUATION.decode() + "\u00a0\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_IS_PUNCTUATION: Final = np.isin(np.arange(256), list(_ASCII_PUNCTUATION))
_FULL_WIDTH_DIGITS: Final = {ord("0") + digit + 0xFEE0: str(digit) for digit in range(10)}
_EXTENSION_PATTERN: Final = re.compile(r"(?<=[0-9]) *(?:ext\.?|x) ?[0-9]{1,9}\Z", re.IGNORECASE)
_LABEL_PATTERN: Final = re.compile(r"\A[A-Za-z .:()-]+(?=[0-9+])")
_WORDS_PATTERN: Final = re.compile(r"(?<=[0-9])[ ()-]*[A-Za-z][A-Za-z ().-]*\Z")
_MIN_DIALLED_LETTERS: Final = 3
_DIALLED_CHARACTERS: Final = dict.fromkeys(map(ord, _PUNCTUATION)) | _FULL_WIDTH_DIGITS | {0xFF0B: "+"}


def normalise_phone(value: str, region: str | None) -> str | None:
    """The E.164 form of one spelling as `phonenumbers` reads it in `region`, None where it is no valid number.

    An extension is dropped: E.164 cannot hold it.
    """
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normalise_phones(
    values: pa.StringArray | pa.ChunkedArray, regions: pa.StringArray | pa.ChunkedArray
) -> pa.StringArray:
    """The E.164 form of each spelling, null where it is no valid number: `normalise_phone` for columns.

    Args:
        values: spellings, as a service holds them.
        regions: as many: the country each national number is read in, as upper-case ISO 3166 alpha-2. Null or unknown
            leaves only the numbers that state their country code.

    Raises:
        ValueError: the two are not of one length.
    """
    if len(values) != len(regions):
        raise ValueError(f"{len(values)} phone numbers but {len(regions)} regions: give each number its region")
    values, regions = to_string_array(values), to_string_array(regions)
    rows, numbers = parse_dialled_numbers(_parse_spellings(values), regions)
    is_left = values.is_valid().to_numpy(zero_copy_only=False).copy()
    is_left[rows] = False
    left = pa.array(np.flatnonzero(is_left))
    place = np.full(len(values), -1)
    place[np.concatenate([rows, left])] = np.arange(len(rows) + len(left))
    found = pa.concat_arrays([numbers, _normalise_distinct_phones(values.take(left), regions.take(left))])
    return found.take(pa.array(place, mask=place < 0))


def _normalise_distinct_phones(values: pa.StringArray, regions: pa.StringArray) -> pa.StringArray:
    """Each distinct pair of spelling and region, read once, and a region at a time: its patterns are compiled then."""
    pairs = list(zip(values.to_pylist(), regions.to_pylist(), strict=True))
    in_order = sorted(set(pairs), key=lambda pair: pair[1] or "")
    numbers = {pair: normalise_phone(*pair) for pair in in_order}
    return pa.array([numbers[pair] for pair in pairs], pa.string())


def _parse_spellings(values: pa.StringArray) -> pa.StringArray:
    """The digits of plain spellings and the plus before them, null where other characters may mean something."""
    dialled = _strip_ascii_punctuation(values)
    is_short = pc.less_equal(pc.binary_length(values), _MAX_SPELLING_LENGTH)
    is_plain = pc.and_(is_short, pc.match_substring_regex(dialled, f"^(?:{_DIALLED_PATTERN.pattern})$")).fill_null(
        False
    )
    rest = values.filter(pc.invert(is_plain)).dictionary_encode()
    others = pa.array([value and _parse_spelling(value) for value in rest.dictionary.to_pylist()], pa.string())
    return pc.replace_with_mask(dialled, pc.invert(is_plain), others.take(rest.indices))


def _strip_ascii_punctuation(values: pa.StringArray) -> pa.StringArray:
    """The spellings without it, null as empty: a third of the time of a pattern."""
    _, ends, text = values.buffers()
    if text is None:
        return pc.fill_null(values, "")
    unwanted = np.flatnonzero(_IS_PUNCTUATION[np.frombuffer(text, np.uint8)])
    ends = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1]
    moved = ends - np.searchsorted(unwanted, ends).astype(np.int32)
    kept = text.to_pybytes().translate(None, _ASCII_PUNCTUATION)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(moved), pa.py_buffer(kept))


def _parse_spelling(value: str) -> str | None:
    """`_as_dialled` for one spelling."""
    if len(value) > _MAX_SPELLING_LENGTH:
        return None
    value = _LABEL_PATTERN.sub("", _EXTENSION_PATTERN.sub("", value))
    before_words = _WORDS_PATTERN.sub("", value)
    number = before_words.translate(_DIALLED_CHARACTERS)
    return number + _to_keypad_digits(value[len(before_words) :]) if _DIALLED_PATTERN.fullmatch(number) else None


def _to_keypad_digits(words: str) -> str:
    """What words after a number stand for on the keys of a phone: phonenumbers takes them for digits from three on."""
    letters = "".join(filter(str.isalpha, words))
    return phonenumbers.convert_alpha_characters_in_number(letters) if len(letters) >= _MIN_DIALLED_LETTERS else ""
