"""Erased rows leave the log with every version, and no older version becomes current in their place."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from crm_pipeline.privacy.subject import create_forgotten_relation
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy.lake_erasure import count_remaining_rows, erase_rows
from crm_pipeline.resources.privacy.tombstones import SubjectRecord
from crm_pipeline.tables.outputs.identity import customer_identities, identity_reviews, withheld_consents
from crm_pipeline.tables.projections import to_arrow_schema
from crm_pipeline_tests.fixtures.servers.warehouses import a_row

HOUR: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
ASKED: Final = SubjectRecord("links", "CRM", "Lead", "asked")
ANN_ID, BEN_ID = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


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


def store_reviews(con: DuckDBPyConnection, lake: Lake, **settled_by: object) -> None:
    """Stores a review of a shared login per name, with the rows that settle it; its witness names nobody of them."""
    witness = {"kind": "AUTH_USER_ID", "value": "desk", "first_records": [{"service": "SCL", "record_id": "7"}]}
    rows = [
        a_row(
            identity_reviews, tenant_id="links", review_id=name, witness=json.dumps(witness), settled_by=json.dumps(row)
        )
        for name, row in settled_by.items()
    ]
    con.register("reviews", pa.Table.from_pylist(rows, to_arrow_schema(identity_reviews)))
    lake.replace(con, identity_reviews, "reviews", tenants=["links"], known_at=HOUR)


def test_a_review_is_of_whoever_a_row_that_settles_it_names(con: DuckDBPyConnection, lake: Lake) -> None:
    """A list has the same two records in each of its rows: ALWAYS and NEVER."""
    others = {"serviceA": "CRM", "recordIdA": "ann", "serviceB": "CRM", "recordIdB": "bert"}
    side_a, side_b = others | {"recordIdA": "asked"}, others | {"recordIdB": "asked"}
    of_another_service = others | {"serviceB": "TEETIME", "recordIdB": "asked"}
    lists = {"list_a": [side_a] * 2, "list_b": [side_b] * 2, "other_list": [others] * 2}
    store_reviews(
        con, lake, **lists, row_b=side_b, other_row=others, value={"kind": "EMAIL"}, near=[of_another_service]
    )
    create_forgotten_relation(con, [ASKED])
    assert erase_rows(con, lake, identity_reviews) == 3
    reviews = con.sql(f"select review_id from {lake.create_current_view(con, identity_reviews)} order by 1").fetchall()
    assert reviews == [("near",), ("other_list",), ("other_row",), ("value",)]
    assert count_remaining_rows(con, lake, identity_reviews) == 0


def test_a_withheld_consent_is_of_its_contact_and_of_its_profile(con: DuckDBPyConnection, lake: Lake) -> None:
    con.execute(f"""create temp table withheld as select 'links' as tenant_id, * from (values
        ('asked', '{BEN_ID}'), ('merged', '{ANN_ID}'), ('other', '{BEN_ID}')) v(contact_id, profile_id)""")
    lake.replace(con, withheld_consents, "withheld", tenants=["links"], known_at=HOUR)
    records = [SubjectRecord("links", "MESSAGING", "Contact", "asked"), ASKED._replace(record_id="other")]
    create_forgotten_relation(con, [*records, SubjectRecord("links", "CRM", "CustomerProfile", ANN_ID)])
    assert erase_rows(con, lake, withheld_consents) == 2
    view = lake.create_current_view(con, withheld_consents)
    assert con.sql(f"select contact_id from {view}").fetchall() == [("other",)]
    assert count_remaining_rows(con, lake, withheld_consents) == 0
