"""Two clubs set a retention period: inactive casual golfers are removed, nobody else, and who books again is back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crm_pipeline_tests.fixtures.homes.erasures import ask_officer, failed_checks, kept, money, published, without
from crm_pipeline_tests.fixtures.homes.golfers import (
    AGAIN,
    GUSTAV,
    GUSTAVS,
    HESTER,
    HESTERS,
    MONTHS,
    removed,
    retain,
    write_clubs,
)
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.questions import command
from crm_pipeline_tests.fixtures.homes.runs import said
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, refresh
from crm_pipeline_tests.fixtures.worlds.zephyrine import CLUB, KEY

FIRST, SECOND, THIRD = "2026-03-31T12:00:00Z", "2026-04-01T12:00:00Z", "2026-04-02T15:00:00Z"
FOURTH, FIFTH = "2026-04-02T16:00:00Z", "2026-04-02T17:00:00Z"
SIXTH, SEVENTH = "2026-04-02T18:00:00Z", "2026-04-02T19:00:00Z"
PLACES = ("lake: teetime_player",) if not SOAK else ("tombstones", "lake: teetime_player", "warehouse: rows", "checks")
Rows = dict[str, list[str]]


@dataclass(frozen=True)
class Home:
    """A home in which golfers were removed, and what it held before and after."""

    path: Path
    services: Path
    before: tuple[Rows, Rows]
    money: dict[tuple[str, int], int]


@pytest.fixture(scope="module")
def home(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("golfers")
    write_clubs(folder / "services")
    with copied(blank, folder / "home") as path:
        assert refresh(path, folder / "services", as_of=FIRST).failures == []
        yield Home(path, folder / "services", (published(path), kept(path)), money(path))


def hour(home: Home, as_of: str) -> None:
    assert refresh(home.path, home.services, as_of=as_of, ERASURE_KEY=KEY).failures == []
    assert failed_checks(home.path) == set()


def golfers(path: Path) -> set[str]:
    """The profile ids of the two golfers that are published."""
    found = {id_ for (id_,) in ask(path, "select id::text from crm.customer_profiles")}
    return found & {GUSTAV.profile_id, HESTER.profile_id}


def set_months(home: Home, *arguments: str, tenant: str = CLUB, key: str = KEY) -> tuple[int, str]:
    result = command(home.path, "retention", "--tenant", tenant, *arguments, ERASURE_KEY=key)
    return result.exit_code, (result.stdout + result.stderr).splitlines()[-1]


def test_a_club_that_says_nothing_keeps_everybody(home: Home) -> None:
    assert retain(home.path, key=None).success
    assert (published(home.path), kept(home.path)) == home.before


def test_what_cannot_be_meant_is_refused(home: Home) -> None:
    assert set_months(home)[0] == set_months(home, "--forever", "--casual-golfers-months", "3")[0] == 2
    assert set_months(home, "--casual-golfers-months", "3", tenant="nowhere") == (
        1, "Error: no such tenant: nowhere; known are fynbos-links, heather-moor",
    )  # fmt: skip


def test_who_no_longer_comes_goes_and_everybody_else_stays_byte_for_byte(home: Home) -> None:
    for tenant, months in MONTHS.items():
        words = f"inactive casual golfers of {tenant} are kept for {months} months"
        assert set_months(home, "--casual-golfers-months", str(months), tenant=tenant) == (0, words)
    without_key = retain(home.path, key=None)
    assert said(without_key).startswith("people who are to be forgotten are still there: ERASURE_KEY is not set, ")
    for place in PLACES:
        dies = [sys.executable, "-m", "crm_pipeline_tests.fixtures.homes.golfers", str(home.path), place]
        assert subprocess.run(dies, env={**os.environ, "ERASURE_KEY": KEY}, check=False).returncode == -9
    assert removed(retain(home.path)) == {CLUB: 2}
    assert not (home.path / "lake" / "_pending_erasures").exists()
    others = tuple(without(rows, [*GUSTAVS, *HESTERS]) for rows in home.before)
    assert (published(home.path), kept(home.path)) == others
    assert removed(retain(home.path)) == {}


def test_the_audit_says_who_set_what_and_has_a_certificate_without_a_name(home: Home) -> None:
    lines = ask_officer(home.path, "select action, subject, reason, tenant_id from privacy.audit order by id")
    assert lines == [
        ("RETENTION", "casual golfers: 24 months", None, CLUB),
        ("RETENTION", "casual golfers: 240 months", None, "heather-moor"),
        ("FORGET", None, "retention", CLUB),
    ]
    [(certificate,)] = ask_officer(home.path, "select certificate from privacy.audit where action = 'FORGET'")
    assert (certificate["people"], certificate["is_complete"], len(certificate["records"])) == (2, True, 5)


def test_they_do_not_come_back_by_themselves_and_the_money_stays(home: Home) -> None:
    hour(home, SECOND)
    assert golfers(home.path) == set()
    assert money(home.path) == home.money


@pytest.mark.skipif(not SOAK, reason="a run more; test_forget replays the same tombstones: make soak")
def test_they_are_not_in_a_past_that_is_replayed(home: Home, own_home: Path) -> None:
    lake = str(home.path / "lake")
    assert refresh(own_home, None, as_of=FIRST, LAKE_URL=lake, ERASURE_KEY=KEY).failures == []
    assert golfers(own_home) == set()


def test_who_books_again_is_back_with_the_refresh_after_and_goes_again_one_day(home: Home) -> None:
    write_clubs(home.services, AGAIN)
    hour(home, THIRD)
    assert golfers(home.path) == set()
    hour(home, FOURTH)
    assert golfers(home.path) == {GUSTAV.profile_id}
    spent = {(CLUB, 2026): home.money[CLUB, 2026] + 7_000}
    assert money(home.path) == home.money | spent
    assert ask(home.path, f"select lifetime_value from crm.customer_profiles where id = '{GUSTAV.profile_id}'") == [
        (21_000,)
    ]


@pytest.mark.skipif(not SOAK, reason="two refreshes more; test_tombstones has it in small")
def test_who_came_again_and_then_no_more_goes_once_more(home: Home) -> None:
    write_clubs(home.services)
    hour(home, FIFTH)
    assert golfers(home.path) == {GUSTAV.profile_id}
    assert removed(retain(home.path)) == {CLUB: 1}
    assert golfers(home.path) == set()
    hour(home, SIXTH)
    assert golfers(home.path) == set()
    assert money(home.path) == home.money


def test_a_setting_that_was_a_mistake_is_taken_back(home: Home) -> None:
    assert set_months(home, "--forever") == (0, f"inactive casual golfers of {CLUB} are kept for ever")
    erasures = "select distinct certificate ->> 'certificate_id' from privacy.audit where action = 'FORGET'"
    for (certificate,) in ask_officer(home.path, erasures):
        back = command(home.path, "unforget", "--tenant", CLUB, "--certificate", certificate, ERASURE_KEY=KEY)
        assert back.exit_code == 0, back.stderr
    again = command(home.path, "unforget", "--tenant", CLUB, "--certificate", f"{certificate}-0", ERASURE_KEY=KEY)
    assert again.stderr.splitlines()[-1] == f"Error: {CLUB} has no certificate {certificate}-0"
    if SOAK:
        hour(home, SEVENTH)
        assert golfers(home.path) == {GUSTAV.profile_id, HESTER.profile_id}
        assert money(home.path) == home.money
