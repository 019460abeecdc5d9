"""Erasure of a person known to all four services: nothing is left or comes back, nobody else is affected."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.tables import RETIRED_LAKE_TABLES
from crm_pipeline_tests.fixtures.homes.erasures import (
    ask_officer,
    failed_checks,
    forgotten,
    kept,
    money,
    published,
    upkeep,
    without,
)
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.questions import command
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, refresh
from crm_pipeline_tests.fixtures.worlds.zephyrine import (
    BROKEN_CONTACT,
    CLUB,
    EMAIL,
    KEY,
    MEMBER,
    NAMESAKE,
    PIETER,
    WORDS,
    find_words,
    traces,
    write_clubs,
)

FIRST, SECOND, THIRD = "2026-03-31T12:00:00Z", "2026-04-02T12:00:00Z", "2026-04-03T12:00:00Z"
PLACES = (
    ("lake: scl_member", "warehouse: files")
    if not SOAK
    else (
        "tombstones",
        "lake: crm_tenant",
        "lake: scl_member",
        "lake: teetime_booking",
        "lake: customer_identities",
        "lake: kept_identities",
        "lake: customer_timeline",
        "warehouse: rows",
        "warehouse: files",
        "Dagster's storage",
        "write-ahead log",
        "checks",
        "order",
    )
)
"""Reported places at which a `forget` is killed."""
HERS = ("zephyrine", "quillhaven", "ottolinda", "zq-77", "98765432101", "suppressed-fynbos-links-phone")
KRUISVELDS = "kruisvelds@example.com"
Rows = dict[str, list[str]]


@dataclass(frozen=True)
class Club:
    """A home in which a person was erased: its contents before and straight after, and her page before."""

    home: Path
    services: Path
    known: dict[str, set[bytes]]
    before: tuple[Rows, Rows, dict[tuple[str, int], int]]
    after: tuple[Rows, Rows]
    page: str
    certificate: dict[str, Any]


@pytest.fixture(scope="module")
def club(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Club]:
    folder = tmp_path_factory.mktemp("forget")
    services = folder / "services"
    with copied(blank, folder / "home") as home:
        write_clubs(services, is_later=False)
        assert refresh(home, services, as_of=FIRST).failures == []
        upkeep(home)
        write_clubs(services, is_later=True)
        assert refresh(home, services, as_of=SECOND).failures == []
        upkeep(home)
        (home / "spill" / "killed").mkdir()
        (home / "spill" / "killed" / "block").write_text(f"... {EMAIL}")
        shutil.copytree(home / "lake" / "scl_member", home / "lake" / RETIRED_LAKE_TABLES[0])
        (home / "report.html").write_text(f"<td>{EMAIL}</td>")
        ids = dict(ask(home, "select minted_record_id, profile_id::text from crm.profile_ids"))
        asked = command(home, "explain", "--tenant", CLUB, "--profile", ids[MEMBER.id], COLUMNS="1000")
        known, before = traces(home), (published(home), kept(home), money(home))
        certificate = forgotten(home, "email", EMAIL.title())
        yield Club(home, services, known, before, (published(home), kept(home)), asked.stdout, certificate)


def hers(club: Club) -> list[str]:
    """The words that make a row hers, her profile ids included."""
    rows = [json.loads(row) for row in club.before[0]["profile_ids"]]
    return [*HERS, *(row["profile_id"] for row in rows if "zq-77" in str(row) or MEMBER.id == row["minted_record_id"])]


def test_before_every_word_stands_somewhere(club: Club) -> None:
    assert set().union(*club.known.values()) >= {word for word in WORDS if word != b"911-4477"}
    for place in ("report.html", "spill/killed/block", "crm.crm.customer_profiles", "crm.crm.quarantined_records"):
        assert place in club.known
    assert any(place.startswith("postgres/data/pg_wal") for place in club.known)


def test_before_her_page_says_because_of_which_contact_her_consent_is_withheld(club: Club) -> None:
    [line] = [line.split() for line in club.page.splitlines() if line.strip().startswith("Agreed to email")]
    assert " ".join(line) == f"Agreed to email no from Messaging contact {BROKEN_CONTACT.id} (set aside)"


@pytest.mark.parametrize(
    "checksum", [b"-7829114477120345678", b'"_row_hash":9876543210121234567,', b"18291144771234567"]
)
def test_a_checksum_that_happens_to_contain_her_number_is_no_trace(checksum: bytes) -> None:
    assert find_words(checksum) == set()
    for number in (b"27829114477", b"0829114477", b'"id":987654321012,', b"+27829114477987654321012"):
        assert find_words(checksum + b" " + number)


def test_the_certificate_says_what_was_taken_out_of_where_and_that_nothing_is_left(club: Club) -> None:
    places = {place["place"]: place for place in club.certificate["places"]}
    assert club.certificate["is_complete"]
    assert {place["left"] for place in places.values()} == {0}
    assert places["lake: scl_member"]["removed"] == 3  # two versions, and the quarantined one
    assert places["lake: scl_payment"]["removed"] == 2
    assert places["lake: crm_referral"]["removed"] == 2
    assert places["lake: crm_note"]["removed"] == 1
    assert places["lake: withheld_consents"]["removed"] == 1
    for place in ("lake: quarantined_records", "warehouse: crm.quarantined_records"):
        assert places[place]["removed"] == 3  # of the member, the contact and the booking that are set aside
    assert places["warehouse: crm.customer_profiles"]["removed"] == 1
    assert places["files of killed processes"]["removed"] == 1
    assert places["reports and logs under the home folder"]["removed"] == 1
    tables = [(record["service"], record["table"]) for record in club.certificate["records"]]
    assert tables.count(("SCL", "Member")) == 2
    assert tables.count(("CRM", "CustomerProfile")) == 2
    assert tables.count(("CRM", "SuppressedIdentifier")) == 1


def test_nobody_else_is_affected(club: Club) -> None:
    published_before, kept_before, _ = club.before
    assert club.after == (without(published_before, hers(club)), without(kept_before, hers(club)))


def test_nothing_is_left_and_nothing_comes_back(club: Club, own_home: Path) -> None:
    assert traces(club.home) == {}
    outcome = refresh(club.home, club.services, as_of=THIRD, ERASURE_KEY=KEY)
    assert (outcome.failures, failed_checks(club.home)) == ([], set())
    assert traces(club.home) == {}
    assert money(club.home) == club.before[2]
    lake = str(club.home / "lake")
    assert refresh(own_home, None, as_of=FIRST, LAKE_URL=lake, ERASURE_KEY=KEY).failures == []
    assert ask(own_home, "select count(*) > 20 from crm.customer_profiles") == [(True,)]
    assert traces(own_home) == {}


def test_a_rebuilt_lake_and_warehouse_do_not_bring_her_back(club: Club) -> None:
    ask_for(club.home, "drop schema crm cascade")
    shutil.rmtree(club.home / "lake")
    assert refresh(club.home, club.services, as_of=THIRD, ERASURE_KEY=KEY).failures == []
    assert traces(club.home) == {}
    assert money(club.home) == club.before[2]


def test_killed_anywhere_a_second_forget_finishes_it_and_the_family_stays(club: Club) -> None:
    before = published(club.home)
    for place in PLACES:
        killed = subprocess.run(
            [
                sys.executable,
                "-m",
                "crm_pipeline_tests.fixtures.homes.kill_at",
                club.home,
                CLUB,
                PIETER.profile_id,
                place,
            ],
            env={**os.environ, "ERASURE_KEY": KEY},
            check=False,
        )
        assert killed.returncode == -9
    certificate = forgotten(club.home, "profile", PIETER.profile_id)
    assert certificate["is_complete"]
    assert not (club.home / "lake" / "_pending_erasures").exists()
    his = {"pieter-kruisveld", '"11"', PIETER.profile_id}
    after = published(club.home)
    family = [row for row in before["customer_profiles"] if KRUISVELDS in row and PIETER.profile_id not in row]
    assert len(family) == 3  # Marlene, Anke, and the namesake at the other club
    assert set(family) <= set(after["customer_profiles"])
    assert NAMESAKE.profile_id in {json.loads(row)["id"] for row in after["customer_profiles"]}
    assert not any(word in row for rows in after.values() for row in rows for word in his)


def test_a_mistake_is_taken_back_and_the_services_give_everything_again(club: Club) -> None:
    certificate = club.certificate["certificate_id"]
    back = command(club.home, "unforget", "--tenant", CLUB, "--certificate", certificate, ERASURE_KEY=KEY)
    assert (back.exit_code, back.stdout.split()[1:4]) == (0, ["tombstones", "are", "gone;"]), back.stderr
    assert refresh(club.home, club.services, as_of=THIRD, ERASURE_KEY=KEY).failures == []
    assert ask(club.home, f"select email from crm.customer_profiles where email = '{EMAIL}'") == [(EMAIL,)]
    assert money(club.home) == club.before[2]
    again = command(club.home, "unforget", "--tenant", CLUB, "--certificate", certificate, ERASURE_KEY=KEY)
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (1, f"Error: {CLUB} has no certificate {certificate}")
    actions = [action for (action,) in ask_officer(club.home, "select action from privacy.audit order by id")]
    assert actions[:2] == ["EXPLAIN", "FORGET"]
    assert actions[-1] == "UNFORGET"


def ask_for(home: Path, statement: str) -> None:
    """Executes a statement as the pipeline's own role."""
    with create_engine(EmbeddedPostgres(home).url("crm")).begin() as connection:
        connection.execute(text(statement))
