"""kill -9 at any point of an extraction: the next run ends with the lake of a run that nobody disturbed."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.tables.outputs import operations
from crm_pipeline_tests.fixtures.histories.histories import TABLES, a_database
from crm_pipeline_tests.fixtures.homes.soak import SOAK

KILLS = 20 if SOAK else 1
HOURS = ("2026-03-31T12:00:00+00:00", "2026-04-01T13:00:00+00:00")
ROWS = 40_000 if SOAK else 10_000
FIRST = f"""
    insert into "Member" (id, "tenantId", email, "membershipStatus", "joinedAt", "createdAt", "updatedAt")
        select i, 'links', 'm' || i || '@example.com', 'ACTIVE', now(), now(), now() from generate_series(1, {ROWS}) i;
    insert into "TierChange" (id, "tenantId", "memberId", "toTier", "changedAt", "updatedAt")
        select 't' || i, 'links', i, 'Gold', now(), now() from generate_series(1, {ROWS}) i;
    insert into "Payment" (id, "tenantId", "memberId", kind, "amountCents", currency, status, "paidAt", "updatedAt")
        select 'p' || i, 'links', i, 'PAYMENT', i, 'GBP', 'SETTLED', now(), now() from generate_series(1, {ROWS}) i"""
A_DAY_LATER = """
    update "Member" set email = 'new-' || email where id % 3 = 0;
    delete from "TierChange" where "memberId" % 7 = 0;
    update "Payment" set status = 'FAILED' where "memberId" % 2 = 0;
    insert into "TierChange" (id, "tenantId", "memberId", "toTier", "changedAt", "updatedAt")
        select 'n' || i, 'links', i, 'Platinum', now(), now() from generate_series(1, 5000) i"""


@pytest.fixture(scope="module")
def session(server: EmbeddedPostgres) -> Iterator[Connection]:
    with a_database(server).execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection


def test_the_next_run_ends_with_the_lake_of_an_undisturbed_one(session: Connection, tmp_path: Path) -> None:
    chance = random.Random(7)
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    for hour, change in zip(HOURS, (FIRST, A_DAY_LATER), strict=True):
        session.execute(text(change))
        seconds = finish(session, undisturbed, hour)
        for _ in range(KILLS):
            kill(session, disturbed, hour, chance.uniform(0, seconds))
        finish(session, disturbed, hour)
        assert logs(disturbed) == logs(undisturbed)


def start(session: Connection, folder: Path, hour: str) -> subprocess.Popen[str]:
    url = session.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "crm_pipeline_tests.fixtures.histories.extract_once", url, str(folder), hour]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def finish(session: Connection, folder: Path, hour: str) -> float:
    """Run to the end; return how long the extraction took."""
    process, began = start(session, folder, hour), time.monotonic()
    output, _ = process.communicate()
    assert output == "done\n"
    return time.monotonic() - began


def kill(session: Connection, folder: Path, hour: str, after: float) -> None:
    with start(session, folder, hour) as process:
        time.sleep(after)
        process.kill()


def logs(folder: Path) -> list[list[tuple[object, ...]]]:
    """Every version of every row, with the hour and the version that made it known; not how far the server had got."""
    lake = Lake(str(folder / "lake"), folder / "spill")
    with closing(lake.connect()) as con:
        found = [con.sql(f"from {lake.create_log_view(con, table)} order by all").fetchall() for table in TABLES]
        view = lake.create_log_view(con, operations.service_snapshots)
        columns = "* exclude (horizon, _row_hash, _version, _replaces)"
        return [*found, con.sql(f"select distinct {columns} from {view} order by all").fetchall()]
