"""Hours of a lake without Dagster and warehouse: every stage up to the scores, on services that move.

Beside what `moves` lets happen here are things that come of time, and what one customer's rows do to another's.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any

from crm_pipeline.resources.lake.lake import Changes, Lake
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.run_context import Step
from crm_pipeline.steps.extract import extract
from crm_pipeline.steps.identities.model import keep_resolved
from crm_pipeline.steps.scores import keep_scores
from crm_pipeline.steps.timeline import keep_timeline
from crm_pipeline.steps.validate import quarantine_rows
from crm_pipeline.tables.outputs import operations, profiles
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.moves import MOVES
from crm_pipeline_tests.moving_services import Move, MovingServices

STAGES: dict[str, Callable[[Step, Sequence[str]], Sequence[Any]]] = {
    "identities": keep_resolved,
    "timeline": keep_timeline,
    "scores": keep_scores,
}
SERVICES = (Service.CRM, Service.MESSAGING, Service.SCL, Service.TEETIME)
MINUTES = (-90, 1, 3, 4, 7, 50, 130, 23 * 60, 25 * 60)


def soon(chance: Random, at: str) -> str:
    """A time around which, within hours, something comes to mean something else."""
    return f"{datetime.fromisoformat(at) + timedelta(minutes=chance.choice(MINUTES)):%Y-%m-%dT%H:%M:%SZ}"


def a_clock_runs_ahead(now: MovingServices, chance: Random, at: str) -> bool:
    columns = {"Booking": "bookedAt", "MessageEvent": "occurredAt", "Payment": "paidAt", "Lead": "createdAt"}
    columns |= {"Player": "createdAt", "HandicapUpdate": "recordedAt", "Member": "noticeGivenAt"}
    table = chance.choice(list(columns))
    chance.choice(now.tables[table]).update({columns[table]: soon(chance, at), "updatedAt": at})
    return True


def something_is_planned(now: MovingServices, chance: Random, at: str) -> bool:
    plans = {
        "Booking": {"teeTimeAt": soon(chance, at), "status": chance.choice(("PLAYED", "NO_SHOW", "BOOKED"))},
        "CompetitionEntry": {"playedAt": soon(chance, at)},
        "Payment": {"dueAt": soon(chance, at), "status": "PENDING", "paidAt": ""},
        "Member": {"membershipStatus": "RESIGNED", "endedAt": soon(chance, at)},
    }
    table = chance.choice(list(plans))
    chance.choice(now.tables[table]).update(**plans[table], updatedAt=at)
    return True


def somebody_settles_a_booking(now: MovingServices, chance: Random, at: str) -> bool:
    """Whoever it is that pays, the player has paid."""
    booking = chance.choice(now.tables["Booking"])
    payers = [row for row in now.tables["Payment"] if row["tenantId"] == booking["tenantId"]]
    booking.update(paidAt=at, priceCents="5000", updatedAt=at)
    chance.choice(payers).update(bookingId=booking["id"], kind="PAYMENT", status="SETTLED", paidAt=at, updatedAt=at)
    return True


def a_customer_is_brought(now: MovingServices, chance: Random, at: str) -> bool:
    tenant, referrer = chance.choice(now.profiles)
    referred = chance.choice([profile for club, profile in now.profiles if club == tenant])
    return now.add(
        "Referral", at, tenantId=tenant, referrerProfileId=referrer, referredProfileId=referred, occurredAt=at
    )


def a_row_comes_twice(now: MovingServices, chance: Random, at: str) -> bool:
    """With a later time, which is not yet come."""
    table = chance.choice(("Player", "Contact", "Booking"))
    now.tables[table].append({**chance.choice(now.tables[table]), "updatedAt": soon(chance, at)})
    return True


ALL_MOVES: dict[Move, float] = {
    **MOVES,
    a_clock_runs_ahead: 5,
    something_is_planned: 5,
    somebody_settles_a_booking: 3,
    a_customer_is_brought: 3,
    a_row_comes_twice: 1,
}


@dataclass(frozen=True)
class Hours:
    """One lake in a folder, and the services it is of."""

    folder: Path
    services: MovingServices

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"), self.folder / "spill")

    def refresh(self, at: datetime) -> None:
        """Everything a run does up to the scores."""
        self.extract(at)
        self.compute(at)
        with closing(self.lake.connect()) as con:
            present = self.lake.current(con, profiles.customer_profiles)
            self.services.profiles = con.sql(f"select tenant_id, id from {present} order by all").fetchall()

    def extract(self, at: datetime) -> None:
        """The snapshots of all services."""
        sources = Sources({service: str(self.services.folder / service.lower()) for service in Service})
        for service in SERVICES:
            with closing(self.lake.connect()) as con:
                extract(Step(con, self.lake, at, "run", None), sources, service)
            self.judge(service, at)

    def judge(self, service: Service, at: datetime) -> None:
        """Set aside what is wrong in a service."""
        with closing(self.lake.connect()) as con:
            quarantine_rows(Step(con, self.lake, at, "run", None), service, f"{service.lower()}_snapshot")

    def set_aside(self) -> set[tuple[Any, ...]]:
        """What is set aside now."""
        with closing(self.lake.connect()) as con:
            kept = self.lake.current(con, operations.quarantined_records)
            return set(
                con.sql(f"select * exclude (first_seen_at, last_seen_at, _known_at, _version) from {kept}").fetchall()
            )

    def compute(self, at: datetime) -> dict[str, list[Mapping[str, Changes]]]:
        """The stages after extraction; what each changed, part by part."""
        found = {}
        for name, keep in STAGES.items():
            with closing(self.lake.connect()) as con:
                this = Step(con, self.lake, at, "run", None)
                tenants: Sequence[str] = [tenant.tenant_id for tenant in this.load_tenants()[0]]
                found[name] = [part.changes for part in keep(this, tenants)]
        return found

    def copied_without_notes(self, at: datetime, copy: Path) -> "Hours":
        """A copy that does not know what was computed before, and in which all rows were judged again."""
        copytree(self.folder / "lake", copy / "lake")
        copied = Hours(copy, self.services)
        with closing(copied.lake.connect()) as con:
            kept = copied.lake.current(con, operations.worked_inputs)
            con.execute(f"create temp table nothing as from {kept} limit 0")
            Step(con, copied.lake, at, "run", None).replace(operations.worked_inputs, "nothing", None)
        for service in SERVICES:
            copied.judge(service, at)
        return copied
