"""Numbering plans from the metadata of `phonenumbers`: how each region dials, and which digits are valid numbers."""

import re
from functools import cache
from typing import Final, NamedTuple

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    SUPPORTED_REGIONS,
    PhoneMetadata,
    PhoneNumberDesc,
    country_code_for_region,
)

_MAIN_REGIONS: Final = {str(code): regions[0] for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}
_NON_GEOGRAPHIC_REGION: Final = "001"
_ANY_LENGTH: Final = frozenset(range(2, 18))


class NumberKind(NamedTuple):
    """The numbers of one kind, such as mobile or freephone: a pattern of the whole number, and its possible lengths."""

    pattern: str
    lengths: frozenset[int]


class RegionPatterns(NamedTuple):
    """The patterns of the valid numbers of one region: these match `general` and one of the `kinds`.

    A region with leading digits alone decides about the numbers that start with them, unless an earlier region of the
    same country code does. `earlier_leading_digits` is the pattern of the leading digits of those earlier regions.
    """

    leading_digits: str
    earlier_leading_digits: str
    general: NumberKind
    kinds: tuple[NumberKind, ...]


class NumberingPlan(NamedTuple):
    """The way one region writes its numbers; what a region does not have is empty.

    Attributes:
        name: three characters no other plan has.
        calling_code: what is dialled after a plus.
        international_prefix: a pattern of what is dialled in place of the plus.
        trunk_prefix: a pattern of 0, or whatever else is dialled before a number within the region.
        trunk_rewrite: the replacement of a trunk prefix whose last group matched, and the number of that group.
        general: a pattern that every number matches.
        lengths: how many digits a number has, without country code.
        local_lengths: the same without area code.
    """

    name: str
    calling_code: str
    international_prefix: str
    trunk_prefix: str
    trunk_rewrite: tuple[str, int] | None
    general: str
    lengths: frozenset[int]
    local_lengths: frozenset[int]

    def is_too_long(self, length: int) -> bool:
        """Whether it is longer than every number of the region, local ones included."""
        return length > max(self.lengths) and length not in self.local_lengths

    def is_too_short(self, length: int) -> bool:
        """Whether no number of the region has this length, and it is not too long."""
        return not self.is_too_long(length) and (length not in self.lengths or length in self.local_lengths)


def find_calling_code(digits: str) -> str | None:
    """Returns the country code that `digits` start with, None where there is none."""
    return next((digits[:length] for length in (1, 2, 3) if digits[:length] in _MAIN_REGIONS), None)


@cache
def find_plan_by_code(calling_code: str) -> NumberingPlan:
    """Returns the plan of the main region of a country code, for numbers written with that code."""
    return _build_plan(calling_code, _MAIN_REGIONS[calling_code])


@cache
def find_plan_by_region(region: str) -> NumberingPlan | None:
    """Returns the plan of a region, None where `phonenumbers` does not support it."""
    return _build_plan(str(country_code_for_region(region)), region) if region in SUPPORTED_REGIONS else None


@cache
def _build_plan(calling_code: str, region: str) -> NumberingPlan:
    metadata = _load_metadata(calling_code, region)
    prefix, rewrite = metadata.national_prefix_for_parsing or "", metadata.national_prefix_transform_rule
    [general] = _build_number_kinds(metadata.general_desc)
    local_lengths = metadata.general_desc.possible_length_local_only if metadata.general_desc else ()
    return NumberingPlan(
        name=f"{calling_code if region == _NON_GEOGRAPHIC_REGION else region:3}",
        calling_code=calling_code,
        international_prefix=metadata.international_prefix or "",
        trunk_prefix=prefix,
        trunk_rewrite=(rewrite, re.compile(prefix).groups) if rewrite else None,
        general=general.pattern,
        lengths=general.lengths,
        local_lengths=frozenset(local_lengths),
    )


@cache
def find_regions_by_code(calling_code: str) -> tuple[RegionPatterns, ...]:
    """Returns the regions of a country code, those without leading digits first.

    `earlier_leading_digits` records which region decides first, so the order returned is free.
    """
    regions, earlier = list[RegionPatterns](), list[str]()
    for name in COUNTRY_CODE_TO_REGION_CODE[int(calling_code)]:
        metadata = _load_metadata(calling_code, name)
        regions.append(_build_region_patterns(metadata, "|".join(earlier)))
        earlier += [metadata.leading_digits] if metadata.leading_digits else []
    return tuple(sorted(regions, key=lambda region: region.leading_digits != ""))


def _load_metadata(calling_code: str, region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(int(calling_code), region)
    if metadata is None:
        raise LookupError(f"phonenumbers knows no numbering plan for +{calling_code} in {region}")
    return metadata


def _build_region_patterns(metadata: PhoneMetadata, earlier_leading_digits: str) -> RegionPatterns:
    mobile = None if metadata.same_mobile_and_fixed_line_pattern else metadata.mobile
    described = [mobile, metadata.fixed_line, metadata.toll_free, metadata.premium_rate, metadata.shared_cost]
    described += [metadata.voip, metadata.personal_number, metadata.pager, metadata.uan, metadata.voicemail]
    [general] = _build_number_kinds(metadata.general_desc)
    return RegionPatterns(
        metadata.leading_digits or "", earlier_leading_digits, general, _build_number_kinds(*described)
    )


def _build_number_kinds(*described: PhoneNumberDesc | None) -> tuple[NumberKind, ...]:
    known = ((each.national_number_pattern, each.possible_length or _ANY_LENGTH) for each in described if each)
    return tuple(NumberKind(pattern, frozenset(lengths)) for pattern, lengths in known if pattern and max(lengths) > 0)
