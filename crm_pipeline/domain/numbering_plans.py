"""Numbering plans: how each region dials, and which digits are valid numbers, compiled from `phonenumbers`.

Belongs here: reading a string of ASCII digits as a number. Does not belong here: spellings and columns (`phones.py`).

Each function takes the decisions `phonenumbers` takes on the same digits, and must be verified against it again with
every new release.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    SUPPORTED_REGIONS,
    PhoneMetadata,
    PhoneNumberDesc,
    country_code_for_region,
)

MAIN_REGIONS: Final = {str(code): regions[0] for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}
_SHORTEST_NUMBER, _LONGEST_NUMBER = 2, 17
_ANY_LENGTH: Final = frozenset(range(_SHORTEST_NUMBER, _LONGEST_NUMBER + 1))
NEVER: Final = "(?!)"


def read_national(digits: str, region: str | None) -> str | None:
    """The E.164 form of `digits` as dialled within `region`, None where that is no valid number."""
    if region not in SUPPORTED_REGIONS:
        return None
    plan = plan_of_region(region)
    abroad = plan.international_prefix.match(digits)
    if abroad and not digits.startswith("0", abroad.end()):
        return read_international(digits[abroad.end() :])
    if digits.startswith(plan.calling_code):
        rest = plan.without_trunk_prefix(digits[len(plan.calling_code) :])
        reads_better = plan.general.fullmatch(rest) and not plan.general.fullmatch(digits)
        if reads_better or plan.is_too_long(len(digits)):
            return plan_of_code(plan.calling_code).e164(rest)
    return plan.e164(digits)


def read_international(digits: str) -> str | None:
    """The E.164 form of `digits` that begin with a country code, None where they are no valid number."""
    code = calling_code_of(digits)
    if code is None or len(digits) <= _SHORTEST_NUMBER:
        return None
    return plan_of_code(code).e164(digits[len(code) :])


def calling_code_of(digits: str) -> str | None:
    """The country code that `digits` begin with."""
    for length in (1, 2, 3):
        if digits[:length] in MAIN_REGIONS:
            return digits[:length]
    return None


class Kind(NamedTuple):
    """The numbers of one kind, as mobile or freephone: a pattern over the whole number, and its possible lengths."""

    pattern: str
    lengths: frozenset[int]


class Region(NamedTuple):
    """The numbers valid in one region.

    A region with leading digits decides alone over the numbers that begin with them, unless a region before it behind
    the same country code did: `decided_before` are the leading digits of those.
    """

    leading: str
    decided_before: str
    general: Kind
    personal: tuple[Kind, ...]
    other: tuple[Kind, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NumberingPlan:
    """How one region writes its numbers.

    Attributes:
        trunk_rewrite: what replaces a trunk prefix whose last group took part in the match.
        lengths: how many digits a number has, without country code.
        local_lengths: the same where the area code is left out.
        valid: the numbers valid in any region behind the country code.
        region: the numbers valid in this region alone.
        siblings: those valid in the other regions behind the country code, where no leading digits tell them apart.
    """

    calling_code: str
    international_prefix: re.Pattern[str]
    trunk_prefix: re.Pattern[str]
    trunk_rewrite: str | None
    general: re.Pattern[str]
    lengths: frozenset[int]
    local_lengths: frozenset[int]
    longest: int
    valid: re.Pattern[str]
    region: Region
    siblings: tuple[Region, ...]

    def e164(self, digits: str) -> str | None:
        """The number that `digits`, without country code, stand for if it is valid."""
        if len(digits) < _SHORTEST_NUMBER:
            return None
        number = self.without_trunk_prefix(digits)
        if len(number) not in self.lengths and not self.is_too_long(len(number)):
            number = digits
        return f"+{self.calling_code}{number}" if self.valid.fullmatch(number) else None

    def without_trunk_prefix(self, digits: str) -> str:
        """The digits after 0, or whatever else is dialled before a number within the region."""
        prefix = self.trunk_prefix.match(digits)
        if not prefix:
            return digits
        rest = digits[prefix.end() :]
        if self.trunk_rewrite and prefix[self.trunk_prefix.groups] is not None:
            rest = prefix.expand(self.trunk_rewrite) + rest
        return rest if self.general.fullmatch(rest) or not self.general.fullmatch(digits) else digits

    def is_too_long(self, length: int) -> bool:
        """Longer than any number of the region, local ones included."""
        return length > self.longest and length not in self.local_lengths


def plan_of_code(calling_code: str) -> NumberingPlan:
    """The plan of the main region behind a country code, which numbers written with that code follow."""
    return _plan(calling_code, MAIN_REGIONS[calling_code])


@cache
def plan_of_region(region: str) -> NumberingPlan:
    """The plan of one of the regions `phonenumbers` supports."""
    return _plan(str(country_code_for_region(region)), region)


@cache
def _plan(calling_code: str, region: str) -> NumberingPlan:
    metadata = _metadata(calling_code, region)
    own = _regions(calling_code)[region]
    local_lengths = metadata.general_desc.possible_length_local_only if metadata.general_desc else ()
    return NumberingPlan(
        calling_code=calling_code,
        international_prefix=re.compile(metadata.international_prefix or NEVER),
        trunk_prefix=re.compile(metadata.national_prefix_for_parsing or NEVER),
        trunk_rewrite=metadata.national_prefix_transform_rule,
        general=re.compile(own.general.pattern),
        lengths=own.general.lengths - frozenset(local_lengths),
        local_lengths=frozenset(local_lengths),
        longest=max(own.general.lengths),
        valid=_valid_numbers(calling_code),
        region=own,
        siblings=tuple(each for each in _regions(calling_code).values() if each is not own and not each.leading),
    )


def _metadata(calling_code: str, region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(int(calling_code), region)
    if metadata is None:
        raise LookupError(f"phonenumbers knows no numbering plan for +{calling_code} in {region}")
    return metadata


@cache
def _regions(calling_code: str) -> dict[str, Region]:
    """The regions behind a country code by name, in the order in which they are asked whether a number is theirs."""
    regions, decided = {}, list[str]()
    for name in COUNTRY_CODE_TO_REGION_CODE[int(calling_code)]:
        metadata = _metadata(calling_code, name)
        regions[name] = _region(metadata, "|".join(decided))
        decided += [metadata.leading_digits] if metadata.leading_digits else []
    return regions


def _region(metadata: PhoneMetadata, decided_before: str) -> Region:
    mobile = None if metadata.same_mobile_and_fixed_line_pattern else metadata.mobile
    other = [metadata.toll_free, metadata.premium_rate, metadata.shared_cost, metadata.voip]
    other += [metadata.personal_number, metadata.pager, metadata.uan, metadata.voicemail]
    [general] = _kinds(metadata.general_desc)
    return Region(
        metadata.leading_digits or "", decided_before, general, _kinds(mobile, metadata.fixed_line), _kinds(*other)
    )


def _kinds(*described: PhoneNumberDesc | None) -> tuple[Kind, ...]:
    known = ((each.national_number_pattern, each.possible_length or _ANY_LENGTH) for each in described if each)
    return tuple(Kind(pattern, frozenset(lengths)) for pattern, lengths in known if pattern and max(lengths) > 0)


@cache
def _valid_numbers(calling_code: str) -> re.Pattern[str]:
    # Precedence lies in decided_before, so the order is free: most numbers lie in regions without leading digits.
    regions = sorted(_regions(calling_code).values(), key=lambda region: region.leading != "")
    return re.compile("|".join(map(_valid_in, regions)))


def _valid_in(region: Region) -> str:
    mine = f"(?={region.leading})(?!{region.decided_before or NEVER})"
    kinds = (_whole(kind, region.general.lengths) for kind in region.personal + region.other)
    return f"{mine}(?={_whole(region.general, _ANY_LENGTH)})(?:{'|'.join(kinds) or NEVER})"


def _whole(kind: Kind, lengths: Collection[int]) -> str:
    """A pattern for the numbers of a kind among those of these lengths."""
    possible = "|".join(rf"\d{{{length}}}\Z" for length in lengths if length in kind.lengths)
    right_length = "" if kind.lengths.issuperset(lengths) else f"(?={possible or NEVER})"
    return rf"{right_length}(?:{kind.pattern})\Z"
