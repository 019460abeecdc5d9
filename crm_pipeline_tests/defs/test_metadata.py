"""The metadata of a refresh: tables to read, numbers to plot, and both say what is in the lake and the warehouse."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from crm_pipeline.defs.metadata import build_count_metrics, build_counts_table, format_markdown_table
from crm_pipeline_tests.fixtures.homes.runs import ASSETS, CLUBS, dagster_of
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, ask

SNAPSHOTS = ("scl_snapshot", "teetime_snapshot", "messaging_snapshot", "crm_snapshot")
COUNTS = {
    ("customer_identities", "links"): "select rule, count(*) from crm.customer_identities group by 1",
    ("timeline_events", "events"): "select event_type, count(*) from crm.customer_timeline group by 1",
    ("profile_scores", "profiles"): "select lifecycle_stage, count(*) from crm.customer_profiles group by 1",
}
FIRST = {
    **{name: ["read", "tables", "quarantined"] for name in SNAPSHOTS},
    "tenants": ["tenants"],
    "customer_identities": ["links_by_rule", "quarantined"],
    "timeline_events": ["events_by_type", "quarantined"],
    "profile_scores": ["funnel", "stage_changes", "quarantined"],
}


@pytest.fixture(scope="module")
def shown(sample_home: Path) -> dict[str, Mapping[str, Any]]:
    """The metadata of each asset of the first refresh."""
    with dagster_of(sample_home) as instance:
        events = {name: instance.get_latest_materialization_event(dg.AssetKey(name)) for name in FIRST}
    return {
        name: event.asset_materialization.metadata
        for name, event in events.items()
        if event and event.asset_materialization
    }


def list_rows(table: Any) -> list[dict[str, Any]]:  # noqa: ANN401  a metadata value
    return [dict(record.data) for record in table.records] if isinstance(table, dg.TableMetadataValue) else []


def read_metrics(metadata: Mapping[str, Any], name: str) -> dict[str, int]:
    return {key.partition("/")[2]: value.value for key, value in metadata.items() if key.startswith(f"{name}/")}


def test_a_markdown_table_has_a_line_per_row_whatever_is_in_a_text() -> None:
    rows = [{"tenant": "a|b", "rows": "1 of 9"}, {"tenant": "c\nd", "rows": ""}]
    assert format_markdown_table(rows).splitlines() == [
        "| tenant | rows |",
        "| --- | --- |",
        "| a\\|b | 1 of 9 |",
        "| c d |  |",
    ]


def test_counts_are_a_table_with_the_largest_first_and_a_number_each() -> None:
    assert list_rows(build_counts_table("rule", {"EMAIL": 2, "ANCHOR": 9, "AUTH_USER_ID": 2})) == [
        {"rule": "ANCHOR", "rows": 9},
        {"rule": "AUTH_USER_ID", "rows": 2},
        {"rule": "EMAIL", "rows": 2},
    ]
    assert build_counts_table("rule", {}).value == "none"
    assert build_count_metrics("links", {"EMAIL": 2}) == {"links/EMAIL": 2}


def test_what_a_person_asks_first_comes_first(shown: dict[str, Mapping[str, Any]]) -> None:
    assert {name: list(metadata)[: len(FIRST[name])] for name, metadata in shown.items()} == FIRST


@pytest.mark.parametrize(("asset", "name"), COUNTS)
def test_counts_are_those_of_the_warehouse(
    asset: str, name: str, shown: dict[str, Mapping[str, Any]], sample_home: Path
) -> None:
    counted = read_metrics(shown[asset], name)
    assert {key: count for key, count in counted.items() if count} == dict(ask(sample_home, COUNTS[asset, name]))
    assert shown[asset]["dagster/row_count"].value == sum(counted.values())


@pytest.mark.parametrize("asset", [name for name in FIRST if name != "tenants"])
def test_what_is_quarantined_is_counted_by_reason(
    asset: str, shown: dict[str, Mapping[str, Any]], sample_home: Path
) -> None:
    query = f"select reason, count(*) from crm.quarantined_records where found_by = '{asset}' group by 1"
    counts = dict(ask(sample_home, query))
    assert read_metrics(shown[asset], "quarantined") == counts
    assert {row["reason"]: row["rows"] for row in list_rows(shown[asset]["quarantined"])} == counts


@pytest.mark.parametrize("asset", SNAPSHOTS)
def test_a_snapshot_says_table_by_table_what_became_of_what_was_read(
    asset: str, shown: dict[str, Mapping[str, Any]], sample_home: Path
) -> None:
    files = (SAMPLE / asset.removesuffix("_snapshot")).glob("*.csv")
    lines = {file.stem: sum(1 for _ in csv.reader(file.open(encoding="utf-8", newline=""))) - 1 for file in files}
    rows = list_rows(shown[asset]["tables"])
    assert {row["table"]: row["read"] + row["empty"] for row in rows} == lines
    assert all(row["rows"] == row["read"] for row in rows)
    added = {row["table"]: row["added"] for row in list_rows(shown[asset]["changes"])}
    assert added == {row["table"]: row["rows"] for row in rows}
    quarantined = ask(sample_home, f"select count(*) from crm.quarantined_records where found_by = '{asset}'")
    assert [(sum(row["quarantined"] for row in rows),)] == quarantined
    assert read_metrics(shown[asset], "rows") == {row["table"]: row["rows"] for row in rows}


def test_the_funnel_counts_every_profile_in_its_stage_and_the_stages_before(
    shown: dict[str, Mapping[str, Any]],
) -> None:
    *path, churned = list_rows(shown["profile_scores"]["funnel"])
    for index, row in enumerate(path):
        assert row["this_stage_or_deeper"] == sum(deeper["profiles"] for deeper in path[index:])
    assert churned["stage"] == "CHURNED"


@pytest.mark.parametrize("asset", ASSETS)
def test_a_club_has_its_own_row_count_and_the_asset_that_of_all_clubs(asset: str, sample_home: Path) -> None:
    with dagster_of(sample_home) as instance:
        records = instance.fetch_materializations(dg.AssetKey(asset), limit=len(CLUBS)).records
    found = [record.asset_materialization for record in records if record.asset_materialization]
    rows = dict(ask(sample_home, f"select tenant_id, count(*) from crm.{asset} group by tenant_id"))
    assert {event.partition: event.metadata["dagster/partition_row_count"].value for event in found} == rows
    assert {event.metadata["dagster/row_count"].value for event in found} == {sum(rows.values())}
