"""What a phone number is, however it is spelled, and that no short cut to it changes the answer of `phonenumbers`."""

import random
from collections.abc import Iterable, Iterator

import phonenumbers
import pyarrow as pa
import pytest
from phonenumbers import SUPPORTED_REGIONS, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from crm_pipeline.domain.contact_keys import phone
from crm_pipeline.domain.contact_keys.phone import normalise_phone, normalise_phones
from crm_pipeline.domain.contact_keys.phone_fast_path import parse_dialled_numbers
from crm_pipeline_tests.fixtures.homes.soak import SOAK

Case = tuple[str, str | None]

SPELLINGS: dict[Case, str | None] = {
    ("+442079460958", "GB"): "+442079460958",
    ("020 7946 0958", "GB"): "+442079460958",
    ("(020) 7946-0958", "GB"): "+442079460958",
    ("+44 (0)20 7946 0958", "US"): "+442079460958",
    ("+44 20.7946.0958", None): "+442079460958",
    ("0044 20 7946 0958", "GB"): "+442079460958",
    ("011 44 20 7946 0958", "US"): "+442079460958",
    ("44 20 7946 0958", "GB"): "+442079460958",
    ("44 20 7946 0958", "US"): None,
    ("020 7946 0958", None): None,
    ("020 7946 0958", "gb"): None,  # a region is upper case
    ("000 20 7946 0958", "+44"): None,
    ("020 7946 095", "GB"): None,
    ("020 7946 0958 ext. 12", "GB"): "+442079460958;ext=12",
    ("020 7946 0958x12", "GB"): "+442079460958;ext=12",
    ("020 7946 0958 x1234567890", "GB"): None,  # too long for an extension
    ("+44-20-7946-0958;ext=12", "GB"): "+442079460958;ext=12",
    ("tel:+44-20-7946-0958", None): "+442079460958",
    ("tel:20-7946-0958;phone-context=+44", None): "+442079460958",
    ("\uff0b\uff14\uff14\u300020 7946 \uff10958", None): "+442079460958",
    ("٠٢٠٧٩٤٦٠٩٥٨", "GB"): "+442079460958",  # Arabic-Indic digits
    ("020\u00a07946\u20110958", "GB"): "+442079460958",
    ("++44 20 7946 0958", None): "+442079460958",
    ("+0044 20 7946 0958", "GB"): "+442079460958",  # phonenumbers forgives the plus
    ("020 7946 + 0958", "GB"): None,
    ("(212) 555-0123", "US"): "+12125550123",
    ("1 212 555 0123", "US"): "+12125550123",
    ("+1 416 555 0123", "US"): "+14165550123",  # Canadian
    ("416-555-0123", "CA"): "+14165550123",
    ("1-800-FLOWERS", "US"): "+18003569377",
    ("Tel: 020 7946 0958", "GB"): "+442079460958",
    ("020 7946 0958 (w)", "GB"): "+442079460958",
    ("020 7946 0958 (home)", "GB"): "+442079460958",
    ("0161 496 0000 (pro shop)", "GB"): "+441614960000",  # three letters and more are dialled, here 4663
    ("+1 212 555 CALL", None): "+12125552255",
    ("555-0123", "US"): None,  # local, without area code
    ("06 698 12345", "VA"): "+390669812345",  # an Italian number keeps its zero
    ("06 1234 5678", "IT"): "+390612345678",
    ("+39 312 345 6789", None): "+393123456789",
    ("011 15-2345-6789", "AR"): "+5491123456789",  # a mobile's 15 within the country is a 9 from abroad
    ("+54 9 11 2345-6789", None): "+5491123456789",
    ("0 15 11 96123-4567", "BR"): "+5511961234567",  # 15 chooses a carrier
    ("55 1234 5678", "MX"): "+525512345678",
    ("8 (912) 345-67-89", "RU"): "+79123456789",
    ("8 (771) 000-99-98", "KZ"): "+77710009998",
    ("+800 1234 5678", None): "+80012345678",  # freephone of no country
    ("+999 1234 5678", "GB"): None,
    ("", "GB"): None,
    ("n/a", "GB"): None,
    ("0", "GB"): None,
    ("00", "GB"): None,
    ("0000000000", "GB"): None,
    ("2" * 18, "US"): None,
    ("0" + " " * 240 + "2079460958", "GB"): None,  # longer than phonenumbers reads
}

TYPES = PhoneNumberType.values()
FORMATS = (
    PhoneNumberFormat.E164,
    PhoneNumberFormat.INTERNATIONAL,
    PhoneNumberFormat.NATIONAL,
    PhoneNumberFormat.RFC3966,
)
INSERTED = [*"0123456789", *"+-()./ x#*,;~_[]", "00", "011", "(0)", "+44", " ext. 5", "x12", "ext", " / ", "//", "\n"]
INSERTED += [
    "\u00a0",
    "\u2011",
    "\u30fc",
    "\u0663",
    "\uff15",
    "\uff0b",
    "\u00b2",
    "home",
    "Tel: ",
    " (home)",
    " mob.",
    " (w)",
    "CALL",
    ";ext=9",
    "#",
]
FUZZED = 200_000 if SOAK else 5_000


