"""Runs, servers and both killed, on two host names: the next run needs no hand and ends as if undisturbed."""

import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import pytest

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.moving_home import (
    Clock,
    assert_names_nobody,
    list_profiles,
    read_published,
    read_reports,
    refresh_here,
    refreshing,
)
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.embedded_servers import kill_server
from crm_pipeline_tests.fixtures.servers.other_host import CAN_RENAME_HOST, OTHER_HOST

HISTORIES: Final = 4 if SOAK else 1
KILLS: Final = 50 if SOAK else 4
"""In each history."""
LONGEST_SECONDS: Final = 16.0
"""About as long as an undisturbed run takes with its start."""
LEASE_SECONDS: Final = 30.0
WAIT_SECONDS: Final = 300
HOSTS: Final = (None, OTHER_HOST) if CAN_RENAME_HOST else (None,)


@pytest.mark.parametrize("history", range(HISTORIES))
def test_after_any_kill_the_next_run_ends_like_one_that_nobody_disturbed(
    blank: Path, tmp_path: Path, history: int
) -> None:
    chance, clock, kills = Random(11 + history), Clock(tmp_path / "services"), 0
    with copied(blank, tmp_path / "undisturbed") as undisturbed, copied(blank, tmp_path / "disturbed") as disturbed:
        while kills < KILLS:
            began = time.monotonic()
            refresh_here(undisturbed, clock)
            undisturbed_seconds = time.monotonic() - began
            for _ in range(chance.randrange(1, 4)):
                kill_during_run(disturbed, clock, chance)
                kills += 1
            began = time.monotonic()
            refresh_here(disturbed, clock)
            assert time.monotonic() - began < 3 * undisturbed_seconds + LEASE_SECONDS
            assert read_published(disturbed) == read_published(undisturbed)
            clock.pass_hour(list_profiles(undisturbed))
        assert_names_nobody(read_reports(disturbed), clock)


def kill_during_run(home: Path, clock: Clock, chance: Random) -> None:
    """Starts a run and kills it, the server or both, after a while."""
    victims = chance.choice((("run",), ("run",), ("server",), ("run", "server")))
    with refreshing(home, clock, host=chance.choice(HOSTS)) as command:
        time.sleep(chance.uniform(0.0, LONGEST_SECONDS))
        if "run" in victims:
            command.kill()
        if "server" in victims:
            with suppress(FileNotFoundError, ProcessLookupError):
                kill_server(EmbeddedPostgres(home))
            if "run" not in victims:
                # It ends by itself, well or badly, and not with a traceback.
                said = command.wait(WAIT_SECONDS)[1]
                assert "Traceback" not in said
                assert_names_nobody(said, clock)
