"""Whose records are whose: the stories of the world in which services are linked, kept apart, or staff decide.

Each says in its first line what it shows. Does not belong here: what people who are known do (`world_lives`).
"""

from collections.abc import Iterator
from typing import Final

from crm_pipeline_tests.world_rows import (
    FYNBOS,
    HEATHER,
    SAGUARO,
    Row,
    booking,
    contact,
    lead,
    member,
    override,
    payment,
    player,
    suppressed,
)


def family_sharing_an_email() -> Iterator[Row]:
    """Pieter's two records are linked, since first names settle it; Marlene and Anke stay people of their own."""
    email = "kruisvelds@example.com"
    for id_, name, cents in ((11, "Pieter Kruisveld", 180_000), (12, "Marlene Kruisveld", 120_000)):
        joined = member(id_, FYNBOS, name, "2021-07-01", email=email, renewsOn="2026-07-01", yearlyFeeCents=cents)
        yield joined
        yield payment(joined, "2025-07-01", cents, description="Membership fee")
    pieter = player("pieter-kruisveld", FYNBOS, "Pieter Kruisveld", email=email)
    anke = player("anke-kruisveld", FYNBOS, "Anke Kruisveld", email=email)
    yield from (pieter, anke, booking(pieter, "2026-03-08", cents=None), booking(anke, "2026-02-20"))


def couple_sharing_a_phone() -> Iterator[Row]:
    """Elsie and Ronald share a phone: each is linked to their own player, and neither to the other."""
    for id_, name in ((21, "Elsie Thornbury"), (22, "Ronald Thornbury")):
        first = name.split()[0].lower()
        yield member(id_, HEATHER, name, "2018-04-01", phoneNumber="07911 100101", renewsOn="2026-04-01")
        email = f"{first}.thornbury@example.org"
        golfer = player(f"{first}-thornbury", HEATHER, name, phoneNumber="+44 7911 100101", email=email)
        yield from (golfer, booking(golfer, "2026-03-15", cents=None))


def father_and_son() -> Iterator[Row]:
    """AMBIGUOUS: two James Ormsleys share an email, and nothing says which of them the player and the contact are."""
    email = "ormsleys@example.org"
    yield member(23, HEATHER, "James Ormsley", "2005-05-01", email=email, renewsOn="2026-05-01")
    yield member(
        24, HEATHER, "James Ormsley", "2022-05-01", email=email, renewsOn="2026-05-01", membershipTier="Junior"
    )
    yield player("james-ormsley", HEATHER, "James Ormsley", email=email)
    yield contact("j-ormsley", HEATHER, "J Ormsley", email=email)


def duplicate_registration() -> Iterator[Row]:
    """Dana registered twice with one email, phone and name: one person, whose two rounds are counted together."""
    first = player("dana-whitlock", SAGUARO, "Dana Whitlock", email="dana@example.net", phoneNumber="(480) 555-0101")
    second = player("dana-whitlock-2", SAGUARO, "DANA WHITLOCK", email="Dana@example.net", phoneNumber="+14805550101")
    yield from (first, second, booking(first, "2026-02-01"), booking(second, "2026-03-18"))


def linked_by_account() -> Iterator[Row]:
    """AUTH_USER_ID, and a casual golfer who became a member: Lindiwe gave another email when she joined."""
    account = "account-lindiwe"
    golfer = player("lindiwe-nkosani", FYNBOS, "Lindiwe Nkosani", email="lindiwe@example.com", authUserId=account)
    joined = member(
        13,
        FYNBOS,
        "Lindiwe Nkosani",
        "2025-06-02",
        email="l.nkosani@example.org",
        authUserId=account,
        renewsOn="2026-06-02",
    )
    yield from (golfer, joined, payment(joined, "2025-06-02", 120_000, description="Membership fee"))
    for day in ("2024-03-09", "2024-08-17", "2025-01-25", "2025-05-10"):
        yield booking(golfer, day, cents=65_000)
    for day in ("2025-07-05", "2025-10-18", "2026-01-17", "2026-03-21"):
        yield booking(golfer, day, cents=None)


def linked_by_email() -> Iterator[Row]:
    """EMAIL whatever its case and spaces, and a lapsed member: Johan last paid over two years ago."""
    lapsed = member(
        14,
        FYNBOS,
        "Johan Coetsvlei",
        "2019-02-01",
        email="johan.coetsvlei@example.com",
        membershipStatus="LAPSED",
        renewsOn="2025-02-01",
        endedAt="2025-05-02T08:00:00Z",
        updatedAt="2025-05-02T08:00:00Z",
    )
    yield from (lapsed, payment(lapsed, "2024-02-01", 120_000, description="Membership fee"))
    yield contact("johan-coetsvlei", FYNBOS, "Johan Coetsvlei", email="  Johan.Coetsvlei@EXAMPLE.com ")


def linked_by_phone() -> Iterator[Row]:
    """PHONE in four spellings, national and international: Thandi's only key that all services have."""
    yield member(18, FYNBOS, "Thandi Molefane", "2020-09-01", phoneNumber="082 555 0102", renewsOn="2026-09-01")
    golfer = player("thandi-molefane", FYNBOS, "Thandi Molefane", phoneNumber="+27 82 555 0102")
    yield from (golfer, booking(golfer, "2026-03-28", cents=None))
    yield contact("thandi-molefane", FYNBOS, "Thandi Molefane", phoneNumber="0027-82-555-0102")
    yield lead("thandi-molefane", FYNBOS, "T Molefane", since="2020-08-15", phoneNumber="(082) 555.0102")


