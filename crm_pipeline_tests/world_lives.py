"""What becomes of people whose records are known: the stories of the world about stages, money, consent and clocks.

Each says in its first line what it shows. Does not belong here: whose records are whose (`world_identities`).
"""

from collections.abc import Iterator
from typing import Final

from crm_pipeline_tests.world_rows import (
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
    payment,
    player,
    referral,
    refund,
    tag,
    tier_change,
)

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
