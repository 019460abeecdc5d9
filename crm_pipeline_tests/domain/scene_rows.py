"""Hand-written rows of the services, the rest of each filled in from the declared tables.

A test names only what it is about. `LONG_AGO` is before every window, so what is not said does not count. A record
belongs to the profile it was added for: who is whom is not asked here. What the pipeline makes of the rows belongs to
`scene`.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Column, Table

from crm_pipeline.tables import PEOPLE
from crm_pipeline.tables.columns import service_of, source_metadata
from crm_pipeline.tables.ownership import PROFILE
from crm_pipeline.tables.projections import duckdb_type, lake_name
from crm_pipeline.tables.sources import crm, teetime

AS_OF: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
LONG_AGO: Final = datetime(2015, 1, 1, 12, tzinfo=UTC)
ANN, CLUB, CURRENCY = "ann", "club", "EUR"
Values = dict[str, Any]
PLAIN_VALUES: Final[Values] = {"VARCHAR": "", "BIGINT": 0, "BOOLEAN": False, "TIMESTAMPTZ": LONG_AGO}


def ago(days: float, seconds: float = 0) -> datetime:
    """That many days of 86,400 seconds, and seconds, before AS_OF; negative: after it."""
    return AS_OF - timedelta(days=days, seconds=seconds)


@dataclass
class Rows:
    """Rows of one club or more, by the table's lake name, and which profiles they are about."""

    timezone: str = "UTC"
    rows: defaultdict[str, list[Values]] = field(default_factory=lambda: defaultdict(list))
    lost: set[str] = field(default_factory=set)
    members: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tenant()

    def tenant(self, tenant_id: str = CLUB, timezone: str | None = None, currency: str = CURRENCY) -> None:
        """A club."""
        where = {"country_code": "DE", "timezone": timezone or self.timezone, "currency": currency}
        self._put(crm.tenant, {"tenant_id": tenant_id, **where})

    def add(self, table: Table, profile: str = ANN, link: Values | None = None, /, **given: object) -> str:
        """Add a row about a profile and return its id; `link` says more about a person's record in identities.

        Rows it names and that were not added, the player of a booking say, come by themselves.
        """
        values: Values = {"tenant_id": CLUB, **given}
        tenant = values["tenant_id"]
        if table in PEOPLE.values():
            values.setdefault("id", self._person(table, profile))
            self._identify(table, profile, values, link or {})
        for column in table.columns:
            target = column.info.get("references")
            if target == PROFILE:
                self._live(tenant, values.setdefault(column.key, profile))
            elif target:
                person = values.setdefault(column.key, self._person(source_metadata.tables[target], profile))
                self._ensure(source_metadata.tables[target], profile, id=person, tenant_id=tenant)
        return str(self._put(table, values)["id"])

    def was(self, id_: str, /, **values: object) -> None:
        """An earlier version of a booking, which only the log remembers."""
        self.rows["booking_log"].append(self._row(teetime.booking, {"tenant_id": CLUB, "id": id_, **values}))

    def redirect(self, old: str, to: str | None) -> None:
        """A profile id that was once somebody and now leads to another, or to nobody."""
        self.rows["profile_ids"].append(
            {"tenant_id": CLUB, "profile_id": old, "is_live": False, "redirects_to": to},
        )

    def shuffle(self, seed: int) -> None:
        """Put the same rows in another order."""
        for rows in self.rows.values():
            random.Random(seed).shuffle(rows)

    def _person(self, table: Table, profile: str) -> str | int:
        return self.members.setdefault(profile, len(self.members) + 1) if table.name == "Member" else profile

    def _ensure(self, table: Table, profile: str, **key: object) -> None:
        if not any(key.items() <= row.items() for row in self.rows[lake_name(table)]):
            self.add(table, profile, **key)

    def _identify(self, table: Table, profile: str, values: Values, link: Values) -> None:
        tenant = values["tenant_id"]
        self._live(tenant, profile)
        record = {"tenant_id": tenant, "service": str(service_of(table)), "service_record_id": str(values["id"])}
        plain = {"rule": "ANCHOR", "confidence": 1.0, "email_is_shared": False, "phone_is_shared": False}
        self.rows["links"].append({**record, "profile_id": profile, **plain, **link})

    def _live(self, tenant: str, profile: str) -> None:
        known = self.rows["profile_ids"]
        is_known = any((tenant, profile) == (row["tenant_id"], row["profile_id"]) for row in known)
        if not is_known and profile not in self.lost:
            known.append({"tenant_id": tenant, "profile_id": profile, "is_live": True})

    def _put(self, table: Table, values: Values) -> Values:
        row = self._row(table, values)
        self.rows[lake_name(table)].append(row)
        return row

    def _row(self, table: Table, values: Values) -> Values:
        unknown = values.keys() - {column.key for column in table.columns}
        assert not unknown, f"{table.name} has no columns {unknown}"
        number = str(len(self.rows[lake_name(table)]) + 1)
        usual = {column.key: _usual(column) for column in table.columns}
        return usual | ({"id": number} if "id" in usual else {}) | values


def _usual(column: Column[Any]) -> object:
    if column.nullable:
        return None
    if allowed := column.info.get("allowed"):
        return allowed[0]
    if column.key == "currency":
        return CURRENCY
    return PLAIN_VALUES.get(duckdb_type(column), Decimal(0))
