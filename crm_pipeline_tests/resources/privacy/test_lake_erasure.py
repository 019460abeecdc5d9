"""Erased rows leave the log with every version, and no older version becomes current in their place."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from crm_pipeline.privacy.subject import create_forgotten_relation
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.lake_erasure import count_remaining_rows, erase_rows
from crm_pipeline.resources.privacy.tombstones import SubjectRecord
from crm_pipeline.tables.outputs.identity import customer_identities

HOUR: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)


def link(con: DuckDBPyConnection, lake: Lake, hour: int, **profiles: str) -> None:
    """Stores the profile of each of these players; players that are not named are removed."""
    rows = " union all ".join(
        f"""select 'links' as tenant_id, 'TEETIME' as service, '{record}' as service_record_id,
            '{profile}' as profile_id, true as is_primary, 'ANCHOR' as rule, 1.0 as confidence,
            null as linked_to_service, null as linked_to_record_id,
            false as email_is_shared, false as phone_is_shared"""
        for record, profile in profiles.items()
    )
    con.execute(f"create or replace temp table links as {rows}")
    lake.replace(con, customer_identities, "links", tenants=["links"], known_at=HOUR + timedelta(hours=hour))


def links(con: DuckDBPyConnection, lake: Lake) -> dict[str, str]:
    view = lake.create_current_view(con, customer_identities)
    rows = con.sql(f"select service_record_id, profile_id from {view}").fetchall()
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_a_row_that_once_was_of_the_forgotten_person_loses_only_that_version(
    con: DuckDBPyConnection, lake: Lake
) -> None:
    link(con, lake, 0, anne="a", bert="a", carl="c")
    link(con, lake, 1, anne="a", bert="b", carl="c")
    create_forgotten_relation(con, [SubjectRecord("links", "CRM", "CustomerProfile", "a")])
    assert erase_rows(con, lake, customer_identities) == 2
    assert (links(con, lake), count_remaining_rows(con, lake, customer_identities)) == ({"bert": "b", "carl": "c"}, 0)


def test_a_row_removed_while_of_the_forgotten_person_does_not_come_back_in_an_older_version(
    con: DuckDBPyConnection, lake: Lake
) -> None:
    link(con, lake, 0, bert="b", carl="c")
    link(con, lake, 1, bert="a", carl="c")
    link(con, lake, 2, carl="c")
    create_forgotten_relation(con, [SubjectRecord("links", "CRM", "CustomerProfile", "a")])
    erase_rows(con, lake, customer_identities)
    assert links(con, lake) == {"carl": "c"}
    link(con, lake, 3, carl="d")
    assert links(con, lake) == {"carl": "d"}


def test_the_version_after_a_deleted_one_replaces_the_version_before_it(con: DuckDBPyConnection, lake: Lake) -> None:
    for hour, profile in enumerate(("b", "a", "c")):
        link(con, lake, hour, bert=profile, carl="c")
    create_forgotten_relation(con, [SubjectRecord("links", "CRM", "CustomerProfile", "a")])
    assert erase_rows(con, lake, customer_identities) == 1
    assert links(con, lake) == {"bert": "c", "carl": "c"}


def test_of_a_table_with_no_other_rows_nothing_is_left(con: DuckDBPyConnection, lake: Lake) -> None:
    link(con, lake, 0, anne="a")
    create_forgotten_relation(con, [SubjectRecord("links", "CRM", "CustomerProfile", "a")])
    assert erase_rows(con, lake, customer_identities) == 1
    assert links(con, lake) == {}
    link(con, lake, 1, carl="c")
    assert links(con, lake) == {"carl": "c"}


def test_older_files_and_log_entries_are_deleted(con: DuckDBPyConnection, lake: Lake) -> None:
    link(con, lake, 0, anne="a", carl="c")
    link(con, lake, 1, anne="a", carl="d")
    create_forgotten_relation(con, [SubjectRecord("links", "CRM", "CustomerProfile", "a")])
    erase_rows(con, lake, customer_identities)
    folder = Path(lake.path(customer_identities))
    assert len(list(folder.glob("*.parquet"))) == 1
    assert not any(b"anne" in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert erase_rows(con, lake, customer_identities) == 0