@pytest.fixture(params=["in columns", "one by one"], autouse=True)
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both routes must give every answer: the short cut, and `phonenumbers` asked about every spelling."""
    if request.param == "one by one":
        monkeypatch.setattr(phone, "_parse_spellings", lambda values: pa.nulls(len(values), pa.string()))


def normalised(cases: Iterable[Case]) -> list[str | None]:
    values, regions = zip(*cases, strict=True)
    return normalise_phones(pa.array(values, pa.string()), pa.array(regions, pa.string())).to_pylist()  # type: ignore[no-any-return]


def assert_all_answered_as_by_phonenumbers(cases: Iterable[Case]) -> None:
    # In the order of regions, or phonenumbers compiles its patterns over and over.
    ordered = sorted(cases, key=lambda case: case[1] or "")
    answers = zip(ordered, normalised(ordered), strict=True)
    assert [(case, ours) for case, ours in answers if ours != normalise_phone(*case)] == []


def example_numbers() -> Iterator[tuple[str, PhoneNumber]]:
    """Every example phonenumbers has: by region and type, valid or not, and of no country."""
    for region in sorted(SUPPORTED_REGIONS):
        examples = [phonenumbers.example_number_for_type(region, kind) for kind in TYPES]
        yield from ((region, number) for number in [*examples, phonenumbers.invalid_example_number(region)] if number)
    for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        number = phonenumbers.example_number_for_non_geo_entity(code)
        assert number
        yield "001", number


EXAMPLES = list(example_numbers())[:: 1 if SOAK else 4]


@pytest.mark.parametrize(("case", "number"), SPELLINGS.items(), ids=str)
def test_a_spelling_stands_for_one_number_or_none(case: Case, number: str | None) -> None:
    assert normalise_phone(*case) == number
    assert normalised([case]) == [number]


def test_every_example_number_reads_alike_in_every_format_and_from_abroad() -> None:
    spelled = [(region, phonenumbers.format_number(number, style)) for region, number in EXAMPLES for style in FORMATS]
    cases = {(value, read_in) for region, value in spelled for read_in in (region, "US", "IT", None)}
    assert_all_answered_as_by_phonenumbers(cases)


def test_every_valid_example_number_in_e164_is_its_own_normal_form() -> None:
    valid = [number for _, number in EXAMPLES if phonenumbers.is_valid_number(number)]
    numbers = [phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in valid]
    assert len(numbers) > len(SUPPORTED_REGIONS)
    assert normalised((number, None) for number in numbers) == numbers


def test_digits_are_read_in_columns_and_never_left_to_phonenumbers() -> None:
    examples = [(region, number) for region, number in EXAMPLES if region in SUPPORTED_REGIONS]
    digits = [(str(number.national_number), region) for region, number in examples]
    digits += [(phonenumbers.format_number(number, PhoneNumberFormat.E164), "US") for _, number in EXAMPLES]
    rows, _ = parse_dialled_numbers(*(pa.array(column, pa.string()) for column in zip(*digits, strict=True)))
    assert sorted(rows) == list(range(len(digits)))


def fuzzed(chance: random.Random) -> Case:
    """A number with a few digits redrawn, in some format, then misspelled up to three times."""
    region, number = chance.choice(EXAMPLES)
    value = phonenumbers.format_number(number, chance.choice(FORMATS[:3]))
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        at = chance.randrange(len(value))
        value = value[:at] + chance.choice("0123456789") + value[at + chance.choice((0, 1, 1, 1, 2)) :]
    for _ in range(chance.choice((0, 0, 1, 2, 3))):
        at = chance.choice((0, len(value), chance.randint(0, len(value))))
        value = value[:at] + chance.choice(INSERTED) + value[at:]
    return value, chance.choice((region, region, region, chance.choice(EXAMPLES)[0], None))


def test_misspelled_numbers_are_answered_as_by_phonenumbers() -> None:
    chance = random.Random(20261122)
    assert_all_answered_as_by_phonenumbers({fuzzed(chance) for _ in range(FUZZED)})


def test_digits_dialled_at_random_are_answered_as_by_phonenumbers() -> None:
    chance = random.Random(7)
    regions = sorted(SUPPORTED_REGIONS)
    lengths = [chance.randint(1, 19) for _ in range(FUZZED)]
    digits = ["".join(chance.choices("0123456789", k=length)) for length in lengths]
    assert_all_answered_as_by_phonenumbers({(value, chance.choice(regions)) for value in digits})


def test_rows_keep_their_place_and_null_stays_null() -> None:
    cases = [(None, "GB"), ("020 7946 0958", "GB"), ("no", "US"), (None, None), ("+12125550123", None)] * 300
    values, regions = (pa.array(column, pa.string()) for column in zip(*cases, strict=True))
    expected = [None, "+442079460958", None, None, "+12125550123"]
    assert normalise_phones(values, regions).to_pylist() == expected * 300
    assert normalise_phones(pa.chunked_array([values.slice(1)]), regions.slice(1)).to_pylist() == (expected * 300)[1:]


def test_an_empty_column_has_no_numbers() -> None:
    nothing = pa.chunked_array([], pa.string())
    assert normalise_phones(nothing, nothing).to_pylist() == []
    assert normalise_phones(pa.nulls(2, pa.string()), pa.nulls(2, pa.string())).to_pylist() == [None, None]


def test_each_number_needs_its_region() -> None:
    with pytest.raises(ValueError, match="2 phone numbers but 1 regions"):
        normalise_phones(pa.array(["1", "2"]), pa.array(["GB"]))
