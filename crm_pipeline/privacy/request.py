"""An order to forget people, kept beside the lake until it is carried out: what a killed one is finished from.

It is the only file of ours with personal data outside lake and warehouse, readable by its owner alone, and the last
thing to be deleted.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.tombstones import SubjectRecord

REQUESTS_FOLDER = "_pending_erasures"


class YearlyRevenue(NamedTuple):
    """What came in from somebody in one year."""

    year: int
    currency: str
    amount_cents: int


class SubjectData(NamedTuple):
    """One of those to be forgotten.

    Attributes:
        seen_until: up to when their services had been read when it was decided.
        records: of people, profile ids and suppressed values: what tombstones keep out.
        sums: what came in from them.
    """

    tenant_id: str
    seen_until: str
    records: list[SubjectRecord]
    sums: list[YearlyRevenue]


@dataclass
class ErasureRequest:
    """Who is to be forgotten, by every name we have for them.

    Attributes:
        asked: keyed hash of the one who was asked for; None where retention found them.
        followers: rows that hang on their records: payments, bookings, messages, notes.
        values: addresses, numbers, accounts and ids nobody else has, to be looked for in files and logs.
        removed: rows taken out so far, by place.
    """

    certificate_id: str
    at: str
    asked: str | None
    reason: str | None
    people: list[SubjectData]
    followers: list[SubjectRecord]
    values: list[str]
    removed: dict[str, int] = field(default_factory=dict)

    @property
    def time(self) -> datetime:
        """When it was given."""
        return datetime.fromisoformat(self.at)

    @property
    def tenants(self) -> list[str]:
        """The clubs they are of."""
        return sorted({person.tenant_id for person in self.people})

    @property
    def records(self) -> list[SubjectRecord]:
        """Those of all of them."""
        return [record for person in self.people for record in person.records]

    def numbered(self) -> Iterator[tuple[str, SubjectData]]:
        """Each with the certificate id of their tombstones: of retention's, one each can end by itself."""
        for number, person in enumerate(self.people):
            yield (self.certificate_id if self.asked else f"{self.certificate_id}-{number}"), person

    def note(self, lake: Lake, place: str, rows: int) -> None:
        """Remember what was taken out of a place."""
        self.removed[place] = self.removed.get(place, 0) + rows
        if rows:
            self.keep(lake)

    def keep(self, lake: Lake) -> None:
        """Write it to the disk, whole or not at all."""
        file = _find_requests_folder(lake) / f"{self.certificate_id}.json"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        with open(draft, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as text:
            json.dump(asdict(self), text)
            text.flush()
            os.fsync(text.fileno())
        draft.replace(file)

    def discard(self, lake: Lake) -> None:
        """Delete it and whatever a killed one left half-written."""
        for file in _find_requests_folder(lake).iterdir():
            if file.suffix == ".new" or file.stem == self.certificate_id:
                file.unlink()
        _find_requests_folder(lake).rmdir()


def read_pending_requests(lake: Lake) -> Iterator[ErasureRequest]:
    """Orders nobody has finished."""
    for file in sorted(_find_requests_folder(lake).glob("*.json")):
        given = json.loads(file.read_text(encoding="utf-8"))
        given["followers"] = [SubjectRecord(*values) for values in given["followers"]]
        given["people"] = [
            SubjectData(
                tenant_id,
                seen_until,
                [SubjectRecord(*values) for values in records],
                [YearlyRevenue(*values) for values in sums],
            )
            for tenant_id, seen_until, records, sums in given["people"]
        ]
        yield ErasureRequest(**given)


def _find_requests_folder(lake: Lake) -> Path:
    return Path(lake.url) / REQUESTS_FOLDER
