"""Parallel publication equals publication one by one, and a tenant's error affects no other tenant."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.publishing import parallel
from crm_pipeline.resources.warehouse.publishing.parallel import publish_parallel
from crm_pipeline.resources.warehouse.publishing.publisher import PublishError
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.servers.lakes import (
    PendingPublication,
    a_lake,
    assert_equal,
    at,
    find_pending,
    publish_lake,
    store_hour,
)
from crm_pipeline_tests.fixtures.servers.patience import wait_until
from crm_pipeline_tests.fixtures.servers.warehouses import ask

CLUBS: Final = [f"club {number}" for number in range(7)]
NEW: Final = "a new club"
PEOPLE: Final = 60
SESSIONS: Final = "select pid from pg_stat_activity where application_name = 'crm-pipeline' and pid <> pg_backend_pid()"


@pytest.fixture(autouse=True)
def few_rows_are_worth_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "MIN_ROWS_PER_CONNECTION", 100)


@pytest.fixture
def lake(warehouse: Warehouse, tmp_path: Path) -> Lake:
    """A lake with the second hour of clubs whose first hour is published, and the first hour of a new club."""
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    store_hour(lake, [*CLUBS, NEW], 1, PEOPLE)
    return lake


@pytest.fixture
def publication(lake: Lake, warehouse: Warehouse) -> Iterator[PendingPublication]:
    publisher, due = find_pending(lake, warehouse, [*CLUBS, NEW])
    with closing(publisher.con), closing(publisher):
        yield publisher, due


def test_parallel_publication_equals_publication_one_by_one(
    lake: Lake, warehouse: Warehouse, publication: PendingPublication
) -> None:
    publisher, due = publication
    published = publish_parallel(publisher, due)
    tenant, changes = next(published)
    sessions = len(ask(warehouse, SESSIONS))
    outcomes = {tenant: changes, **dict(published)}
    assert sessions == parallel.MAX_CONNECTIONS
    assert_equal(lake, warehouse)
    assert outcomes.pop(NEW) == {"customer_profiles": (PEOPLE, 0, 0), "customer_timeline": (3 * PEOPLE, 0, 0)}
    # One came and one went; of the other 59, 20 have neither hour's mark.
    expected = {"customer_profiles": (1, 39, 1), "customer_timeline": (3, 117, 3)}
    assert outcomes == dict.fromkeys(CLUBS, expected)
    assert set(publisher.costs) == {*CLUBS, NEW}


def test_a_club_that_differs_from_its_published_state_is_compared_while_others_go_on(
    lake: Lake, warehouse: Warehouse, publication: PendingPublication
) -> None:
    publisher, due = publication
    ask(warehouse, "delete from crm.customer_timeline where tenant_id in ('club 1', 'club 3', 'club 5')")
    assert [outcome for _, outcome in publish_parallel(publisher, due) if isinstance(outcome, PublishError)] == []
    assert_equal(lake, warehouse)


def test_a_refused_club_does_not_stop_the_others(lake: Lake, warehouse: Warehouse) -> None:
    with closing(lake.connect()) as con:
        present = lake.create_current_view(con, customer_profiles, tenants=["club 2"])
        con.execute(f"create temp table spoilt as select * replace ('x' || chr(0) as status) from {present}")
        lake.replace(con, customer_profiles, "spoilt", tenants=["club 2"], known_at=at(2))
    publisher, due = find_pending(lake, warehouse, [*CLUBS, NEW])
    with closing(publisher.con), closing(publisher):
        outcomes = dict(publish_parallel(publisher, due))
    refused = {tenant: str(outcome) for tenant, outcome in outcomes.items() if isinstance(outcome, PublishError)}
    assert list(refused) == ["club 2"]
    assert refused["club 2"].startswith("club 2: there is text that is not UTF-8")
    published = ask(warehouse, "select tenant_id from crm.publications where as_of is not null and version = 1")
    assert {tenant for (tenant,) in published} == {*CLUBS, NEW} - {"club 2"}


def test_stopping_early_leaves_no_session_and_no_half_published_club(
    lake: Lake, warehouse: Warehouse, publication: PendingPublication
) -> None:
    publisher, due = publication
    published = publish_parallel(publisher, due)
    next(published)
    published.close()
    # The server takes a moment to notice closed connections.
    wait_until(lambda: len(ask(warehouse, SESSIONS)), lambda left: left == 1, "the end of its sessions")
    publish_lake(lake, warehouse, [*CLUBS, NEW])
    assert_equal(lake, warehouse)
