"""Bad input over hours: named on the command line, others served, nothing published lost; mended, and broken again."""

import csv
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.tables.sources import crm
from crm_pipeline_tests.fixtures.homes.console import crm_pipeline
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, refresh
from crm_pipeline_tests.fixtures.input.cases import Case
from crm_pipeline_tests.fixtures.input.delivery import write
from crm_pipeline_tests.fixtures.worlds.world import write_world

QUARANTINED = """
    select service, table_name, service_record_id, tenant_id, column_name, reason,
        to_char(first_seen_at at time zone 'UTC', 'HH24'), to_char(last_seen_at at time zone 'UTC', 'HH24')
    from crm.quarantined_records order by service, table_name, service_record_id, reason"""
ODD_PLAYER = ("TEETIME", "Player", "player-dana-whitlock", "saguaro-ridge", "handicap", "NOT_A_NUMBER")
ORPHAN = ("TEETIME", "Booking", "booking-player-dana-whitlock-2026-02-01", "saguaro-ridge", "playerId", "ORPHAN")
MESSAGES = "select event_id, profile_id, summary from crm.customer_timeline where source = 'MESSAGING'"
NEWCOMER = "new,heather-moor,,new@club.example,,New,Comer,web,2026-03-01T00:00:00Z,2026-03-01T00:00:00Z\n"
MINE = (ODD_PLAYER, ORPHAN)


@dataclass
class Clubs:
    """The world's clubs: where they are delivered, and the home they were first refreshed in at 12:00."""

    services: Path
    home: Path

    def run(self, hour: int) -> subprocess.CompletedProcess[str]:
        as_of = f"2026-03-31T{hour}:00:00Z"
        return crm_pipeline("run", "--sources", str(self.services), "--as-of", as_of, home=self.home)

    def refresh(self, hour: int) -> list[str]:
        return refresh(self.home, self.services, as_of=f"2026-03-31T{hour}:00:00Z").failures

    def seen(self) -> dict[tuple[Any, ...], tuple[str, str]]:
        """The hours, first and last, at which the odd player and his round were seen."""
        return {tuple(row[:6]): (row[6], row[7]) for row in ask(self.home, QUARANTINED) if row[:6] in MINE}

    def edit(self, file: str, record: str, **values: str) -> None:
        path = self.services / file
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        with path.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, **values} if row["id"] == record else row for row in rows)


@pytest.fixture
def clubs(blank: Path, tmp_path: Path) -> Iterator[Clubs]:
    """Refreshed at 12:00, with nothing odd but what the world has of its own."""
    write_world(tmp_path / "services")
    with copied(blank, tmp_path / "home") as home:
        found = Clubs(tmp_path / "services", home)
        assert found.refresh(12) == []
        yield found


def test_a_club_that_cannot_be_served_is_named_where_it_is_the_only_one(own_home: Path, tmp_path: Path) -> None:
    club = Case("lines", crm.tenant, {"id": "a\nb"}, faults=("id:INVALID_SETTING",))
    services = write(tmp_path / "services", {crm.tenant: [club.delivered()]})
    never = "published: never published: "
    assert refresh(own_home, services).failures == [rf"{never}a\nb (its Tenant row is wrong: id:INVALID_SETTING)"]
    assert {tuple(row[:6]) for row in ask(own_home, QUARANTINED)} == club.quarantined()


@pytest.mark.skipif(not SOAK, reason="a minute of whole runs: make soak")
def test_a_bad_file_and_a_bad_row_are_named_until_they_are_mended_and_again_when_they_come_back(clubs: Clubs) -> None:
    assert clubs.seen() == {}
    contacts = clubs.services / "messaging" / "Contact.csv"
    sound = Path(shutil.copy(contacts, clubs.services / "kept.csv"))
    timeline = set(ask(clubs.home, MESSAGES))
    assert timeline

    contacts.write_bytes(contacts.read_bytes().decode().encode("utf-16"))
    clubs.edit("teetime/Player.csv", "player-dana-whitlock", handicap="12.34")
    with (clubs.services / "crm" / "Lead.csv").open("a", encoding="utf-8") as file:
        file.write(NEWCOMER)
    done = clubs.run(13)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("failed")] == [
        "failed MESSAGING: Contact.csv cannot be read: it is not UTF-8"
    ]
    assert "Traceback" not in done.stdout + done.stderr
    assert clubs.seen() == dict.fromkeys(MINE, ("13", "13"))
    assert ask(clubs.home, "select first_name from crm.customer_profiles where last_name = 'Comer'") == [("New",)]
    assert timeline <= set(ask(clubs.home, MESSAGES))

    clubs.edit("teetime/Player.csv", "player-dana-whitlock", handicap="12.3")
    shutil.copy(sound, contacts)
    assert clubs.refresh(14) == []
    assert clubs.seen() == {}

    clubs.edit("teetime/Player.csv", "player-dana-whitlock", handicap="scratch")
    assert clubs.refresh(15) == []
    assert clubs.refresh(16) == []
    assert clubs.seen() == dict.fromkeys(MINE, ("15", "16"))
