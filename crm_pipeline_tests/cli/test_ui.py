"""`crm-pipeline ui` ends by a signal, also in a script's background, with the run that is on and all its processes."""

import signal
from pathlib import Path

import click
import dagster as dg
import pytest

from crm_pipeline.cli.ui import hold_home
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.settings import build_source_pool_name
from crm_pipeline.tables import PUBLISHED_TABLES
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.runs import (
    CLUBS,
    contents,
    dagster_of,
    publishing_stops_at,
    runs,
    wait_for_publisher,
)
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import ask, refresh
from crm_pipeline_tests.fixtures.servers.embedded_servers import ask as ask_server
from crm_pipeline_tests.fixtures.servers.patience import wait_until
from crm_pipeline_tests.fixtures.servers.webserver import set_schedule_back, webserver

RUN_SESSIONS = "select application_name from pg_stat_activity where application_name like 'crm-pipeline%'"


def test_a_home_is_served_once(tmp_path: Path) -> None:
    with (
        hold_home(tmp_path),
        pytest.raises(click.ClickException, match="another crm-pipeline ui serves"),
        hold_home(tmp_path),
    ):
        pass
    with hold_home(tmp_path):
        pass


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT] if SOAK else [signal.SIGTERM])
def test_a_signal_ends_the_hourly_run_and_the_next_hour_makes_up_for_it(
    sent: signal.Signals, refreshed: Path, sample_home: Path
) -> None:
    set_schedule_back(refreshed)
    ask_server(EmbeddedPostgres(refreshed).url("crm"), "drop schema crm cascade")  # so that all is to be published
    with publishing_stops_at(refreshed, *CLUBS), webserver(refreshed) as served:
        wait_for_publisher(refreshed)
        assert served.end(sent) == 0
        assert served.list_processes() == {}
    assert ask(refreshed, "select count(*) from crm.publications where version is not null") == [(0,)]
    wait_until(lambda: ask(refreshed, RUN_SESSIONS), lambda left: left == [], "the end of its sessions")
    by_hand, hourly, *of_next_hour = runs(refreshed)
    # The clock may strike meanwhile.
    assert [run.tags.get("dagster/schedule_name") for run in of_next_hour] in ([], ["hourly_refresh"])
    assert [by_hand.status, hourly.status] == [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED]
    with dagster_of(refreshed) as instance:
        for service in Service:
            pool = instance.event_log_storage.get_concurrency_info(build_source_pool_name(service))
            assert pool.active_slot_count == 0
    assert refresh(refreshed).failures == []
    for table in PUBLISHED_TABLES:
        if table.name != "publications":
            assert contents(refreshed, table.name) == contents(sample_home, table.name), table.name
