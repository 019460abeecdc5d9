"""Race `normalise_phones` against `phonenumbers` alone, on one mix in one run: `python -m benchmarks.phones`.

Each runs in new processes, in turns, and the least processor time of each counts, with all that is loaded and compiled
on the way: a run of the pipeline is a new process too. No spelling occurs twice, so no answer is ever remembered.
`phonenumbers` is raced as it comes, and set to keep its compiled patterns. All answers must be the same.
"""

import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType
from phonenumbers.re_util import enable_pattern_cache

from benchmarks.apart import measured, tell
from benchmarks.results import AT_LEAST, Row, keep
from crm_pipeline.domain.contact_keys.phone import normalise_phone, normalise_phones

_SEED: Final = 20261122
_MIX: Final = "mix.parquet"
_COUNTS: Final = (75_000, 300_000)
_ROUNDS: Final = 3
_OURS: Final = "normalise_phones"
_REQUIRED: Final = {"phonenumbers": 15.0}
# In proportion to the golf courses of each country, roughly.
_REGIONS: Final = {"US": 160, "JP": 31, "GB": 31, "CA": 26, "AU": 15, "DE": 10, "FR": 8, "KR": 8, "SE": 7, "CN": 6,
                   "ES": 5, "IE": 5, "ZA": 5, "NZ": 4, "AR": 3, "DK": 3, "IT": 3, "NL": 3, "TH": 3, "MX": 3, "IN": 3,
                   "FI": 2, "NO": 2, "AT": 2, "PT": 1, "BR": 1, "MY": 2, "CH": 1, "BE": 1, "AE": 1}  # fmt: skip
# Percent. The messaging service holds E.164; the others what people type, and what other systems exported.
_SPELLINGS: Final = {"e164": 33, "international": 16, "national": 25, "digits": 10, "dotted": 6, "00": 2, "(0)": 2,
                     "no plus": 2, "a digit lost": 2, "text": 0.5, "extension": 1, "full width": 0.5}  # fmt: skip

_Answers = list[str | None]


def main() -> None:
    """Print the processor time of each, and how many times ours that is."""
    print(f"phonenumbers {phonenumbers.__version__}, unique spellings in a new process, CPU us each, best of {_ROUNDS}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in _COUNTS:
            values, regions = realistic_mix(count, random.Random(_SEED))
            pq.write_table(pa.table({"value": values, "region": regions}), Path(folder) / _MIX)
            runs = [(name, measured(__spec__.name, name, folder)) for _ in range(_ROUNDS) for name in _CONTESTANTS]
            if len({run["answers"] for _, run in runs}) > 1:
                sys.exit("the answers differ: run the tests of crm_pipeline.domain.phones")
            best = {name: min(run["seconds"] for each, run in runs if each == name) for name in _CONTESTANTS}
            for name, seconds in best.items():
                ratio = seconds / best[_OURS]
                print(f"{count:9,}  {name:32}{seconds / count * 1e6:7.2f}{ratio:7.1f}x")
            rows += _rows(count, best)
    sys.exit(not keep(__spec__.name, rows))


def _rows(count: int, best: dict[str, float]) -> list[Row]:
    return [
        Row("phones", count, "spellings", best[_OURS], name, seconds, AT_LEAST, _REQUIRED.get(name))
        for name, seconds in best.items()
        if name != _OURS
    ]


def _run(name: str, folder: str) -> None:
    mix = pq.read_table(Path(folder) / _MIX)
    seconds, numbers = _CONTESTANTS[name](mix["value"].combine_chunks(), mix["region"].combine_chunks())
    tell(seconds=seconds, answers=hashlib.sha256(repr(numbers).encode()).hexdigest())


def _ours(values: pa.StringArray, regions: pa.StringArray) -> tuple[float, _Answers]:
    started = time.process_time()
    numbers = normalise_phones(values, regions)
    return time.process_time() - started, numbers.to_pylist()


def _theirs(values: pa.StringArray, regions: pa.StringArray) -> tuple[float, _Answers]:
    rows = list(zip(values.to_pylist(), regions.to_pylist(), strict=True))
    started = time.process_time()
    numbers = [normalise_phone(value, region) for value, region in rows]
    return time.process_time() - started, numbers


def _theirs_with_patterns_kept(values: pa.StringArray, regions: pa.StringArray) -> tuple[float, _Answers]:
    enable_pattern_cache()
    return _theirs(values, regions)


_CONTESTANTS: Final[dict[str, Callable[[pa.StringArray, pa.StringArray], tuple[float, _Answers]]]] = {
    _OURS: _ours,
    "phonenumbers": _theirs,
    "phonenumbers, patterns kept": _theirs_with_patterns_kept,
}


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
    _run(*sys.argv[1:]) if len(sys.argv) > 1 else main()
