"""Decisions of operators as they write them: in other spellings, with remarks, and some that mean nothing."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from crm_pipeline.sample.clubs import Club, PeopleBlock
from crm_pipeline.sample.faults.spellings import format_time
from crm_pipeline.sample.office import list_suppressing_clubs
from crm_pipeline.sample.phones import build_pro_shop_number
from crm_pipeline.sample.records import ServiceRecords
from crm_pipeline.sample.rows import NULL
from crm_pipeline.vocabulary import Service

_ABSENT_RECORD: Final = "99999999"


def build_odd_suppressions(clubs: Sequence[Club], updated_at: int) -> list[dict[str, str | None]]:
    """Returns rows of SuppressedIdentifier that name a club's own address and number again, some of them in vain."""
    return [
        {
            "id": f"suppressed-{club.slug}-{number}",
            "tenantId": club.slug,
            "kind": kind,
            "value": value,
            "reason": "The club's own.",
            "updatedAt": format_time(updated_at),
        }
        for club in list_suppressing_clubs(clubs)
        for number, (kind, value) in enumerate(
            (
                ("PHONE", f"+{club.country.calling_code} {build_pro_shop_number(club.country)} (pro shop)"),
                ("EMAIL", f"Reception <{club.reception_email}>"),
                ("EMAIL", f"*@{club.slug}.example"),
                ("PHONE", club.reception_email),
            )
        )
    ]


def build_odd_overrides(block: PeopleBlock, members: ServiceRecords) -> list[dict[str, str | None]]:
    """Returns rows of IdentityOverride that keep people of a block apart who are not one, or name nobody."""
    numbers = members.first_number[np.flatnonzero(members.first_number != NULL)][:3].tolist()
    if not numbers[1:]:
        return []
    first, *others = numbers
    pairs = [(f" {first}", f"{others[0]}.0"), (f"0{first}", f"{others[-1]}\t"), (str(first), _ABSENT_RECORD)]
    return [
        {
            "id": f"override-{block.first_person}-{number}",
            "tenantId": block.club.slug,
            "serviceA": Service.SCL,
            "recordIdA": one,
            "serviceB": Service.SCL,
            "recordIdB": other,
            "decision": "NEVER",
            "reason": "Two people.",
            "decidedBy": "staff-1",
            "updatedAt": format_time(block.until),
        }
        for number, (one, other) in enumerate(pairs)
    ]
