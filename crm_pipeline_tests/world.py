"""One hand-written world: three small clubs and a cast in which every row earns its place.

Each story says in its first line what it shows. `as_of` is 2026-03-31T12:00:00Z. Belongs here: who is in the world.
Does not belong here: how a row is spelled (`world_rows`), and what the pipeline should make of the world (its tests).

`python -m crm_pipeline_tests.world data/sample` writes the sample clubs: the cast before a made-up background.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from crm_pipeline.sample import generate_for
from crm_pipeline.vocabulary import QuarantineReason
from crm_pipeline_tests.world_rows import (
    CLUBS,
    FYNBOS,
    HEATHER,
    SAGUARO,
    Row,
    Values,
    answer,
    booking,
    competition,
    contact,
    handicap_update,
    lead,
    member,
    message,
    note,
    override,
    payment,
    player,
    referral,
    refund,
    suppressed,
    tag,
    tenant,
    tier_change,
    write_rows,
)

AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
_BACKGROUND_PEOPLE, _BACKGROUND_EVENTS, _BACKGROUND_SEED = 300, 7_000, 2026


def write_world(out: Path) -> None:
    """Write the cast alone, as folders of snapshots."""
    write_rows(out, [*map(tenant, CLUBS), *cast()])


def write_sample(out: Path) -> None:
    """Write the cast and a background of people made up by `crm_pipeline.sample`, in the same three clubs."""
    generate_for(
        CLUBS, people=_BACKGROUND_PEOPLE, events=_BACKGROUND_EVENTS, seed=_BACKGROUND_SEED, out=out, until=AS_OF
    )
    (out / "truth.csv").unlink()
    write_rows(out, cast(), mode="a")


def cast() -> list[Row]:
    """Every row of every story, the bad ones included, without the clubs themselves."""
    return [row for story in STORIES for row in story()] + [row for _, row in bad_rows()]


# Who is who


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


# How far they have come


def subscriber() -> Iterator[Row]:
    """SUBSCRIBER: only ever written to; that a mail scanner opened it says nothing."""
    ruth = contact("ruth-ashdown", HEATHER, "Ruth Ashdown", email="ruth.ashdown@example.com")
    yield from (ruth, message(ruth, "2026-03-20"), message(ruth, "2026-03-20", "OPENED", isMachineOpen=True))


def lead_only() -> Iterator[Row]:
    """LEAD: filled in a form and asked, and staff called back."""
    zola = lead("zola-radebeni", FYNBOS, "Zola Radebeni", email="zola.radebeni@example.com", phoneNumber="082 555 0105")
    yield from (zola, answer(zola, "2026-01-16", "FORM_SUBMITTED"), answer(zola, "2026-01-20", "ENQUIRED"))
    yield note(zola, "2026-01-21", "Called back, would like to see the course, prefers Fridays.")


def prospect() -> Iterator[Row]:
    """PROSPECT: read a mail, clicked and responded, but has not paid or played."""
    walter = contact("walter-holbrook", HEATHER, "Walter Holbrook", email="walter.holbrook@example.net")
    yield walter
    for kind in ("SENT", "OPENED", "CLICKED"):
        yield message(walter, "2026-03-20", kind, campaignId="autumn-offer")
    yield answer(walter, "2026-03-22", "RESPONDED")


def pending_membership() -> Iterator[Row]:
    """LEAD by a PENDING membership whose first fee is not yet due."""
    imran = member(
        15, FYNBOS, "Imran Isakari", "2026-03-24", email="imran.isakari@example.org", membershipStatus="PENDING"
    )
    due = {"status": "PENDING", "dueAt": "2026-04-07T08:00:00Z", "paidAt": None}
    yield from (imran, payment(imran, "2026-03-24", 120_000, description="First fee", **due))


def advocate() -> Iterator[Row]:
    """ADVOCATE and every event of a busy member: Nigel referred Isla, who then came to play and is a CUSTOMER."""
    keys = {"email": "nigel.fenwright@example.com", "phoneNumber": "07911 100104"}
    nigel = member(25, HEATHER, "Nigel Fenwright", "2016-04-15", renewsOn="2026-04-15", **keys)
    golfer = player("nigel-fenwright", HEATHER, "Nigel Fenwright", handicap=11.2, homeClubId="heather-moor", **keys)
    isla = player("isla-sedgeley", HEATHER, "Isla Sedgeley", since="2025-09-02", email="isla.sedgeley@example.com")
    yield from (nigel, golfer, isla, referral(nigel, isla, "2025-09-01"), booking(isla, "2025-09-14"))
    yield from (payment(nigel, "2025-04-15", 120_000), tier_change(nigel, "2025-04-15", "Weekday", "Full"))
    for day in ("2026-02-14", "2026-02-28", "2026-03-07", "2026-03-21"):
        yield booking(golfer, day, cents=None)
    yield booking(golfer, "2026-03-10", status="CANCELLED", updatedAt="2026-03-09T10:00:00Z")
    yield booking(golfer, "2026-03-17", cents=None, status="NO_SHOW")
    yield booking(
        golfer,
        "2026-04-04",
        status="BOOKED",
        bookedAt="2026-03-30T10:00:00Z",
        paidAt=None,
        updatedAt="2026-03-30T10:00:00Z",
    )
    yield from (handicap_update(golfer, "2026-02-28", 12.0, 11.6), handicap_update(golfer, "2026-03-21", 11.6, 11.2))
    played: Values = {
        "playedAt": "2026-03-21T10:00:00Z",
        "position": 3,
        "score": 76,
        "updatedAt": "2026-03-21T19:00:00Z",
    }
    yield competition(golfer, "2026-03-14", "Spring Cup", **played)
    yield competition(golfer, "2026-03-25", "Monthly Medal", playedAt="2026-04-11T09:00:00Z")
    yield from (tag(nigel, "2024-05-01", "vip"), tag(nigel, "2023-05-01", "committee", removed="2025-05-01"))


def notice_given() -> Iterator[Row]:
    """A MEMBER until the end of June, and certain to leave: he gave notice."""
    times = {
        "noticeGivenAt": "2026-02-15T10:00:00Z",
        "endedAt": "2026-06-30T22:00:00Z",
        "updatedAt": "2026-02-15T10:00:00Z",
    }
    keith = member(
        27, HEATHER, "Keith Barrowby", "2014-07-01", membershipStatus="RESIGNED", renewsOn="2026-07-01", **times
    )
    yield from (keith, payment(keith, "2025-07-01", 120_000))


def overdue() -> Iterator[Row]:
    """A MEMBER 45 days overdue who has stopped playing: the fee asked for in February is unpaid, one attempt failed."""
    keys = {"email": "jean.eastgate@example.org"}
    jean = member(28, HEATHER, "Jean Eastgate", "2023-02-14", membershipStatus="OVERDUE", renewsOn="2026-02-14", **keys)
    due = {"dueAt": "2026-02-14T08:00:00Z", "paidAt": None}
    yield from (jean, payment(jean, "2025-02-14", 120_000))
    yield payment(jean, "2026-02-14", 120_000, status="PENDING", **due)
    yield payment(jean, "2026-02-20", 120_000, status="FAILED", **due)
    golfer = player("jean-eastgate", HEATHER, "Jean Eastgate", **keys)
    yield from (golfer, booking(golfer, "2025-10-04", cents=None))


def suspended() -> Iterator[Row]:
    """A MEMBER whose membership is suspended."""
    yield member(36, SAGUARO, "Brian Wickstead", "2019-11-01", membershipStatus="SUSPENDED", renewsOn="2026-11-01")


def resigned_but_back() -> Iterator[Row]:
    """CUSTOMER: her contract ended last summer, and she has come as a guest since."""
    keys = {"email": "helen.bexfield@example.com"}
    ended = {
        "endedAt": "2025-07-01T08:00:00Z",
        "noticeGivenAt": "2025-05-20T08:00:00Z",
        "updatedAt": "2025-07-01T08:00:00Z",
    }
    helen = member(29, HEATHER, "Helen Bexfield", "2020-07-01", membershipStatus="RESIGNED", **ended, **keys)
    golfer = player("helen-bexfield", HEATHER, "Helen Bexfield", **keys)
    yield from (helen, golfer, payment(helen, "2024-07-01", 120_000), booking(golfer, "2025-12-27"))


def drifted_away() -> Iterator[Row]:
    """CHURNED: three rounds, the last 400 days ago."""
    golfer = player("frank-larkfield", SAGUARO, "Frank Larkfield", email="frank.larkfield@example.com")
    yield golfer
    for day in ("2024-11-16", "2025-01-05", "2025-02-24"):
        yield booking(golfer, day, cents=8_000)


# Money, consent and clocks


def paid_in_two_places() -> Iterator[Row]:
    """One visit paid once: the ledger's payment names the booking, so the booking's own price is not counted again."""
    deon = member(
        16, FYNBOS, "Deon Snymanskop", "2024-10-01", email="deon.snymanskop@example.com", renewsOn="2026-10-01"
    )
    golfer = player("deon-snymanskop", FYNBOS, "Deon Snymanskop", email="deon.snymanskop@example.com")
    cart = booking(golfer, "2026-03-05", cents=16_000)
    paid = payment(deon, "2026-03-05", 16_000, bookingId=cart.id, description="Cart")
    yield from (deon, golfer, cart, paid, refund(paid, deon, "2026-03-09", 6_000))


def withdrew_consent() -> Iterator[Row]:
    """One of Tessa's two contacts says no, so she has agreed to nothing."""
    keys = {"email": "tessa.merrow@example.net", "phoneNumber": "480 555 0106"}
    first = contact("tessa-merrow", SAGUARO, "Tessa Merrow", smsOptIn=True, **keys)
    second = contact("tessa-merrow-2", SAGUARO, "Tessa Merrow", since="2025-11-03", emailOptIn=False, **keys)
    yield from (first, second, message(first, "2025-11-01"), answer(first, "2025-11-03", "UNSUBSCRIBED"))