def linked_by_email_and_phone() -> Iterator[Row]:
    """EMAIL_AND_PHONE, and a customer who plays every month."""
    keys = {"email": "grace.hartwell@example.org", "phoneNumber": "07911 100103"}
    golfer = player("grace-hartwell", HEATHER, "Grace Hartwell", **keys)
    yield from (golfer, contact("grace-hartwell", HEATHER, "Grace Hartwell", smsOptIn=True, **keys))
    for day in ("2025-10-12", "2025-11-09", "2025-12-14", "2026-01-11", "2026-02-08", "2026-03-08"):
        yield booking(golfer, day)


def names_that_differ() -> Iterator[Row]:
    """Bob and Robert are linked by email alone, and a person is asked whether that is right."""
    yield player("robert-langmere", HEATHER, "Robert Langmere", email="langmere@example.net")
    yield lead("bob-langmere", HEATHER, "Bob Langmere", email="langmere@example.net")


def phones_passed_on() -> Iterator[Row]:
    """CONFLICT: a chain of phones would make one person of two members, so nothing along it merges."""
    yield member(34, SAGUARO, "Victor Redfern", "2015-10-01", phoneNumber="480-555-0121", renewsOn="2026-10-01")
    email = "redfern@example.com"
    yield player("v-redfern", SAGUARO, "Vic Redfern", email=email, phoneNumber="480-555-0121")
    yield contact("v-redfern", SAGUARO, "Vic Redfern", email=email, phoneNumber="480-555-0122")
    for id_, phone in (("w-redfern", "480-555-0122"), ("w-redfern-2", "480-555-0123")):
        yield lead(id_, SAGUARO, "Walt Redfern", phoneNumber=phone, authUserId="account-walt")
    yield member(35, SAGUARO, "Wendy Redfern", "2016-10-01", phoneNumber="480-555-0123", renewsOn="2026-10-01")


# What staff decided


def never_one_person() -> Iterator[Row]:
    """NEVER: staff know that Paul and Paula share an email, which would have linked them."""
    paul = member(31, SAGUARO, "Paul Inglewood", "2020-11-01", email="inglewood@example.net", renewsOn="2026-11-01")
    paula = player("paula-inglewood", SAGUARO, "Paula Inglewood", email="inglewood@example.net")
    yield from (paul, paula, override(paul, paula, "NEVER", "Husband and wife"))


def always_one_person() -> Iterator[Row]:
    """ALWAYS: Margaret's and Meg's records have nothing in common, but staff know her."""
    margaret = member(32, SAGUARO, "Margaret Yarrow", "2017-12-01", email="m.yarrow@example.com", renewsOn="2026-12-01")
    meg = player("meg-yarrow", SAGUARO, "Meg Yarrow", email="meg@example.org")
    yield from (margaret, meg, booking(meg, "2026-03-03", cents=None))
    yield override(margaret, meg, "ALWAYS", "Meg is short for Margaret")


def always_against_accounts() -> Iterator[Row]:
    """REJECTED_ALWAYS: no decision makes one person of two accounts."""
    ian = member(33, SAGUARO, "Ian Pickwell", "2021-01-15", authUserId="account-ian", renewsOn="2027-01-15")
    alan = player("alan-pickwell", SAGUARO, "Alan Pickwell", authUserId="account-alan")
    yield from (ian, alan, override(ian, alan, "ALWAYS", "Same surname"))


def reception_email_on_many_records() -> Iterator[Row]:
    """SHARED without anybody having listed it: four players have it, so it links none of them to the member."""
    email = "reception@heather-moor.example"
    yield member(26, HEATHER, "Nora Coldbeck", "2023-03-01", email=email, renewsOn="2027-03-01")
    for first in ("Alan", "Claire", "Keith", "Wendy"):
        guest = player(f"{first.lower()}-walk-in", HEATHER, f"{first} Quarrington", since="2026-03-14", email=email)
        yield from (guest, booking(guest, "2026-03-14", cents=4_500))


def reception_values_suppressed() -> Iterator[Row]:
    """Suppressed values link nobody, few as the records are that have them."""
    email, phone = "reception@fynbos-links.example", "+1 480 555 0100"
    yield suppressed(FYNBOS, "EMAIL", "Reception@Fynbos-Links.example", "Entered for guests without an address")
    yield member(19, FYNBOS, "Bongani Tshabane", "2022-08-01", email=email, renewsOn="2026-08-01")
    guest = player("chantal-walk-in", FYNBOS, "Chantal Lategaan", since="2026-03-07", email=email)
    yield from (guest, booking(guest, "2026-03-07"))
    yield suppressed(SAGUARO, "PHONE", "480 555 0100", "The pro shop's own phone")
    yield player("oliver-walk-in", SAGUARO, "Oliver Kirkby", since="2026-02-21", phoneNumber=phone)
    yield contact("laura-kirkby", SAGUARO, "Laura Garside", phoneNumber=phone)


STORIES: Final = (
    family_sharing_an_email,
    couple_sharing_a_phone,
    father_and_son,
    duplicate_registration,
    linked_by_account,
    linked_by_email,
    linked_by_phone,
    linked_by_email_and_phone,
    names_that_differ,
    phones_passed_on,
    never_one_person,
    always_one_person,
    always_against_accounts,
    reception_email_on_many_records,
    reception_values_suppressed,
)
