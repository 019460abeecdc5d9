"""Race `normalise_phones` against `phonenumbers` alone, on one mix in one run: `python -m benchmarks.phones`.

Every spelling occurs once in all batches, so no answer is ever remembered; the first batch also pays for compiling the
patterns of each region, once a process. Both answers must be the same.
"""

import random
import statistics
import sys
import time
from typing import Final

import phonenumbers
import pyarrow as pa
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from crm_pipeline.domain.phones import normalise_phone, normalise_phones

_SEED: Final = 20261122
_BATCHES, _BATCH = 4, 75_000
# In proportion to the golf courses of each country, roughly.
_REGIONS: Final = {"US": 160, "JP": 31, "GB": 31, "CA": 26, "AU": 15, "DE": 10, "FR": 8, "KR": 8, "SE": 7, "CN": 6,
                   "ES": 5, "IE": 5, "ZA": 5, "NZ": 4, "AR": 3, "DK": 3, "IT": 3, "NL": 3, "TH": 3, "MX": 3, "IN": 3,
                   "FI": 2, "NO": 2, "AT": 2, "PT": 1, "BR": 1, "MY": 2, "CH": 1, "BE": 1, "AE": 1}  # fmt: skip
# Percent. The messaging service holds E.164; the others what people type, and what other systems exported.
_SPELLINGS: Final = {"e164": 33, "international": 16, "national": 25, "digits": 10, "dotted": 6, "00": 2, "(0)": 2,
                     "no plus": 2, "a digit lost": 2, "text": 0.5, "extension": 1, "full width": 0.5}  # fmt: skip


def main() -> None:
    """Print both rates and their ratio, for the first batch of a process and for the mean of those after it."""
    values, regions = realistic_mix(_BATCHES * _BATCH, random.Random(_SEED))
    starts = range(0, len(values), _BATCH)
    first, *later = (_race(values[start : start + _BATCH], regions[start : start + _BATCH]) for start in starts)
    lines = [f"{_BATCHES} batches of {_BATCH:,} unique spellings, phonenumbers {phonenumbers.__version__}, CPU us each"]
    for name, races in (("first", [first]), ("later", later)):
        ours, theirs = (statistics.mean(seconds) * 1e6 for seconds in zip(*races, strict=True))
        lines.append(f"{name}  normalise_phones {ours:.2f}  phonenumbers {theirs:.2f}  ratio {theirs / ours:.1f}")
    sys.stdout.write("\n".join(lines) + "\n")


def _race(values: list[str], regions: list[str]) -> tuple[float, float]:
    """CPU seconds a number, ours and theirs."""
    columns = pa.array(values), pa.array(regions)
    started = time.process_time()
    ours = normalise_phones(*columns)
    switched = time.process_time()
    theirs = [normalise_phone(value, region) for value, region in zip(values, regions, strict=True)]
    ended = time.process_time()
    if ours.to_pylist() != theirs:
        sys.exit("the answers differ: run the tests of crm_pipeline.domain.phones")
    return (switched - started) / len(values), (ended - switched) / len(values)


def realistic_mix(count: int, chance: random.Random) -> tuple[list[str], list[str]]:
    """`count` different spellings of made-up numbers, and the region each is read in."""
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < count:
        [region] = chance.choices(list(_REGIONS), list(_REGIONS.values()))
        [spelling] = chance.choices(list(_SPELLINGS), list(_SPELLINGS.values()))
        pairs[_spell(_made_up_number(region, chance), spelling), region] = None
    return [value for value, _ in pairs], [region for _, region in pairs]


def _made_up_number(region: str, chance: random.Random) -> PhoneNumber:
    """A valid number: an example of phonenumbers with most of its digits redrawn."""
    kind = chance.choice((PhoneNumberType.MOBILE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE))
    example = phonenumbers.example_number_for_type(region, kind) or PhoneNumber()
    e164 = phonenumbers.format_number(example, PhoneNumberFormat.E164)
    while True:
        redrawn = chance.randint(5, 6)
        number = phonenumbers.parse(e164[:-redrawn] + "".join(chance.choices("0123456789", k=redrawn)))
        if phonenumbers.is_valid_number(number):
            return number


def _spell(number: PhoneNumber, spelling: str) -> str:
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    code, _, rest = international.partition(" ")
    return {
        "e164": e164,
        "international": international,
        "national": national,
        "digits": phonenumbers.normalize_digits_only(national),
        "dotted": national.replace(" ", ".").replace("-", "."),
        "00": f"00{international[1:]}",
        "(0)": f"{code} (0){rest}",
        "no plus": e164[1:],
        "a digit lost": national[:-1],
        "text": f"Tel: {national} (home)",
        "extension": f"{national} ext. 12",
        "full width": national.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)}),
    }[spelling]


if __name__ == "__main__":
    main()
