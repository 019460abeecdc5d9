"""Publishing from a lake: by the changes since the published version, or by all rows where these are unknown."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from crm_pipeline.resources.lake.compaction import compact_table
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.publishing.table_publication import PublishError
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline_tests.fixtures.servers.lakes import (
    TABLES,
    a_lake,
    assert_equal,
    at,
    club_at,
    find_pending,
    publish_lake,
    store_hour,
)
from crm_pipeline_tests.fixtures.servers.warehouses import ask, connected

CLUBS = ["ash", "birch"]
PEOPLE = 20


def expected(before: int, after: int) -> dict[str, tuple[int, int, int]]:
    """Returns the rows added, changed and removed between two hours, counted by hand."""
    counts = {}
    for table in TABLES:
        old, new = ({_key(row): row for row in club_at("ash", hour, PEOPLE)[table]} for hour in (before, after))
        both = old.keys() & new.keys()
        changed = sum(_find_mark(old[key]) != _find_mark(new[key]) for key in both)
        counts[table.name] = (len(new) - len(both), changed, len(old) - len(both))
    return counts


def _key(row: dict[str, object]) -> object:
    return row.get("event_id") or row["id"]


def _find_mark(row: dict[str, object]) -> object:
    return row.get("summary") or row["status"]


def reads(warehouse: Warehouse) -> int:
    """Returns how many rows of published tables were read so far, by scan or by index."""
    ask(warehouse, "select pg_stat_force_next_flush()")
    return int(
        ask(
            warehouse,
            """select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_user_tables
            where relname like 'customer%'""",
        )[0][0]
    )


def test_hours_are_published_by_what_changed(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    for hour in range(1, 5):
        store_hour(lake, CLUBS, hour, PEOPLE)
        assert publish_lake(lake, warehouse, CLUBS)["ash"] == expected(hour - 1, hour)
        assert_equal(lake, warehouse)
    assert publish_lake(lake, warehouse, CLUBS) == {club: {} for club in CLUBS}


def test_compaction_of_the_lake_between_two_hours_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    for hour in (1, 2):
        store_hour(lake, CLUBS, hour, PEOPLE)
        with closing(lake.connect()) as con:
            assert all(compact_table(con, lake, table) for table in TABLES)
        assert publish_lake(lake, warehouse, CLUBS)["ash"] == expected(hour - 1, hour)
        assert_equal(lake, warehouse)
    assert publish_lake(lake, warehouse, CLUBS) == {club: {} for club in CLUBS}


def test_several_hours_at_once_are_published_as_the_last_of_them(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, ["ash"])
    for hour in (1, 2, 3):
        store_hour(lake, CLUBS, hour, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    assert_equal(lake, warehouse)


def test_no_row_is_read_that_did_not_change(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, 2000)
    publish_lake(lake, warehouse, CLUBS)
    ask(warehouse, "vacuum analyze crm.customer_profiles")
    before = reads(warehouse)
    store_one_change(lake)
    assert publish_lake(lake, warehouse, CLUBS)["ash"] == {"customer_profiles": (0, 1, 0)}
    assert reads(warehouse) - before < 20


def end_sessions(warehouse: Warehouse) -> None:
    """Terminates every connection but this one."""
    with connected(warehouse) as administrator:
        backends = "from pg_stat_activity where application_name = 'crm-pipeline' and pid <> pg_backend_pid()"
        administrator.execute(text(f"select pg_terminate_backend(pid, 5000) {backends}"))


def store_one_change(lake: Lake, value: str = "'x'") -> None:
    """Changes the status of one profile of a club."""
    with closing(lake.connect()) as con:
        present = lake.create_current_view(con, customer_profiles, tenants=["ash"])
        status = f"case id when (select min(id) from {present}) then {value} else status end as status"
        con.execute(f"create temp table one as select * replace ({status}) from {present}")
        lake.replace(con, customer_profiles, "one", tenants=["ash"], known_at=at(1))


@pytest.mark.parametrize(
    "statement",
    [
        "delete from crm.customer_timeline where tenant_id = 'ash'",
        "update crm.customer_profiles set row_hash = row_hash + 1, status = 'spoilt' where tenant_id = 'ash'",
    ],
)
def test_a_warehouse_that_differs_from_its_published_state_is_compared_in_full(
    warehouse: Warehouse, tmp_path: Path, statement: str
) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    ask(warehouse, statement)
    store_hour(lake, CLUBS, 1, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    assert_equal(lake, warehouse)


def test_what_was_not_published_for_a_day_is_counted_again(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    ask(warehouse, "update crm.publication_states set checksum = checksum + 1")
    store_hour(lake, CLUBS, 1, PEOPLE)
    publish_lake(lake, warehouse, CLUBS, at(24))
    assert_equal(lake, warehouse)


def test_a_row_refused_while_loading_pending_rows_affects_only_its_own_club(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    store_hour(lake, CLUBS, 1, PEOPLE)
    store_one_change(lake, "'x' || chr(0)")
    publisher, due = find_pending(lake, warehouse, CLUBS)
    publisher.load_pending_rows(due)
    assert publisher.loaded_tables == set()
    with pytest.raises(PublishError, match=r"^ash: there is text that is not UTF-8"):
        publisher.publish("ash", due["ash"])
    assert publisher.publish("birch", due["birch"]) == expected(0, 1)
    publisher.connection.close()


def test_pending_rows_are_copied_again_where_the_connection_is_lost(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    store_hour(lake, CLUBS, 1, PEOPLE)
    publisher, due = find_pending(lake, warehouse, CLUBS)
    publisher.load_pending_rows(due)
    end_sessions(warehouse)
    assert [publisher.publish(club, due[club]) for club in CLUBS] == [expected(0, 1)] * 2
    publisher.connection.close()
    assert_equal(lake, warehouse)


def test_a_rebuilt_lake_is_distinguished_from_the_old_one_though_its_versions_are_the_same(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    for folder, hours in (("old", [0, 1, 2]), ("new", [5, 6, 7])):
        lake = a_lake(tmp_path / folder)
        for hour in hours:
            store_hour(lake, CLUBS, hour, PEOPLE)
    publish_lake(a_lake(tmp_path / "old"), warehouse, CLUBS)
    publish_lake(a_lake(tmp_path / "new"), warehouse, ["ash"])
    publish_lake(a_lake(tmp_path / "new"), warehouse, CLUBS)
    assert_equal(a_lake(tmp_path / "new"), warehouse)


def test_an_older_copy_of_the_same_lake_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publisher, due = find_pending(lake, warehouse, CLUBS)
    store_hour(lake, CLUBS, 1, PEOPLE)
    publish_lake(lake, warehouse, CLUBS)
    with pytest.raises(PublishError, match="was published at version 1, this lake has 0; it is an older copy"):
        publisher.publish("ash", due["ash"])
    publisher.connection.close()
    assert_equal(lake, warehouse)


def test_a_lost_connection_is_replaced_and_the_tenant_published(warehouse: Warehouse, tmp_path: Path) -> None:
    lake = a_lake(tmp_path)
    store_hour(lake, CLUBS, 0, PEOPLE)
    publisher, due = find_pending(lake, warehouse, CLUBS)
    for club in CLUBS:
        end_sessions(warehouse)
        publisher.publish(club, due[club])
    publisher.connection.close()
    assert_equal(lake, warehouse)


def test_every_connection_has_our_application_name(warehouse: Warehouse) -> None:
    connection = warehouse.connect()
    assert set(ask(warehouse, "select distinct application_name from pg_stat_activity where datname = 'crm'")) == {
        ("crm-pipeline",)
    }
    connection.close()
