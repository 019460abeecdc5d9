"""How a case of the corpus is told: a row as a service delivers it, and what must become of it.

A sound row of each table stands here, as delivered and as the lake keeps it. The cases are in the `*_rows` modules.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table

from crm_pipeline.tables.columns import service_of
from crm_pipeline.tables.sources import crm, messaging, scl, teetime

CLUB = "links"
LONGEST_ID = 200
NEW_YEAR = "2026-01-01T00:00:00Z"
TYPED: dict[Any, Any] = {NEW_YEAR: datetime(2026, 1, 1, tzinfo=UTC), "1": 1, "2": 2, "5000": 5_000}
"""What the texts of sound rows mean."""
_STAMPS = dict.fromkeys(("createdAt", "updatedAt"), NEW_YEAR)
SOUND: dict[Table, dict[str, Any]] = {
    scl.member: {"membershipStatus": "ACTIVE", "joinedAt": NEW_YEAR, **_STAMPS},
    scl.payment: {
        "memberId": "1",
        "kind": "PAYMENT",
        "amountCents": "5000",
        "currency": "GBP",
        "status": "SETTLED",
        "paidAt": NEW_YEAR,
        "updatedAt": NEW_YEAR,
    },
    scl.tier_change: {"memberId": "1", "toTier": "Gold", "changedAt": NEW_YEAR, "updatedAt": NEW_YEAR},
    crm.tenant: {
        "name": "The Links",
        "countryCode": "GB",
        "currency": "GBP",
        "timezone": "Europe/London",
        "status": "ACTIVE",
        "updatedAt": NEW_YEAR,
    },
    teetime.player: _STAMPS,
    teetime.booking: {
        "playerId": "ada",
        "status": "BOOKED",
        "players": "2",
        **dict.fromkeys(("teeTimeAt", "bookedAt", "updatedAt"), NEW_YEAR),
    },
    messaging.contact: {**dict.fromkeys(("emailOptIn", "smsOptIn", "pushOptIn", "whatsappOptIn"), True), **_STAMPS},
    crm.lead: _STAMPS,
    crm.note: {"body": "Hello", **_STAMPS},
}
"""What a sound row has beside its id and its club."""
Quarantined = tuple[str, str, str | None, str | None, str, str]
"""Service, table, record id, tenant, column, reason."""


@dataclass(frozen=True)
class Case:
    """A row that may be wrong.

    Attributes:
        name: what is odd about it, and its id where `values` has none.
        values: how it differs from a sound row, by the service's names.
        means: the values, of those, that the lake has otherwise than they were delivered.
        faults: `column:REASON` of each; without any, the row is kept.
        tenant: whom the quarantine names.
    """

    name: str
    table: Table
    values: dict[str, Any] = field(default_factory=dict)
    means: dict[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    tenant: str | None = CLUB

    def delivered(self) -> dict[str, Any]:
        """The row as the service has it."""
        place = {"id": self.name} if self.table is crm.tenant else {"id": self.name, "tenantId": CLUB}
        return {column.name: None for column in self.table.columns} | place | SOUND[self.table] | self.values

    def kept(self) -> dict[str, Any]:
        """The row as the lake has it."""
        sound = {name: TYPED.get(value, value) for name, value in SOUND[self.table].items()}
        return self.delivered() | sound | self.values | self.means

    def quarantined(self) -> set[Quarantined]:
        """What is published about it, if it is set aside."""
        key = self.kept()["id"]
        record = None if key is None else str(key)[:LONGEST_ID]
        tenant = str(key) if self.table is crm.tenant else self.tenant
        place = (str(service_of(self.table)), self.table.name, record, tenant)
        return {(*place, *fault.split(":", 1)) for fault in self.faults}  # type: ignore[misc]
