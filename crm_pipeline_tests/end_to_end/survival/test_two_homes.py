"""Two homes with servers of their own on one lake: on the same clubs one waits for the other, on others both work."""

import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.rows import list_lake_key_columns
from crm_pipeline.resources.lake.table_register import require_registered_tables
from crm_pipeline.tables import LAKE_TABLES
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.moving_home import (
    Clock,
    list_profiles,
    read_published,
    refresh_here,
    refreshing,
)
from crm_pipeline_tests.fixtures.homes.soak import SOAK

HISTORIES: Final = 2 if SOAK else 1
ROUNDS: Final = 25 if SOAK else 2
"""In each history."""
WAIT_SECONDS: Final = 300


@pytest.mark.parametrize("history", range(HISTORIES))
def test_two_homes_on_one_lake_never_harm_it(blank: Path, tmp_path: Path, history: int) -> None:
    chance, clock = Random(13 + history), Clock(tmp_path / "services")
    lake = Lake(str(tmp_path / "lake"), tmp_path / "spill")
    with (
        copied(blank, tmp_path / "one") as one,
        copied(blank, tmp_path / "two") as two,
        copied(blank, tmp_path / "alone") as alone,
    ):
        refresh_here(alone, clock)
        refresh_here(one, clock, LAKE_URL=lake.url)
        tenants = sorted({tenant for tenant, _ in list_profiles(alone)})
        for number in range(ROUNDS):
            clock.pass_hour(list_profiles(alone))
            refresh_here(alone, clock)
            shares = ((), ()) if number % 2 == 0 else (tuple(tenants[:1]), tuple(tenants[1:]))
            refresh_at_once((one, two), clock, lake, shares, chance.uniform(0.0, 4.0))
            assert_sound(lake)
        for home in (one, two):
            refresh_here(home, clock, LAKE_URL=lake.url)
            assert read_published(home) == read_published(alone)


def refresh_at_once(
    homes: tuple[Path, Path], clock: Clock, lake: Lake, shares: tuple[tuple[str, ...], tuple[str, ...]], pause: float
) -> None:
    """Refreshes the share of each home, the second one a moment after the first; both end well."""
    options = [[option for tenant in share for option in ("--tenant", tenant)] for share in shares]
    with refreshing(homes[0], clock, *options[0], LAKE_URL=lake.url) as first:
        time.sleep(pause)
        with refreshing(homes[1], clock, *options[1], LAKE_URL=lake.url) as second:
            ended = [command.wait(WAIT_SECONDS) for command in (first, second)]
            assert [exit_code for exit_code, _ in ended] == [0, 0], ended


def assert_sound(lake: Lake) -> None:
    """Asserts that every table is readable, complete and has each row once."""
    require_registered_tables(lake)
    with closing(lake.connect()) as con:
        for table in LAKE_TABLES:
            if lake.version(table) < 0:
                continue
            keys = ", ".join(list_lake_key_columns(table))
            view = lake.create_current_view(con, table)
            twice = con.sql(f"select count(*) from (select {keys} from {view} group by all having count(*) > 1)")
            assert twice.fetchall() == [(0,)], table.name
