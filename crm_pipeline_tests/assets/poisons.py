"""Ten ways in which one club among many goes bad, each as it happens: a context in which it is bad, mended afterwards.

Belongs here: what is spoilt and what has to be said of it. Does not belong here: what becomes of the others.
"""

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from crm_pipeline.defs import resources
from crm_pipeline.resources.lake.lake import Changes, Lake
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.schema import holder_of
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline

Poison = Callable[["Clubs"], AbstractContextManager[None]]
Values = Mapping[str, str]


@dataclass
class Clubs:
    """Twenty clubs, where they are delivered, their home, and the one that goes bad."""

    services: Path
    home: Path
    bad: str

    def edit(self, file: str, change: Callable[[dict[str, str]], Values]) -> None:
        """Change rows of a file; a Tenant's club is its id."""
        path = self.services / file
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            rows, header = list(reader), list(reader.fieldnames or ())
        mine = [row for row in rows if row.get("tenantId", row["id"]) == self.bad]
        assert mine, file
        for row in mine:
            row.update(change(row))
        with path.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, header)
            writer.writeheader()
            writer.writerows(rows)


def delivered(*files: str, **values: str) -> Poison:
    """The club's rows of these files come with other values."""

    @contextmanager
    def poison(clubs: Clubs) -> Iterator[None]:
        sound = {file: (clubs.services / file).read_bytes() for file in files}
        for file in files:
            clubs.edit(file, lambda row: {name: value for name, value in values.items() if name in row})
        yield
        for file, content in sound.items():
            (clubs.services / file).write_bytes(content)

    return poison


def scored(rows: str) -> Poison:
    """Our own scoring goes wrong for the club: instead of its profiles query `rows` of relation `sound` is kept."""

    @contextmanager
    def poison(clubs: Clubs) -> Iterator[None]:
        class Spoilt(Lake):
            def replace(self, con: Any, table: Any, incoming: str, **how: Any) -> Changes:  # noqa: ANN401
                if table is customer_profiles:
                    con.execute(f"create or replace temp view sound as from {incoming} where tenant_id = '{clubs.bad}'")
                    con.execute(f"""create or replace temp table spoilt as from {incoming}
                        where tenant_id <> '{clubs.bad}' union all by name {rows}""")
                return super().replace(con, table, "spoilt" if table is customer_profiles else incoming, **how)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(resources, "lake_of", lambda settings: Spoilt(settings.lake_url, settings.home / "spill"))
            yield

    return poison


@contextmanager
def locked(clubs: Clubs) -> Iterator[None]:
    """Somebody's session holds the club's timeline and went to lunch."""
    url = make_url(EmbeddedPostgres(clubs.home).url("postgres")).set(database="crm")
    with create_engine(url, poolclass=NullPool).begin() as session:
        session.execute(text(f"lock table {holder_of(customer_timeline, clubs.bad)} in access exclusive mode"))
        yield


@contextmanager
def renamed(clubs: Clubs) -> Iterator[None]:
    """The CRM gives the club an id that no partition can have."""
    file = clubs.services / "crm" / "Tenant.csv"
    sound = shutil.copy(file, file.with_suffix(".sound"))
    clubs.edit("crm/Tenant.csv", lambda row: {"id": f"{row['id']}...2"})
    yield
    Path(sound).replace(file)


@dataclass(frozen=True)
class Way:
    """A way to go bad.

    Attributes:
        name: what happens.
        poison: makes it happen.
        reason: what the run says of the club, which is not published then.
        quarantined: what is set aside instead, as table, column and reason, while the club is published.
    """

    name: str
    poison: Poison
    reason: str = ""
    quarantined: frozenset[tuple[str, str, str]] = frozenset()


GARBAGE = {"handicap": "n/a", "teeTimeAt": "soon", "players": "four", "updatedAt": "0000-00-00"}
WAYS = [
    Way(
        "half of its profiles are lost",
        scored("select * from sound where hash(id) % 2 = 0"),
        "(tables_agree: event_has_a_profile",
    ),
    Way(
        "its scores are out of range",
        scored("select * replace (101 as engagement_score) from sound"),
        "(customer_profiles: scores_in_range)",
    ),
    Way(
        "a service delivers garbage for it",
        delivered("teetime/Player.csv", "teetime/Booking.csv", **GARBAGE),
        quarantined=frozenset(
            {
                ("Player", "handicap", "NOT_A_NUMBER"),
                ("Player", "updatedAt", "NOT_A_TIME"),
                ("Booking", "teeTimeAt", "NOT_A_TIME"),
                ("Booking", "players", "NOT_A_NUMBER"),
                ("Booking", "updatedAt", "NOT_A_TIME"),
            }
        ),
    ),
    Way(
        "its time zone is unknown",
        delivered("crm/Tenant.csv", timezone="Europe/Lundun"),
        "(its Tenant row is wrong: timezone:INVALID_SETTING)",
    ),
    Way(
        "its currency is missing",
        delivered("crm/Tenant.csv", currency=""),
        "(its Tenant row is wrong: currency:MISSING_VALUE)",
    ),
    Way("its id is no id", renamed, "...2 (its Tenant row is wrong: id:INVALID_SETTING)"),
    Way(
        "it has a value that PostgreSQL refuses",
        scored("select * replace (display_name || chr(0) as display_name) from sound"),
        '(invalid byte sequence for encoding "UTF8": 0x00)',
    ),
    Way("somebody holds its table", locked, "(canceling statement due to lock timeout)"),
    Way(
        "its prices are negative",
        delivered("teetime/Booking.csv", "scl/Payment.csv", priceCents="-500", amountCents="-500"),
        quarantined=frozenset(
            {("Booking", "priceCents", "NEGATIVE_AMOUNT"), ("Payment", "amountCents", "NEGATIVE_AMOUNT")}
        ),
    ),
    Way(
        "its money is in another currency",
        delivered("scl/Payment.csv", currency="JPY"),
        quarantined=frozenset({("Payment", "currency", "WRONG_CURRENCY")}),
    ),
]
