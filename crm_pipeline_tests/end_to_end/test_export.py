"""The subject-access export: everything the tables hold of a person, field by field, and nothing of anybody else."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crm_pipeline.cli.options import override_environment
from crm_pipeline.explain.formatting import to_json_value
from crm_pipeline.resources.connections import open_lake
from crm_pipeline.tables import PERSON_TABLES
from crm_pipeline.tables.columns import find_table_service, source_metadata
from crm_pipeline.tables.sources import crm
from crm_pipeline_tests.fixtures.homes.questions import answer
from crm_pipeline_tests.fixtures.homes.support import ask, clean_environment
from crm_pipeline_tests.fixtures.worlds.world_rows import FYNBOS

CLUB = FYNBOS.slug
ABOUT_NOBODY = (crm.tenant, crm.suppressed_identifier)
TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], list[dict[str, Any]]]]] = {
    "customer_profiles": ("id", lambda one: [{name: field["value"] for name, field in one["fields"].items()}]),
    "customer_identities": ("service_record_id", lambda one: one["records"]),
    "customer_timeline": ("event_id", lambda one: one["timeline"]),
    "identity_reviews": ("review_id", lambda one: one["reviews"]),
    "profile_ids": ("profile_id", lambda one: one["id_history"]["ids"]),
    "profile_events": ("event_id", lambda one: one["id_history"]["events"]),
}
"""Each published table that is about people: its key within a club, and where the document has its rows."""


@pytest.fixture(scope="module")
def exports(sample_home: Path) -> dict[str, dict[str, Any]]:
    """The documents of some of the club: the cast's members, and whoever was ever asked about."""
    members = ask(sample_home, f"select id::text from crm.customer_profiles where tenant_id = '{CLUB}' order by 1")
    chosen = [id_ for (id_,) in members[::4]]
    return {id_: answer(sample_home, CLUB, "profile", id_)["people"][0] for id_ in chosen}


@pytest.mark.parametrize("table", TABLES)
def test_what_is_told_of_a_person_is_what_the_table_says_field_by_field(
    sample_home: Path, exports: dict[str, dict[str, Any]], table: str
) -> None:
    key, told = TABLES[table]
    rows = ask(sample_home, f"select to_jsonb(t) - 'row_hash' from crm.{table} t where tenant_id = '{CLUB}'")
    stored = {row[key] if table != "customer_identities" else (row["service"], row[key]): row for (row,) in rows}
    checked = 0
    for one in exports.values():
        for row in told(one):
            known = stored[row[key] if table != "customer_identities" else (row["service"], row[key])]
            assert {name: same(row[name]) for name in known} == {name: same(value) for name, value in known.items()}
            checked += 1
    assert checked


def test_every_source_row_that_names_a_person_is_in_their_export_as_the_lake_has_it(
    sample_home: Path, exports: dict[str, dict[str, Any]]
) -> None:
    with clean_environment():
        lake = open_lake(override_environment(sample_home))
    with closing(lake.connect()) as con:
        for table in (t for t in source_metadata.tables.values() if t not in ABOUT_NOBODY):
            name = f"{find_table_service(table)}.{table.name}"
            columns = ", ".join([*(column.key for column in table.columns), "_problems"])
            query = f"select {columns} from {lake.create_current_view(con, table, tenants=[CLUB])}"
            stored = [to_json_value(row) for row in con.sql(query).to_arrow_table().to_pylist()]
            for one in exports.values():
                assert counted(one["held_rows"].get(name, [])) == counted(
                    row for row in stored if names(one, row, name)
                )


def names(one: dict[str, Any], row: dict[str, Any], table: str) -> bool:
    """Whether a row names the person, told by plain comparison of its columns."""
    ids = {row["profile_id"] for row in one["id_history"]["ids"]}
    records = {(record["service"], record["service_record_id"]) for record in one["records"]}
    service = table.partition(".")[0]
    if table in {f"{service}.{people.name}" for service, people in PERSON_TABLES.items()}:
        return (service, str(row["id"])) in records
    keys: list[tuple[Any, Any]] = [
        (service, str(row.get(column))) for column in ("member_id", "player_id", "contact_id")
    ]
    keys += [(row.get(f"service_{side}"), row.get(f"record_id_{side}")) for side in "ab"]
    profiles = {row.get(column) for column in ("profile_id", "referrer_profile_id", "referred_profile_id")}
    return bool(records & set(keys) or ids & profiles)


def counted(rows: Iterable[Any]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


def same(value: object) -> object:
    """Times in one spelling."""
    if isinstance(value, str) and len(value) > 18 and value[10:11] == "T":
        return datetime.fromisoformat(value).astimezone(UTC)
    return value
