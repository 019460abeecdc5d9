"""On random clubs over several hours, each profile has the numbers that scores.md, read row by row, gives it."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm_pipeline.tables.outputs import identity, profiles
from crm_pipeline_tests.fixtures.histories.incremental import Hours
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.scores.delivered_club import DeliveredClub, SeenContracts
from crm_pipeline_tests.fixtures.scores.random_clubs import RandomClub, deliver, make_club
from crm_pipeline_tests.fixtures.scores.random_hours import pass_hour
from crm_pipeline_tests.fixtures.scores.score_reference import score_club

EVENING = datetime(2026, 3, 24, 19, 20, tzinfo=UTC)
WORLDS, CLUBS, HOURS = (5, 10, 5) if SOAK else (1, 3, 2)
MOVES_AN_HOUR = 18
"""Fewer than the share of a club's rows above which a club is computed in full."""
Numbers = dict[str, dict[str, Any]]


def stored(hours: Hours, table: Any, columns: str) -> list[tuple[Any, ...]]:  # noqa: ANN401  a table
    with closing(hours.lake.connect()) as con:
        return con.sql(f"select {columns} from {hours.lake.create_current_view(con, table)} order by all").fetchall()


def read_numbers(hours: Hours, columns: list[str]) -> dict[str, Numbers]:
    """The stored numbers by club and profile; of a member's reasons the terms."""
    found: dict[str, Numbers] = {}
    for tenant, profile, *values in stored(hours, profiles.customer_profiles, f"tenant_id, id, {', '.join(columns)}"):
        numbers = dict(zip(columns, values, strict=True))
        reasons = json.loads(numbers["churn_reasons"] or "null")
        numbers["churn_reasons"] = sorted(r["term"] for r in reasons) if isinstance(reasons, list) else reasons
        found.setdefault(tenant, {})[profile] = numbers
    return found


def expected_numbers(hours: Hours, clubs: list[RandomClub], at: datetime, seen: dict[str, SeenContracts]) -> Any:  # noqa: ANN401
    """The numbers by scores.md, of the people that the records were linked to."""
    links = stored(hours, identity.customer_identities, "tenant_id, service, service_record_id, profile_id")
    ids = stored(hours, identity.profile_ids, "tenant_id, profile_id, is_live, redirects_to")
    expected = {}
    for club in clubs:
        zone = ZoneInfo(club.tables["Tenant"][0]["timezone"])
        seen[club.slug].look(club.tables["Member"], zone)
        rows = {name: club.tables.get(name, []) for name in TABLES}
        profile_of = {(service, record): profile for slug, service, record, profile in links if slug == club.slug}
        live = {old: to or old for slug, old, is_live, to in ids if slug == club.slug and (is_live or to)}
        expected[club.slug] = score_club(DeliveredClub(rows, zone, at, profile_of, live, seen[club.slug]))
    return expected


TABLES = (
    *("Member", "Player", "Contact", "Lead", "Payment", "Booking", "CompetitionEntry", "HandicapUpdate"),
    *("MessageEvent", "CampaignInteraction", "Referral"),
)


@pytest.mark.parametrize("world", range(WORLDS))
def test_every_number_is_what_its_definition_says(tmp_path: Path, world: int) -> None:
    at = EVENING + timedelta(days=world, hours=world)
    clubs = [make_club(f"club-{number}", at, f"world {world} club {number}") for number in range(1, CLUBS + 1)]
    hours = Hours(tmp_path, deliver(clubs, tmp_path / "services"))
    seen = {club.slug: SeenContracts() for club in clubs}
    for hour in range(HOURS + 1):
        if hour:
            at += timedelta(hours=1)
            for club in clubs:
                known = [profile for slug, profile in hours.services.profiles if slug == club.slug]
                pass_hour(club, at, known, MOVES_AN_HOUR)
            profiles_seen = hours.services.profiles
            hours = Hours(tmp_path, deliver(clubs, tmp_path / "services"))
            hours.services.profiles = profiles_seen
        hours.refresh(at)
        expected = expected_numbers(hours, clubs, at, seen)
        columns = list(next(iter(next(iter(expected.values())).values())))
        assert differences(expected, read_numbers(hours, columns)) == {}, f"after hour {hour}"
        if hour and (SOAK or hour == HOURS):
            hours.compare_with_full_refresh(at, tmp_path / f"copy {hour}")


def differences(expected: dict[str, Numbers], found: dict[str, Numbers]) -> dict[tuple[str, str, str], Any]:
    """What is expected and found where they differ, by club, profile and column."""
    assert {club: each.keys() for club, each in expected.items()} == {club: each.keys() for club, each in found.items()}
    return {
        (club, profile, column): (value, found[club][profile][column])
        for club, each in expected.items()
        for profile, numbers in each.items()
        for column, value in numbers.items()
        if value != found[club][profile][column]
    }
