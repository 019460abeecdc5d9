"""What can happen at a club within an hour: people come, act, change, are corrected and go; staff write and decide."""

from datetime import datetime, timedelta
from random import Random

from crm_pipeline_tests.moving_services import PEOPLE, Move, MovingServices

POINTS_TO = {"Member": "memberId", "Player": "playerId", "Contact": "contactId"}
EVENTS = ("Booking", "HandicapUpdate", "CompetitionEntry", "Payment", "TierChange", "MessageEvent")
TIERS = ("Gold", "Silver", "Weekday", "Senior")


def somebody_new_asks(now: MovingServices, chance: Random, at: str) -> bool:
    """A lead, and known to no other service yet."""
    name, tenant = f"Novo{now.made}", now.somebody(chance)[1]["tenantId"]
    person = {"tenantId": tenant, "firstName": name, "lastName": f"Comer{now.made}", "createdAt": at}
    return now.add("Lead", at, email=f"{name.lower()}@new.example", origin="website", **person)


def a_lead_joins(now: MovingServices, chance: Random, at: str) -> bool:
    """The same person in another service, under the same email."""
    _, lead = now.somebody(chance, "Lead")
    person = {name: lead[name] for name in ("tenantId", "email", "firstName", "lastName")} | {"createdAt": at}
    if chance.random() < 0.5:
        opt = dict.fromkeys(("emailOptIn", "smsOptIn", "pushOptIn", "whatsappOptIn"), "false") | {"emailOptIn": "true"}
        return now.add("Contact", at, **person, **opt)
    return now.add("Player", at, **person)


def a_round_is_booked(now: MovingServices, chance: Random, at: str) -> bool:
    _, player = now.somebody(chance, "Player")
    on = datetime.fromisoformat(at) + timedelta(days=chance.randrange(1, 14))
    times = {"bookedAt": at, "teeTimeAt": f"{on:%Y-%m-%dT%H:00:00Z}"}
    booked = {"playerId": player["id"], "status": "BOOKED", "players": "2"}
    return now.add("Booking", at, tenantId=player["tenantId"], **booked, **times)


def a_booking_is_decided(now: MovingServices, chance: Random, at: str) -> bool:
    """Never cancelled twice: when that was first is what the lake alone remembers."""
    booking = chance.choice(now.tables["Booking"])
    becomes = {"BOOKED": chance.choice(("PLAYED", "CANCELLED", "NO_SHOW")), "NO_SHOW": "PLAYED", "PLAYED": "NO_SHOW"}
    booking.update(status=becomes.get(booking["status"], "PLAYED"), updatedAt=at)
    return True


def money_comes_in(now: MovingServices, chance: Random, at: str) -> bool:
    _, member = now.somebody(chance, "Member")
    currency = next(row["currency"] for row in now.tables["Tenant"] if row["id"] == member["tenantId"])
    paid = {"kind": "PAYMENT", "amountCents": str(chance.randrange(500, 20_000)), "currency": currency}
    return now.add(
        "Payment", at, tenantId=member["tenantId"], memberId=member["id"], status="SETTLED", paidAt=at, dueAt=at, **paid
    )


def a_message_goes_out(now: MovingServices, chance: Random, at: str) -> bool:
    _, contact = now.somebody(chance, "Contact")
    message = {"messageId": f"message-{now.made}", "channel": "EMAIL", "isMachineOpen": "false", "occurredAt": at}
    who = {"tenantId": contact["tenantId"], "contactId": contact["id"]}
    now.add("MessageEvent", at, kind="SENT", **who, **message)
    if chance.random() < 0.6:
        now.add("MessageEvent", at, kind="OPENED", **who, **message)
    return True


def consent_changes(now: MovingServices, chance: Random, at: str) -> bool:
    _, contact = now.somebody(chance, "Contact")
    contact.update(emailOptIn="false" if contact["emailOptIn"] == "true" else "true", updatedAt=at)
    return True


def a_tier_changes(now: MovingServices, chance: Random, at: str) -> bool:
    _, member = now.somebody(chance, "Member")
    tier = chance.choice(TIERS)
    moved = {"memberId": member["id"], "fromTier": member["membershipTier"], "toTier": tier, "changedAt": at}
    member.update(membershipTier=tier, updatedAt=at)
    return now.add("TierChange", at, tenantId=member["tenantId"], **moved)


