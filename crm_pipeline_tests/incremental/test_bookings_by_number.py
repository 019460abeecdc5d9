"""A payment that names a booking by its number alone: each hour ends as a full refresh does."""

from dataclasses import dataclass

from crm_pipeline.tables.outputs.operations import quarantined_records
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.histories.moving_services import Row
from crm_pipeline_tests.fixtures.histories.small_clubs import HOUR, Passing, SharedHours, SmallClub

ORPHANED = ({"pay": "VISIT"}, {"pay"})
SETTLED = ({"pay": "VISIT", "0070001": "BOOKED_PAID"}, set[str]())
"""Kinds of visit by record, and orphaned payments: Mo pays for Pia's tee time, so that it is not paid for again."""
PAID_TWICE = ({"pay": "VISIT", "0070001": "BOOKING_PAYMENT"}, {"pay"})


@dataclass
class Club(SmallClub):
    """With Mo, a member, whose payment names a booking; and Pia, a player, with none yet."""

    def __post_init__(self) -> None:
        self.currency = self.tables["Tenant"][0]["currency"]
        self.pia = self.add("Player", "pia", firstName="Pia", email="pia@x.example")
        self.mo = self.add("Member", "77001", firstName="Mo", email="mo@x.example", membershipStatus="ACTIVE")
        self.mo.update(membershipTier="Full", joinedAt="2026-01-01", yearlyFeeCents="90000")
        paid = {"status": "SETTLED", "amountCents": "4000", "paidAt": "2026-03-20T08:00:00Z"}
        self.payment = self.add("Payment", "pay", memberId="77001", kind="PAYMENT", currency=self.currency, **paid)

    def book(self, id_: str, player: str = "pia", **values: str) -> Row:
        """Adds a booking of a tee time to come, paid for."""
        times = {"bookedAt": "2026-03-20T08:00:00Z", "teeTimeAt": "2026-04-20T08:00:00Z"}
        price = {"players": "1", "priceCents": "4000", "currency": self.currency, "paidAt": "2026-03-20T08:00:00Z"}
        return self.add("Booking", id_, playerId=player, status="BOOKED", **(times | price | values))

    def visits(self) -> tuple[dict[str, str], set[str]]:
        """Returns the kinds of visit of what Mo and Pia paid and booked, and the orphaned payments."""
        of_both = "service_record_id = 'pay' or service_record_id like '%70001'"
        # A payment after the booking that it is for.
        events = sorted(self.rows(customer_timeline, of_both), key=lambda event: str(event["event_type"]))
        kinds = {e["service_record_id"]: e["visit_kind"] for e in events if e["visit_kind"]}
        orphaned = self.rows(quarantined_records, "table_name = 'Payment' and reason = 'ORPHAN'")
        return kinds, {row["service_record_id"] for row in orphaned}


clubs = SharedHours(Club)


@clubs.test
def test_a_booking_that_is_added_changed_or_deleted_takes_the_payment_or_gives_it_back(club: Club) -> Passing:
    club.payment["bookingId"] = "070001"
    yield HOUR
    assert club.visits() == ORPHANED
    first = club.book("0070001")
    yield HOUR
    assert club.visits() == SETTLED
    club.change(first, teeTimeAt="2026-03-23T08:00:00Z", status="PLAYED")
    yield HOUR
    assert club.visits() == ({"pay": "VISIT"}, set())
    second = club.book("00070001")
    paid_for_themselves = {"0070001": "BOOKING_PAYMENT", "00070001": "BOOKING_PAYMENT"}
    yield HOUR
    assert club.visits() == ({"pay": "VISIT"} | paid_for_themselves, {"pay"}), "two have the number"
    club.remove("Booking", first)
    yield HOUR
    assert club.visits() == ({"pay": "VISIT", "00070001": "BOOKED_PAID"}, set())
    club.change(second, teeTimeAt="no time")
    yield HOUR
    assert club.visits() == ORPHANED


@clubs.test
def test_a_booking_stays_paid_by_whom_it_was_when_the_people_change(club: Club) -> Passing:
    club.payment["bookingId"] = "070001"
    club.book("0070001")
    yield HOUR
    assert club.visits() == SETTLED
    club.add("Contact", "pia", firstName="Pia", email="pia.example")
    yield HOUR
    assert club.visits() == SETTLED, "her profile changed, the payer's did not"
    club.change(club.pia, email="mo@x.example")
    yield HOUR
    assert club.visits() == ({"pay": "BOOKING_PAYMENT", "0070001": "BOOKED_PAID"}, set()), "they are one person"
    club.change(club.mo, joinedAt="some time")
    yield HOUR
    kinds, _ = club.visits()
    assert kinds == {"0070001": "BOOKING_PAYMENT"}, "a payer who is set aside pays for nothing"


@clubs.test
def test_a_payment_goes_to_the_only_booking_of_its_number_once_there_is_none_of_its_text(club: Club) -> Passing:
    quin = club.add("Player", "quin", firstName="Quin", email="quin@x.example")
    club.payment["bookingId"] = "70001.0"
    club.book("0070001")
    club.book("70001", "quin")
    yield HOUR
    assert club.visits() == ({"pay": "VISIT", "0070001": "BOOKING_PAYMENT", "70001": "BOOKED_PAID"}, set())
    club.remove("Player", quin)
    yield HOUR
    assert club.visits() == SETTLED
    club.change(club.payment, bookingId="70002")
    yield HOUR
    assert club.visits() == PAID_TWICE
    club.change(club.payment, bookingId=" 070001")
    yield HOUR
    assert club.visits() == SETTLED
