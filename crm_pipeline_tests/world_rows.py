"""The words the world's stories are told in: a small builder per source table, which fills in what does not matter.

Columns keep the services' own names. An event is made from the record it is about, and takes club, ids and currency
from it. Who is in the world, and why, belongs to `world` and its stories.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Table

from crm_pipeline import tables
from crm_pipeline.sample import Club
from crm_pipeline.sample.countries import GB, US, ZA
from crm_pipeline.sample.office import first_profile_id
from crm_pipeline.sample.write import file_of
from crm_pipeline.tables.columns import service_of
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline.vocabulary import Service

Value = str | int | float | bool | None
Values = dict[str, Value]

FYNBOS = Club("fynbos-links", "Fynbos Links", ZA)
HEATHER = Club("heather-moor", "Heather Moor", GB)
SAGUARO = Club("saguaro-ridge", "Saguaro Ridge", US)
CLUBS = (FYNBOS, HEATHER, SAGUARO)


@dataclass(frozen=True)
class Row:
    """A row of a source table."""

    table: Table
    values: Values

    def __post_init__(self) -> None:
        unknown = set(self.values) - {column.name for column in self.table.columns}
        if unknown:
            raise ValueError(f"{self.table.name} has no columns {sorted(unknown)}")

    @property
    def id(self) -> str:
        return str(self.values["id"])

    @property
    def club(self) -> Club:
        return next(club for club in CLUBS if club.slug == self.values["tenantId"])

    @property
    def service(self) -> Service:
        return service_of(self.table)

    @property
    def profile_id(self) -> str:
        """The profile's id, of a record that is the first of its profile."""
        return first_profile_id(self.club.slug, self.service, self.id)

    def but(self, **changes: Value) -> "Row":
        """The same row with some columns changed."""
        return Row(self.table, self.values | changes)


def write_rows(out: Path, rows: Iterable[Row], mode: str = "w") -> None:
    """Write every table's rows to its file; with mode "a" below what is there already."""
    rows = list(rows)
    for service in Service:
        for table in tables.source_tables(service):
            path = file_of(out, table)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode, encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, [column.name for column in table.columns], lineterminator="\n")
                if mode == "w":
                    writer.writeheader()
                writer.writerows(_as_text(row) for row in rows if row.table is table)


def _as_text(row: Row) -> Values:
    return {key: str(value).lower() if isinstance(value, bool) else value for key, value in row.values.items()}


def tenant(club: Club) -> Row:
    return Row(
        crm.tenant,
        {
            "id": club.slug,
            "name": club.name,
            "countryCode": club.country.code,
            "currency": club.country.currency,
            "timezone": club.country.timezone,
            "status": club.status.value,
            "updatedAt": "2026-01-05T09:00:00Z",
        },
    )


def _person(table: Table, id_: str | int, club: Club, name: str, since: str, more: Values) -> Row:
    first, _, last = name.partition(" ")
    made = f"{since}T08:00:00Z"
    common: Values = {"id": id_, "tenantId": club.slug, "firstName": first, "lastName": last}
    return Row(table, common | {"createdAt": made, "updatedAt": made} | more)


def member(id_: int, club: Club, name: str, joined: str, **more: Value) -> Row:
    """An ACTIVE member of the Full tier."""
    usual: Values = {"membershipTier": "Full", "membershipStatus": "ACTIVE", "yearlyFeeCents": 120_000}
    return _person(scl.member, id_, club, name, joined, usual | {"joinedAt": f"{joined}T08:00:00Z"} | more)


def player(id_: str, club: Club, name: str, since: str = "2024-02-01", **more: Value) -> Row:
    return _person(teetime.player, f"player-{id_}", club, name, since, more)


def contact(id_: str, club: Club, name: str, since: str = "2024-02-01", **more: Value) -> Row:
    """A contact who agreed to email only."""
    agreed: Values = {"emailOptIn": True, "smsOptIn": False, "pushOptIn": False, "whatsappOptIn": False}
    return _person(messaging.contact, f"contact-{id_}", club, name, since, agreed | more)


def lead(id_: str, club: Club, name: str, since: str = "2026-01-15", **more: Value) -> Row:
    return _person(crm.lead, f"lead-{id_}", club, name, since, {"origin": "website", **more})


def _event(table: Table, about: Row, day: str, values: Values, more: Values) -> Row:
    id_ = f"{table.name.lower()}-{about.id}-{day}"
    common: Values = {"id": id_, "tenantId": about.club.slug, "updatedAt": f"{day}T19:00:00Z"}
    return Row(table, common | values | more)


