"""Phone numbers in their normal form: E.164, national numbers read in the tenant's country.

Belongs here: what a spelling stands for, one by one and by any means. Does not belong here: the short cut for whole
columns (`phone_columns.py`), how a region dials (`numbering_plans.py`), and the other keys (`contacts.py`).

`phonenumbers` is the authority and `normalise_phone` asks it, but it is slow. `normalise_phones` gives the same answers
by the cheapest means that can prove them: whole columns for what nearly everybody writes; our own reading, number by
number, of any spelling of digits, punctuation and a leading plus; `phonenumbers` for what is left.
"""

import re
from typing import Final

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from crm_pipeline.domain.contacts import one_array
from crm_pipeline.domain.numbering_plans import calling_code_of, read_international, read_national
from crm_pipeline.domain.phone_columns import (
    LONGEST_SPELLING,
    PLAIN,
    PUNCTUATION,
    numbers_in_columns,
    without_punctuation,
)

_FULL_WIDTH: Final = {ord("0") + digit + 0xFEE0: str(digit) for digit in range(10)}
_EXTENSION: Final = re.compile(r"(?<=[0-9]) *(?:ext\.?|x) ?[0-9]{1,9}\Z", re.IGNORECASE)
_AS_DIALLED: Final = dict.fromkeys(map(ord, PUNCTUATION)) | _FULL_WIDTH | {0xFF0B: "+"}


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
    values, regions = one_array(values), one_array(regions)
    spelled, is_plain = without_punctuation(values)
    settled = list(numbers_in_columns(spelled, is_plain, regions))
    left = np.ones(len(values), dtype=bool)
    for rows, _ in settled:
        left[rows] = False
    rows = np.flatnonzero(left)
    settled.append((rows, _one_by_one(spelled.take(rows), regions.take(rows))))
    place = np.argsort(np.concatenate([rows for rows, _ in settled]))
    return pa.concat_arrays([numbers for _, numbers in settled]).take(place)


def _one_by_one(values: pa.StringArray, regions: pa.StringArray) -> pa.StringArray:
    """Each distinct pair of spelling and region, read once."""
    spelled, read_in = values.dictionary_encode(), regions.dictionary_encode("encode")
    in_all = len(read_in.dictionary)
    pairs = pc.add(pc.multiply(spelled.indices.cast(pa.int64()), in_all), read_in.indices).dictionary_encode()
    spelled_at, read_in_at = divmod(pairs.dictionary.to_numpy(), in_all)
    distinct_values = spelled.dictionary.take(spelled_at).to_pylist()
    distinct_regions = read_in.dictionary.take(read_in_at).to_pylist()
    return pa.array(map(_normalise, distinct_values, distinct_regions), pa.string()).take(pairs.indices)


def _normalise(value: str, region: str | None) -> str | None:
    dialled = _dialled(value)
    if dialled is None:
        return normalise_phone(value, region)
    if dialled[0] != "+":
        return read_national(dialled, region)
    # phonenumbers gives a plus before anything but a country code a second chance, with rules of its own.
    return read_international(dialled[1:]) if calling_code_of(dialled[1:]) else normalise_phone(value, region)


def _dialled(value: str) -> str | None:
    """The digits of a plain spelling and the plus before them, None where other characters may mean something."""
    if len(value) > LONGEST_SPELLING:
        return None
    if PLAIN.fullmatch(value):
        return value
    dialled = _EXTENSION.sub("", value).translate(_AS_DIALLED)
    return dialled if PLAIN.fullmatch(dialled) else None
