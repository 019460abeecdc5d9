"""Publishers at the same time: on tenants of their own they go on, on the same one the newest version stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Final

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.publishing.table_publication import PublishError
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.lakes import Staged, a_lake, assert_equal, keep, stage_from
from crm_pipeline_tests.fixtures.servers.warehouses import ask

ROUNDS: Final = 200 if SOAK else 3
PEOPLE: Final = 30


def at_once(first: Staged, second: Staged) -> None:
    """Publish what both have staged, at the same moment; an older version than the published one is refused."""
    together = Barrier(2)

    def go(staged: Staged) -> None:
        publisher, due = staged
        together.wait()
        for tenant, rows in sorted(due.items()):
            try:
                publisher.publish(tenant, rows)
            except PublishError as error:
                assert "it is an older copy" in str(error)  # noqa: PT017  which of the two is refused is chance
        publisher.connection.close()
        publisher.con.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(go, (first, second)))


def deadlocks(warehouse: Warehouse) -> int:
    return int(ask(warehouse, "select deadlocks from pg_stat_database where datname = 'crm'")[0][0])


def rounds(folder: Path, warehouse: Warehouse, stage: Callable[[Lake, int], tuple[Staged, Staged]]) -> None:
    """Race again and again; each lake lives for a day."""
    before = deadlocks(warehouse)
    for number in range(ROUNDS):
        lake = a_lake(folder / str(number // 25))
        at_once(*stage(lake, number))
        if number in (ROUNDS - 1, 0) or number % 25 == 24:
            assert_equal(lake, warehouse)
    assert deadlocks(warehouse) == before


def test_publishers_of_disjoint_tenants_never_meet(warehouse: Warehouse, tmp_path: Path) -> None:
    def stage(lake: Lake, number: int) -> tuple[Staged, Staged]:
        left, right = ["ash", f"new left {number % 25}"], ["birch", f"new right {number % 24}"]
        for tenants in (left, right):
            keep(lake, tenants, number, PEOPLE)
        return stage_from(lake, warehouse, left), stage_from(lake, warehouse, right)

    rounds(tmp_path, warehouse, stage)


def test_of_two_publishers_of_the_same_tenant_the_newer_version_stays(warehouse: Warehouse, tmp_path: Path) -> None:
    def stage(lake: Lake, number: int) -> tuple[Staged, Staged]:
        tenants = ["ash", f"new {number % 25}"]
        keep(lake, tenants, 2 * number, PEOPLE)
        older = stage_from(lake, warehouse, tenants)
        keep(lake, tenants, 2 * number + 1, PEOPLE)
        newer = stage_from(lake, warehouse, tenants)
        return (older, newer) if number % 2 else (newer, older)

    rounds(tmp_path, warehouse, stage)
