"""Services that move: a folder of made-up clubs, delivered anew every hour.

What happens in an hour depends on the hour and on the hours before it alone; what can happen is in `moves`. What a run
makes of it is not known here, but for the profile ids that staff see on their screen and write into the CRM.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from crm_pipeline.sample import generate
from crm_pipeline.tables import source_tables
from crm_pipeline.vocabulary import Service

Row = dict[str, str]
PEOPLE = {"Member": "SCL", "Player": "TEETIME", "Contact": "MESSAGING", "Lead": "CRM"}
STAFF_ROWS = ("Note", "ProfileTag", "CampaignInteraction", "Referral")


@dataclass
class MovingServices:
    """The rows of every table, as they are to be delivered next."""

    folder: Path
    tables: dict[str, list[Row]]
    headers: dict[str, list[str]]
    profiles: Sequence[tuple[str, str]] = ()
    """Tenant and id of the profiles staff can see."""
    moved: dict[str, int] = field(default_factory=dict)
    """How often each kind of thing has happened."""
    made: int = 0

    def hour(self, until: datetime, moves: "Mapping[Move, float]", count: int) -> None:
        """Let so many things happen in the hour that ends then, each as often as it does, and deliver."""
        chance = Random(f"the hour until {until.isoformat()}")
        for _ in range(count):
            at = until - timedelta(seconds=chance.randrange(3600))
            [move] = chance.choices(list(moves), list(moves.values()))
            if move(self, chance, f"{at:%Y-%m-%dT%H:%M:%SZ}"):
                self.moved[move.__name__] = self.moved.get(move.__name__, 0) + 1
        self.deliver(self.folder)

    def deliver(self, folder: Path, renamed: Mapping[str, str] | None = None) -> None:
        """Write every table; profile ids in what staff wrote become what `renamed` has for them."""
        names = renamed or {}
        for service in Service:
            for table in source_tables(service):
                rows = self.tables[table.name]
                if table.name in STAFF_ROWS:
                    rows = [{column: names.get(value, value) for column, value in row.items()} for row in rows]
                path = folder / service.lower() / f"{table.name}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("w", encoding="utf-8", newline="") as lines:
                    writer = csv.DictWriter(lines, self.headers[table.name], restval="")
                    writer.writeheader()
                    writer.writerows(rows)

    def add(self, table: str, at: str, **values: str) -> bool:
        """A new row with an id of its own, last changed then."""
        self.made += 1
        self.tables[table].append({"id": self.new_id(table), "updatedAt": at, **values})
        return True

    def new_id(self, table: str) -> str:
        """An id no other row has."""
        return str(900_000 + self.made) if table == "Member" else f"moving-{table.lower()}-{self.made}"

    def somebody(self, chance: Random, *tables: str) -> tuple[str, Row]:
        """A record of a person, and the table it is in."""
        table = chance.choice(tables or tuple(PEOPLE))
        return table, chance.choice(self.tables[table])


def delivered(folder: Path, *, tenants: int, people: int, events: int, until: datetime) -> MovingServices:
    """Made-up clubs as they are before anything moves."""
    generate(tenants=tenants, people=people, events=events, seed=7, out=folder, until=until)
    return read_services(folder)


def read_services(folder: Path) -> MovingServices:
    """The rows that lie in a folder of the four services, to be moved from there."""
    tables, headers = {}, {}
    for service in Service:
        for table in source_tables(service):
            with (folder / service.lower() / f"{table.name}.csv").open(encoding="utf-8", newline="") as lines:
                reader = csv.DictReader(lines)
                tables[table.name] = list(reader)
                headers[table.name] = list(reader.fieldnames or ())
    return MovingServices(folder, tables, headers)


Move = Callable[[MovingServices, Random, str], bool]
"""Something that may happen at a time; false where there was nobody it could happen to."""