def payment(by: Row, day: str, cents: int, **more: Value) -> Row:
    """A settled payment."""
    values: Values = {"memberId": by.id, "kind": "PAYMENT", "amountCents": cents, "status": "SETTLED"}
    values |= {"currency": by.club.country.currency, "paidAt": f"{day}T09:00:00Z"}
    return _event(scl.payment, by, day, values, more)


def refund(of: Row, by: Row, day: str, cents: int) -> Row:
    return payment(by, day, cents, id=f"refund-{by.id}-{day}", kind="REFUND", refundOfId=of.id)


def tier_change(by: Row, day: str, before: str, after: str) -> Row:
    values: Values = {"memberId": by.id, "fromTier": before, "toTier": after}
    return _event(scl.tier_change, by, day, values | {"changedAt": f"{day}T19:00:00Z"}, {})


def booking(by: Row, day: str, cents: int | None = 5_000, **more: Value) -> Row:
    """A round booked, paid and played on one day."""
    booked = f"{day}T14:00:00Z"
    values: Values = {"playerId": by.id, "teeTimeAt": f"{day}T15:00:00Z", "bookedAt": booked, "players": 1}
    price: Values = {"priceCents": cents, "currency": by.club.country.currency, "paidAt": booked}
    values |= {"status": "PLAYED"} | (price if cents is not None else {})
    return _event(teetime.booking, by, day, values, more)


def handicap_update(by: Row, day: str, before: float | None, now: float) -> Row:
    values: Values = {"playerId": by.id, "previousHandicap": before, "handicap": now}
    return _event(teetime.handicap_update, by, day, values | {"recordedAt": f"{day}T19:00:00Z"}, {})


def competition(by: Row, day: str, name: str, **more: Value) -> Row:
    """An entry, not yet played."""
    values: Values = {"playerId": by.id, "competition": name, "enteredAt": f"{day}T10:00:00Z"}
    return _event(teetime.competition_entry, by, day, values, more)


def message(to: Row, day: str, kind: str = "SENT", **more: Value) -> Row:
    """One email a day; opened or clicked within the hour."""
    at = {"SENT": "09:00", "OPENED": "09:20", "CLICKED": "09:21"}[kind]
    values: Values = {"contactId": to.id, "messageId": f"mail-{to.id}-{day}", "channel": "EMAIL"}
    values |= {"id": f"{kind.lower()}-{to.id}-{day}", "kind": kind, "isMachineOpen": False}
    values |= {"occurredAt": f"{day}T{at}:00Z", "url": "https://club.example/offers" if kind == "CLICKED" else None}
    return _event(messaging.message_event, to, day, values, more)


def note(about: Row, day: str, body: str, **more: Value) -> Row:
    values: Values = {"profileId": about.profile_id, "authorId": "staff-1", "body": body}
    return _event(crm.note, about, day, values | {"createdAt": f"{day}T19:00:00Z"}, more)


def tag(about: Row, day: str, word: str, removed: str | None = None) -> Row:
    values: Values = {"profileId": about.profile_id, "tag": word, "addedAt": f"{day}T10:00:00Z"}
    if removed:
        values |= {"removedAt": f"{removed}T10:00:00Z", "updatedAt": f"{removed}T10:00:00Z"}
    return _event(crm.profile_tag, about, day, values, {})


def answer(by: Row, day: str, kind: str) -> Row:
    values: Values = {"profileId": by.profile_id, "campaignId": "autumn-offer", "kind": kind}
    return _event(crm.campaign_interaction, by, day, values | {"occurredAt": f"{day}T19:00:00Z"}, {})


def referral(by: Row, of: Row, day: str) -> Row:
    values: Values = {"referrerProfileId": by.profile_id, "referredProfileId": of.profile_id}
    return _event(crm.referral, by, day, values | {"occurredAt": f"{day}T10:00:00Z"}, {})


def override(one: Row, other: Row, decision: str, reason: str) -> Row:
    values: Values = {"serviceA": one.service.value, "recordIdA": one.id, "decision": decision}
    values |= {"serviceB": other.service.value, "recordIdB": other.id, "reason": reason, "decidedBy": "staff-2"}
    return _event(crm.identity_override, one, "2026-02-10", values, {})


def suppressed(club: Club, kind: str, value: str, reason: str) -> Row:
    values: Values = {"id": f"suppressed-{club.slug}-{kind.lower()}", "tenantId": club.slug, "kind": kind}
    return Row(
        crm.suppressed_identifier, values | {"value": value, "reason": reason, "updatedAt": "2025-06-01T09:00:00Z"}
    )
