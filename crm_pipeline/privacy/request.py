"""An erasure request: stored as JSON in the lake's folder until it is finished, so that a killed one can be resumed.

It is the only file of ours with personal data outside lake and warehouse. Only its owner can read it, and it is deleted
last.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.tombstones import SubjectRecord
from crm_pipeline.resources.private_files import write_private_json

REQUESTS_FOLDER = "_pending_erasures"
_DEPENDENT_ROWS_KEY: Final = "followers"
"""The key of `dependent_rows` on disk; installations may hold unfinished requests."""


class YearlyRevenue(NamedTuple):
    """Revenue from one person in one year and currency."""

    year: int
    currency: str
    amount_cents: int


class SubjectData(NamedTuple):
    """One person to erase.

    Attributes:
        seen_until: The time up to which the services had been read when the erasure was decided, ISO 8601.
        records: Records of people, profile ids and suppressed values, which tombstones keep out.
        yearly_revenue: Revenue from the person by year and currency.
    """

    tenant_id: str
    seen_until: str
    records: list[SubjectRecord]
    yearly_revenue: list[YearlyRevenue]


@dataclass
class ErasureRequest:
    """The people to erase, with everything that identifies them.

    Attributes:
        at: The time of the request, ISO 8601.
        asked: Keyed hash of the profile that was asked for; None where retention selected the people.
        dependent_rows: Rows that reference their records: payments, bookings, messages, notes.
        values: Addresses, numbers, accounts and ids that nobody else has, searched for in files and logs.
        removed: Rows removed so far, by place.
    """

    certificate_id: str
    at: str
    asked: str | None
    reason: str | None
    people: list[SubjectData]
    dependent_rows: list[SubjectRecord]
    values: list[str]
    removed: dict[str, int] = field(default_factory=dict)

    @property
    def requested_at(self) -> datetime:
        """The time of the request."""
        return datetime.fromisoformat(self.at)

    @property
    def tenants(self) -> list[str]:
        """The clubs of the people, sorted."""
        return sorted({person.tenant_id for person in self.people})

    @property
    def records(self) -> list[SubjectRecord]:
        """The records of all people."""
        return [record for person in self.people for record in person.records]

    def list_by_certificate(self) -> Iterator[tuple[str, SubjectData]]:
        """Yields each person with the certificate id of their tombstones.

        Retention numbers them, because the tombstones of one golfer can end before those of the others.
        """
        for number, person in enumerate(self.people):
            yield (self.certificate_id if self.asked else f"{self.certificate_id}-{number}"), person

    def add_removed_rows(self, lake: Lake, place: str, rows: int) -> None:
        """Adds rows to those removed from a place, and stores the request if there are any."""
        self.removed[place] = self.removed.get(place, 0) + rows
        if rows:
            self.store(lake)

    def store(self, lake: Lake) -> None:
        """Writes the request to its file atomically."""
        file = _find_requests_folder(lake) / f"{self.certificate_id}.json"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = asdict(self)
        document[_DEPENDENT_ROWS_KEY] = document.pop("dependent_rows")
        write_private_json(file, document)

    def delete(self, lake: Lake) -> None:
        """Deletes the request's file and the half-written files of killed processes."""
        for file in _find_requests_folder(lake).iterdir():
            if file.suffix == ".new" or file.stem == self.certificate_id:
                file.unlink()
        _find_requests_folder(lake).rmdir()


def read_pending_requests(lake: Lake) -> Iterator[ErasureRequest]:
    """Yields the requests that are not finished, in the order of their certificate ids."""
    for file in sorted(_find_requests_folder(lake).glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        document["dependent_rows"] = [SubjectRecord(*values) for values in document.pop(_DEPENDENT_ROWS_KEY)]
        document["people"] = [
            SubjectData(
                tenant_id,
                seen_until,
                [SubjectRecord(*values) for values in records],
                [YearlyRevenue(*values) for values in yearly_revenue],
            )
            for tenant_id, seen_until, records, yearly_revenue in document["people"]
        ]
        yield ErasureRequest(**document)


def _find_requests_folder(lake: Lake) -> Path:
    return Path(lake.url) / REQUESTS_FOLDER
