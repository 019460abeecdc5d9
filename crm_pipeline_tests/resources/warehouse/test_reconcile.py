"""The comparison of warehouse and lake finds every difference, and the next publication repairs it."""

from pathlib import Path

import pytest

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.reconcile import delete_publication_states, find_differences
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.servers.lakes import a_lake, assert_equal, publish_lake, store_hour
from crm_pipeline_tests.fixtures.servers.warehouses import ask

CLUBS = ["ash", "birch"]
PEOPLE = 10


@pytest.fixture
def lake(warehouse: Warehouse, tmp_path: Path) -> Lake:
    """A lake of several hours, published."""
    lake = a_lake(tmp_path)
    for hour in range(2):
        store_hour(lake, CLUBS, hour, PEOPLE)
        publish_lake(lake, warehouse, CLUBS)
    return lake


def list_differences(lake: Lake, warehouse: Warehouse) -> list[str]:
    return [str(difference) for difference in find_differences(lake, warehouse)]


def test_what_was_published_does_not_differ(lake: Lake, warehouse: Warehouse) -> None:
    assert list_differences(lake, warehouse) == []


def test_hours_that_still_wait_to_be_published_are_no_difference(lake: Lake, warehouse: Warehouse) -> None:
    store_hour(lake, CLUBS, 2, PEOPLE)
    publish_lake(lake, warehouse, ["ash"])
    assert list_differences(lake, warehouse) == []


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        (
            "delete from crm.customer_profiles where tenant_id = 'ash' and status = 'once'",
            "customer_profiles of ash: 3 rows, the lake has 10",
        ),
        (
            "update crm.customer_timeline set row_hash = row_hash + 1 where tenant_id = 'birch'",
            "customer_timeline of birch: other rows than the lake's",
        ),
        (
            """create table crm.gone partition of crm.customer_profiles for values in ('gone');
            update crm.customer_profiles set tenant_id = 'gone' where tenant_id = 'ash'""",
            "customer_profiles of ash: 0 rows, the lake has 10",
        ),
    ],
)
def test_a_difference_is_reported_and_repaired_by_the_next_publication(
    lake: Lake, warehouse: Warehouse, statement: str, difference: str
) -> None:
    ask(warehouse, statement)
    assert difference in list_differences(lake, warehouse)
    delete_publication_states(warehouse, find_differences(lake, warehouse))
    publish_lake(lake, warehouse, CLUBS)
    ask(warehouse, "delete from crm.customer_profiles where tenant_id = 'gone'")
    assert list_differences(lake, warehouse) == []
    assert_equal(lake, warehouse)


def test_rows_that_were_never_published_are_reported(lake: Lake, warehouse: Warehouse) -> None:
    ask(warehouse, "delete from crm.publications where tenant_id = 'ash' and table_name = 'customer_profiles'")
    assert list_differences(lake, warehouse) == ["customer_profiles of ash: 10 rows, the lake has 0"]


def test_a_tenant_still_to_be_published_from_a_rebuilt_lake_is_no_difference(
    lake: Lake, warehouse: Warehouse, tmp_path: Path
) -> None:
    rebuilt = a_lake(tmp_path / "rebuilt")
    store_hour(rebuilt, CLUBS, 5, PEOPLE)
    publish_lake(rebuilt, warehouse, ["ash"])
    assert list_differences(lake, warehouse) == []
    assert list_differences(rebuilt, warehouse) == []