def clocks() -> Iterator[Row]:
    """A click exactly 30 days ago is out of the window, one 3 minutes ahead counts as now, 20 hours ahead not yet."""
    adriaan = contact("adriaan-venterkop", FYNBOS, "Adriaan Venterkop", email="adriaan.venterkop@example.org")
    yield adriaan
    for day, at in (("2026-03-01", "12:00:00"), ("2026-03-31", "12:03:00"), ("2026-04-01", "08:00:00")):
        yield message(adriaan, day, "CLICKED", occurredAt=f"{day}T{at}Z", updatedAt="2026-03-31T12:00:00Z")


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
    subscriber,
    lead_only,
    prospect,
    pending_membership,
    advocate,
    notice_given,
    overdue,
    suspended,
    resigned_but_back,
    drifted_away,
    paid_in_two_places,
    withdrew_consent,
    clocks,
)


def bad_rows() -> list[tuple[QuarantineReason | None, Row]]:
    """What can be wrong with a row of a file, with the reason it is set aside for; None for the rows that are fine."""
    olive = player("olive-tarrant", HEATHER, "Olive Tarrant", email="olive.tarrant@example.com")
    mark = member(20, FYNBOS, "Mark Dlamani", "2024-05-01", email="mark.dlamani@example.com", renewsOn="2026-05-01")
    fee = payment(mark, "2025-05-01", 3_000)
    twin = player("paula-twin", SAGUARO, "Paula Ravensby", email="paula.ravensby@example.com")
    stranger = player("nobody", HEATHER, "Nobody Known")
    return [
        *((None, row) for row in (olive, mark, fee, twin)),
        (QuarantineReason.MISSING_KEY, booking(olive, "2026-01-02").but(id=None)),
        (QuarantineReason.MISSING_TENANT, contact("homeless", HEATHER, "Jane Farrow").but(tenantId=None)),
        (QuarantineReason.UNKNOWN_TENANT, lead("elsewhere", HEATHER, "Ben Netherby").but(tenantId="lost-dunes")),
        (QuarantineReason.MISSING_VALUE, payment(mark, "2025-06-01", 3_000, paidAt=None)),
        (QuarantineReason.UNKNOWN_VALUE, member(91, FYNBOS, "Karin Roosvelt", "2024-05-01", membershipStatus="GOLD")),
        (QuarantineReason.NOT_A_NUMBER, payment(mark, "2025-07-01", 0).but(amountCents="thirty rand")),
        (QuarantineReason.NOT_A_BOOLEAN, contact("undecided", HEATHER, "Kate Selwood", emailOptIn="maybe")),
        (QuarantineReason.NOT_A_TIME, booking(olive, "2026-01-03", teeTimeAt="2026-02-30T15:00:00Z")),
        (QuarantineReason.FUTURE_TIME, handicap_update(olive, "2026-01-04", None, 20.1).but(recordedAt="2026-05-01")),
        (QuarantineReason.ORPHAN, booking(stranger, "2026-01-05")),
        (QuarantineReason.ORPHAN, note(stranger, "2026-01-05", "About a profile that never was.")),
        (QuarantineReason.WRONG_CURRENCY, booking(olive, "2026-01-06", currency="EUR")),
        (QuarantineReason.NEGATIVE_AMOUNT, booking(olive, "2026-01-07", cents=-5_000)),
        (QuarantineReason.TOO_LONG, player("endless", HEATHER, f"Ann {'Longshanks' * 21}")),
        (QuarantineReason.DUPLICATE_KEY, twin.but(email="paula@example.org", updatedAt="2024-01-31T08:00:00Z")),
        (QuarantineReason.INVALID_EMAIL, contact("mistyped", HEATHER, "Mary Wainfield", email="mary.wainfield")),
        (QuarantineReason.INVALID_PHONE, player("too-short", HEATHER, "Lewis Winterby", phoneNumber="07911 12")),
        # No fault of this row: more was given back than paid, so it is the profile that is reported.
        (QuarantineReason.NEGATIVE_TOTAL, refund(fee, mark, "2025-08-01", 5_000)),
    ]


if __name__ == "__main__":
    write_sample(Path(sys.argv[1]))
