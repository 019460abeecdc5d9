"""Racing publishers: on disjoint tenants none waits, on the same tenant the newest version stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Final

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.publishing.table_publication import PublishError
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.lakes import PendingPublication, a_lake, assert_equal, find_pending, store_hour
from crm_pipeline_tests.fixtures.servers.warehouses import ask

ROUNDS: Final = 200 if SOAK else 2
PEOPLE: Final = 30


def at_once(first: PendingPublication, second: PendingPublication) -> None:
    """Publishes the pending rows of both at the same moment; a version older than the published one is refused."""
    together = Barrier(2)

    def go(publication: PendingPublication) -> None:
        publisher, due = publication
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


def rounds(
    folder: Path, warehouse: Warehouse, find_both: Callable[[Lake, int], tuple[PendingPublication, PendingPublication]]
) -> None:
    """Races `ROUNDS` times; each lake is used for 25 rounds."""
    before = deadlocks(warehouse)
    for number in range(ROUNDS):
        lake = a_lake(folder / str(number // 25))
        at_once(*find_both(lake, number))
        if number in (ROUNDS - 1, 0) or number % 25 == 24:
            assert_equal(lake, warehouse)
    assert deadlocks(warehouse) == before


def test_publishers_of_disjoint_tenants_never_meet(warehouse: Warehouse, tmp_path: Path) -> None:
    def find_both(lake: Lake, number: int) -> tuple[PendingPublication, PendingPublication]:
        left, right = ["ash", f"new left {number % 25}"], ["birch", f"new right {number % 24}"]
        for tenants in (left, right):
            store_hour(lake, tenants, number, PEOPLE)
        return find_pending(lake, warehouse, left), find_pending(lake, warehouse, right)

    rounds(tmp_path, warehouse, find_both)


def test_of_two_publishers_of_the_same_tenant_the_newer_version_stays(warehouse: Warehouse, tmp_path: Path) -> None:
    def find_both(lake: Lake, number: int) -> tuple[PendingPublication, PendingPublication]:
        tenants = ["ash", f"new {number % 25}"]
        store_hour(lake, tenants, 2 * number, PEOPLE)
        older = find_pending(lake, warehouse, tenants)
        store_hour(lake, tenants, 2 * number + 1, PEOPLE)
        newer = find_pending(lake, warehouse, tenants)
        return (older, newer) if number % 2 else (newer, older)

    rounds(tmp_path, warehouse, find_both)
