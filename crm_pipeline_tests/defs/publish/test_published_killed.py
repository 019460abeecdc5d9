"""A run killed while it publishes: committed tenants stay, others are not published, and the next run finishes."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from crm_pipeline.settings import SAMPLE_FILE
from crm_pipeline.tables import PUBLISHED_TABLES, PUBLISHER_TABLES
from crm_pipeline_tests.fixtures.homes.runs import (
    ASSETS,
    CLUBS,
    FYNBOS,
    HEATHER,
    contents,
    materialised,
    publishing_stops_at,
    runs,
)
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import AS_OF, ask, refresh
from crm_pipeline_tests.fixtures.servers.patience import wait_until

PROGRAM = str(Path(sys.executable).with_name("crm-pipeline"))
PUBLISHED_PROFILES = "select distinct tenant_id from crm.customer_profiles"


def killed_once_published(home: Path, services: Path, tenant: str) -> str:
    """Returns the output of `crm-pipeline run`, killed as soon as this tenant is published."""
    command = [PROGRAM, "run", "--home", str(home), "--sources", str(services), "--as-of", AS_OF]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:

        def is_published(rows: list[tuple[Any, ...]]) -> bool:
            assert process.poll() is None
            return rows == [(tenant,)]

        try:
            wait_until(lambda: ask(home, PUBLISHED_PROFILES), is_published, f"{tenant} to be published")
        finally:
            process.send_signal(signal.SIGKILL)
        return process.communicate()[0]


@pytest.mark.skipif(not SOAK, reason="half a minute of whole runs: make soak")
def test_a_run_killed_while_it_publishes_loses_nothing_and_doubles_nothing(
    own_home: Path, services: Path, refreshed: Path
) -> None:
    (services / SAMPLE_FILE).unlink()  # the first run of a demo does more
    with publishing_stops_at(own_home, HEATHER):
        printed = killed_once_published(own_home, services, FYNBOS)
    assert printed.rstrip().endswith("… published")
    assert ask(own_home, PUBLISHED_PROFILES) == [(FYNBOS,)]
    assert contents(own_home, "customer_timeline") == contents(refreshed, "customer_timeline", FYNBOS)
    assert refresh(own_home).failures == []
    for table in PUBLISHED_TABLES:
        if table not in PUBLISHER_TABLES:
            assert contents(own_home, table.name) == contents(refreshed, table.name), table.name
    dead, alive = runs(own_home)
    assert [dead.status, alive.status] == [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    assert materialised(own_home, dead.run_id) == Counter()
    assert materialised(own_home, alive.run_id) == Counter((asset, club) for asset in ASSETS for club in CLUBS)
