"""An hour of the past, run again from what the lake knew then: into another home it publishes the same."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from crm_pipeline.cli import main
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import contents
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, ask, clean_environment, refresh

PAST, LAST = "2026-04-02T09:00:00Z", "2026-04-02T10:00:00Z"
Published = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Club:
    """A home that went through three hours, and what it published at the second."""

    home: Path
    past: Published
    last: Published


def published(home: Path) -> Published:
    """Every table, but for run ids and the times of our own runs."""
    return {table.name: contents(home, table.name) for table in PUBLISHED_TABLES}


def change(services: Path, file: str, pattern: str, new: str) -> None:
    path = services / file
    text, times = re.subn(pattern, new, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert times
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def club(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Club]:
    folder = tmp_path_factory.mktemp("replay")
    services = Path(shutil.copytree(SAMPLE, folder / "services"))
    with copied(first_run, folder / "home") as home:
        for file, pattern, new in (
            ("scl/Member.csv", r"^1002,.*\n", ""),  # gone
            ("scl/Member.csv", r"^(1003,.*),(ACTIVE|LAPSED|RESIGNED|OVERDUE),", r"\1,SUSPENDED,"),
            ("scl/Payment.csv", r"^(payment-1001,.*),1430000,", r"\1,-5,"),  # set aside
            ("messaging/Contact.csv", r"^([^,]*,fynbos-links,account-5,)[^,]*", r"\1someone.else@example.com"),
            ("teetime/Player.csv", "handicap", "hcp"),  # TeeTime is not believed at this hour
        ):
            change(services, file, pattern, new)
        [fault] = refresh(home, services, as_of=PAST).failures
        assert fault == "TEETIME: Player.csv has no column handicap"
        past = published(home)
        shutil.rmtree(services)
        shutil.copytree(SAMPLE, services)
        change(services, "teetime/Booking.csv", "BOOKED", "CANCELLED")
        assert refresh(home, services, as_of=LAST).failures == []
        yield Club(home, past, published(home))


def test_a_past_hour_is_published_again_in_another_home(club: Club, own_home: Path) -> None:
    assert refresh(own_home, None, as_of=PAST, LAKE_URL=str(club.home / "lake")).failures == []
    again = published(own_home)
    for name, rows in club.past.items():
        assert again[name] == rows, name
    assert club.past["customer_profiles"] != club.last["customer_profiles"]


def test_the_lake_it_came_from_and_the_live_tables_stay_as_they_are(club: Club) -> None:
    assert published(club.home) == club.last
    assert not list(club.home.glob("crm-pipeline-lake-*"))


def test_the_live_tables_are_never_rewound(club: Club) -> None:
    [fault] = refresh(club.home, SAMPLE, as_of=PAST).failures
    assert fault.startswith("crm_snapshot: as_of 2026-04-02 09:00 is before the last extract of 2026-04-02 10:00;")
    assert published(club.home) == club.last


@pytest.mark.skipif(not SOAK, reason="another whole run: make soak")
def test_the_command_line_needs_no_services_for_it(club: Club, own_home: Path) -> None:
    command = ["run", "--as-of", PAST, "--home", str(own_home), "--tenant", "heather-moor"]
    with clean_environment(LAKE_URL=str(club.home / "lake")):
        result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "Replaying what was known at 2026-04-02 09:00 UTC" in result.output
    assert ask(own_home, "select distinct tenant_id from crm.customer_profiles") == [("heather-moor",)]
    assert contents(own_home, "customer_profiles") == [
        row for row in club.past["customer_profiles"] if row["tenant_id"] == "heather-moor"
    ]
