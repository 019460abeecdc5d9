"""After a kill -9 of publisher or server at any moment, a restart and one run make the tables equal the lake."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.embedded_servers import kill_server
from crm_pipeline_tests.fixtures.servers.lakes import a_lake, assert_equal, publish_lake, store_hour

KILLS: Final = 30 if SOAK else 2
PEOPLE: Final = 300
RANDOM: Final = random.Random(6)
PUBLISH = """
import sys
from pathlib import Path
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.servers.lakes import a_lake, publish_lake
lake, warehouse = a_lake(Path(sys.argv[1])), Warehouse(sys.argv[2])
print("begins", flush=True)
publish_lake(lake, warehouse, sys.argv[3:])
print("published", flush=True)
"""


def publish_and_kill(lake: Path, server: EmbeddedPostgres, tenants: list[str], seconds: float, *, target: str) -> bool:
    """Whether the publisher had finished before it, or its server, was killed."""
    command = [sys.executable, "-c", PUBLISH, str(lake), server.url("crm"), *tenants]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as publisher:
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "begins\n"
        time.sleep(seconds)
        has_finished = publisher.poll() is not None
        if target == "server":
            kill_server(server)
        publisher.send_signal(signal.SIGKILL)
    return has_finished


def test_after_any_kill_one_more_run_makes_the_tables_equal_the_lake(server: EmbeddedPostgres, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    finished = 0
    for kill in range(KILLS):
        tenants = ["ash", "birch", *(f"new {n}" for n in range(kill // 2, kill + 1))]
        store_hour(lake, tenants, kill, PEOPLE)
        target = ("publisher", "server")[kill % 2]
        finished += publish_and_kill(tmp_path, server, tenants, RANDOM.uniform(0.1, 1.0), target=target)
        server.start()
        publish_lake(lake, Warehouse(server.url("crm")), sorted({*tenants, *(f"new {n}" for n in range(kill))}))
        assert_equal(lake, Warehouse(server.url("crm")))
    assert finished < KILLS / 2 or not SOAK