def a_member_gives_notice(now: MovingServices, chance: Random, at: str) -> bool:
    _, member = now.somebody(chance, "Member")
    member.update(noticeGivenAt="" if member["noticeGivenAt"] else at, updatedAt=at)
    return True


def an_email_is_corrected_to_anothers(now: MovingServices, chance: Random, at: str) -> bool:
    """Of somebody with the same name elsewhere: two profiles become one."""
    (_, one), (_, other) = now.somebody(chance), now.somebody(chance)
    if one is other or one["tenantId"] != other["tenantId"] or not other["email"]:
        return False
    one.update(email=other["email"], firstName=other["firstName"], lastName=other["lastName"], updatedAt=at)
    return True


def a_record_becomes_its_own(now: MovingServices, chance: Random, at: str) -> bool:
    """Other contacts and no account: what was one profile becomes two."""
    _, one = now.somebody(chance)
    now.made += 1
    one.update(email=f"own{now.made}@else.example", phoneNumber="", authUserId="", updatedAt=at)
    one.update(firstName=f"Own{now.made}", lastName=f"Body{now.made}")
    return True


def somebody_is_deleted(now: MovingServices, chance: Random, _at: str) -> bool:
    """With what they did or, now and then, without it: then that is set aside."""
    table, one = now.somebody(chance)
    now.tables[table].remove(one)
    if (column := POINTS_TO.get(table)) and chance.random() < 0.8:
        for name in EVENTS:
            now.tables[name] = [row for row in now.tables[name] if row.get(column) != one["id"]]
    return True


def an_event_is_deleted(now: MovingServices, chance: Random, _at: str) -> bool:
    rows = now.tables[chance.choice(("Booking", "MessageEvent", "Payment"))]
    rows.remove(chance.choice(rows))
    return True


def staff_decide(now: MovingServices, chance: Random, at: str) -> bool:
    """That two records are one person, or are not."""
    (table_a, one), (table_b, other) = now.somebody(chance), now.somebody(chance)
    if one is other or one["tenantId"] != other["tenantId"]:
        return False
    both = {"serviceA": PEOPLE[table_a], "recordIdA": one["id"], "serviceB": PEOPLE[table_b]}
    decided = {"decision": chance.choice(("ALWAYS", "NEVER")), "reason": "They say so", "decidedBy": "staff-1"}
    return now.add("IdentityOverride", at, tenantId=one["tenantId"], recordIdB=other["id"], **both, **decided)


def a_decision_is_withdrawn(now: MovingServices, chance: Random, _at: str) -> bool:
    decided = now.tables["IdentityOverride"]
    if not decided:
        return False
    decided.remove(chance.choice(decided))
    return True


def staff_write(now: MovingServices, chance: Random, at: str) -> bool:
    """About a profile they see."""
    if not now.profiles:
        return False
    tenant, profile = chance.choice(now.profiles)
    if chance.random() < 0.5:
        return now.add("Note", at, tenantId=tenant, profileId=profile, body="Asked about lessons", createdAt=at)
    return now.add("ProfileTag", at, tenantId=tenant, profileId=profile, tag=f"tag-{now.made % 5}", addedAt=at)


def a_customer_answers(now: MovingServices, chance: Random, at: str) -> bool:
    if not now.profiles:
        return False
    tenant, profile = chance.choice(now.profiles)
    answered = {"campaignId": "campaign-1", "kind": "RESPONDED", "occurredAt": at}
    return now.add("CampaignInteraction", at, tenantId=tenant, profileId=profile, **answered)


MOVES: dict[Move, float] = {
    somebody_new_asks: 3,
    a_lead_joins: 2,
    a_round_is_booked: 5,
    a_booking_is_decided: 3,
    money_comes_in: 3,
    a_message_goes_out: 5,
    consent_changes: 1,
    a_tier_changes: 1,
    a_member_gives_notice: 0.5,
    an_email_is_corrected_to_anothers: 3,
    a_record_becomes_its_own: 1,
    somebody_is_deleted: 1,
    an_event_is_deleted: 3,
    staff_decide: 1,
    a_decision_is_withdrawn: 1,
    staff_write: 1.5,
    a_customer_answers: 0.5,
}
"""How often each happens, beside the others."""
