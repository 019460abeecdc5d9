"""`crm-pipeline ui`: what people see in Dagster, the hour that passes by itself, and one club refreshed by hand.

One refresh, one server for the whole module. The schedule's clock is set back by an hour before the server starts, so
that its daemon finds an hour it has missed.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from crm_pipeline.settings import SAMPLE_FILE
from crm_pipeline.tables import PUBLISHED_TABLES, list_source_tables
from crm_pipeline.tables.outputs import churn, identity, profiles, timeline
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import fit, keep_in_lake, publish_alone
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, ask, refresh
from crm_pipeline_tests.fixtures.servers.browser import Browser, browser, installed
from crm_pipeline_tests.fixtures.servers.webserver import REPOSITORY, Webserver, numbers, set_schedule_back, webserver

SNAPSHOTS = ["crm_snapshot", "messaging_snapshot", "scl_snapshot", "teetime_snapshot", "tenants"]
PUBLISHED = ["customer_profiles", "customer_timeline"]
WHOLE_TABLES = sorted(f"crm/{table.name}" for table in PUBLISHED_TABLES if table.name not in PUBLISHED)
SOURCES = [f"sources/{name}" for name in ("crm", "messaging", "scl", "teetime")]
GROUPS = {
    "sources": SOURCES,
    "snapshots": SNAPSHOTS,
    "identities": ["customer_identities"],
    "timeline": ["timeline_events"],
    "scores": ["profile_scores"],
    "published": [*WHOLE_TABLES, *PUBLISHED],
    "churn": ["churn_backtest", "churn_model"],
}
EVERY_ASSET = [asset for group in GROUPS if group not in ("churn", "sources") for asset in GROUPS[group]]
"""Of the hourly refresh."""
TENANTS = ["fynbos-links", "heather-moor", "saguaro-ridge"]
BUTTONS = {
    "published assets": "heather-moor",
    "job": "fynbos-links",
} | ({"all assets": "heather-moor"} if SOAK else {})
"""Refreshed by hand: a part as the asset graph's own job, the whole as ours and, in the soak, as the graph's."""
MAX_SHOWN_LETTERS = 18
"""Of a name in the asset graph."""
RUNS = 2 + len(BUTTONS) + (3 if SOAK else 0)
"""The command line's, the missed hour's, those by hand, and three of a backfill."""
TICK = {"tags": [{"key": "dagster/schedule_name", "value": "hourly_refresh"}]}
NEEDLESS = ("dagster.yaml file will not be used to configure dagster", "no cursor for event type dagstereventtype.run_")
"""Said in the project's folder, where `dagster dev` sees the file that the home holds a copy of; and by the daemon that
makes up for dead runs, when it starts for the first time."""
TROUBLE = re.compile("warning(?!_expectations)| error|traceback")
CHANGES = ("rows_added", "rows_changed", "rows_removed")
FIRST_PAGES = {
    **dict.fromkeys([name for name in SNAPSHOTS if name != "tenants"], "Read: every row."),
    "customer_identities": "No fault in the links that this run resolved.",
    "customer_timeline": " expectations hold for 3 clubs.",
}
"""What the first check of an asset says without a click; that of customer_profiles fails."""
FIGURES = {
    **dict.fromkeys([name for name in SNAPSHOTS if name != "tenants"], ("tables", "read", "quarantined", "changes")),
    "tenants": ("Africa/Johannesburg", "Europe/London", "America/Phoenix"),
    "customer_identities": ("links_by_rule", "EMAIL_AND_PHONE", "INVALID_PHONE", "links/EMAIL"),
    "timeline_events": ("events_by_type", "ROUND_PLAYED", "events/ROUND_PLAYED"),
    "profile_scores": ("funnel", "this_stage_or_deeper", "profiles/MEMBER"),
    "customer_profiles": ("dagster/partition_row_count", "rows_changed"),
    "customer_timeline": ("dagster/partition_row_count", "rows_changed"),
    "churn_model": ("visits_from", "beats_recency", "members"),
    "churn_backtest": ("brier", "base_rate", "auc/365_days"),
}
"""Words of each asset's last event: tables, and numbers by the name they are plotted under."""
ASSETS = """{ assetNodes {
    assetKey { path } dependencyKeys { path } groupName description kinds owners { ... on TeamAssetOwner { team } }
    partitionStats { numPartitions numMaterialized numFailed } partitionKeys
    metadataEntries { label ... on TableSchemaMetadataEntry { schema { columns { name description } } } }
    assetMaterializations(limit: 50) { partition metadataEntries { label ... on IntMetadataEntry { intValue } } } } }"""
LOCATION = """{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename } } } } }"""
AUTOMATION = """query ($in: RepositorySelector!) {
    schedulesOrError(repositorySelector: $in) { ... on Schedules { results { name scheduleState { status } } } }
    sensorsOrError(repositorySelector: $in) { ... on Sensors { results { name sensorState { status } } } } }"""


@pytest.fixture(scope="module")
def home(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample clubs, refreshed, as a demo: the hour that passes is as of the end of its data."""
    with copied(first_run, tmp_path_factory.mktemp("ui") / "home") as home:
        shutil.copy(SAMPLE / SAMPLE_FILE, home)
        yield home


@pytest.fixture(scope="module")
def missed_hour(home: Path) -> datetime:
    """The last full hour, for which Dagster is late."""
    return set_schedule_back(home)


@pytest.fixture(scope="module")
def ui(home: Path, missed_hour: datetime) -> Iterator[Webserver]:  # noqa: ARG001  the hour is missed before
    """Dagster on it."""
    with webserver(home) as running:
        yield running


@pytest.fixture(scope="module")
def assets(ui: Webserver) -> dict[str, dict[str, Any]]:
    """The nodes of the asset graph."""
    return {"/".join(node["assetKey"]["path"]): node for node in ui.ask(ASSETS)["assetNodes"]}


@pytest.fixture(scope="module", autouse=True)
def launched(ui: Webserver) -> dict[str, dict[str, Any]]:
    """What is refreshed by hand, all launched together, since the daemon looks at a backfill only twice a minute."""
    return ({"whole graph": ui.backfill(EVERY_ASSET, TENANTS)} if SOAK else {}) | {
        button: ui.materialize(
            GROUPS["published"] if button == "published assets" else EVERY_ASSET,
            tenant,
            **({"job": "refresh"} if button == "job" else {}),
        )
        for button, tenant in BUTTONS.items()
    }


def test_the_code_location_loads(ui: Webserver) -> None:
    (entry,) = ui.ask(LOCATION)["workspaceOrError"]["locationEntries"]
    assert entry["name"] == "crm_pipeline.definitions"
    assert entry["loadStatus"] == "LOADED"
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"


def test_assets_are_in_groups_by_stage(assets: dict[str, dict[str, Any]]) -> None:
    groups: dict[str, list[str]] = {}
    for name, node in sorted(assets.items()):
        groups.setdefault(node["groupName"], []).append(name)
    assert groups == GROUPS


def test_every_asset_says_what_it_is_whose_and_made_with_what(assets: dict[str, dict[str, Any]]) -> None:
    for name, node in assets.items():
        assert node["description"], name
        assert node["owners"] == [{"team": "data"}], name
        kind = "postgres" if node["groupName"] in ("published", "sources") else "deltalake"
        assert kind in node["kinds"], name


def test_every_declared_column_is_shown_with_its_comment(assets: dict[str, dict[str, Any]]) -> None:
    shown = {name: _columns(node) for name, node in assets.items()}
    for asset, table in {
        "customer_profiles": profiles.customer_profiles,
        "profile_scores": profiles.customer_profiles,
        "customer_timeline": timeline.customer_timeline,
        "timeline_events": timeline.customer_timeline,
        "customer_identities": identity.customer_identities,
        "churn_model": churn.churn_models,
        "churn_backtest": churn.churn_backtests,
    }.items():
        assert shown[asset] == {column.name: column.comment for column in table.columns}
    for service in Service:
        declared = {f"{t.name}.{c.name}": c.comment for t in list_source_tables(service) for c in t.columns}
        assert shown[f"{service.lower()}_snapshot"] == shown[f"sources/{service.lower()}"] == declared
    for table in PUBLISHED_TABLES:
        asset = table.name if table.name in PUBLISHED else f"crm/{table.name}"
        assert shown[asset] == {column.name: column.comment for column in table.columns}
    assert all(comment for columns in shown.values() for comment in columns.values())


def _columns(node: dict[str, Any]) -> dict[str, str]:
    (schema,) = (entry["schema"] for entry in node["metadataEntries"] if entry["label"] == "dagster/column_schema")
    return {column["name"]: column["description"] for column in schema["columns"]}


def test_every_materialisation_says_how_many_rows_there_are(assets: dict[str, dict[str, Any]]) -> None:
    for name in EVERY_ASSET:
        node = assets[name]
        counts = [numbers(event["metadataEntries"])["dagster/row_count"] for event in node["assetMaterializations"]]
        assert counts, name
        assert all(count > 0 for count in counts) or name in WHOLE_TABLES, name


def test_every_published_table_says_how_many_rows_all_clubs_have(assets: dict[str, dict[str, Any]], home: Path) -> None:
    for name in WHOLE_TABLES:
        newest = assets[name]["assetMaterializations"][0]
        [(rows,)] = ask(home, f"select count(*) from crm.{name.removeprefix('crm/')}")
        assert numbers(newest["metadataEntries"])["dagster/row_count"] == rows, name


def test_every_published_table_comes_from_services_that_link_to_their_declarations(
    assets: dict[str, dict[str, Any]],
) -> None:
    for name in GROUPS["published"]:
        upstream, found = [name], set()
        while upstream:
            node = assets[upstream.pop()]
            parents = ["/".join(key["path"]) for key in node["dependencyKeys"]]
            upstream += [parent for parent in parents if parent not in found]
            found.update(parents)
        services = found & set(SOURCES)
        assert services, name
        for service in services:
            labels = [entry["label"] for entry in assets[service]["metadataEntries"]]
            assert "dagster/code_references" in labels


def test_row_counts_are_those_of_all_clubs_and_of_each(assets: dict[str, dict[str, Any]], home: Path) -> None:
    for table in PUBLISHED:
        events = assets[table]["assetMaterializations"][::-1]
        counts = [(event["partition"], numbers(event["metadataEntries"])) for event in events]
        rows = dict(ask(home, f"select tenant_id, count(*) from crm.{table} group by tenant_id"))
        assert {tenant: shown["dagster/partition_row_count"] for tenant, shown in counts} == rows
        assert {shown["dagster/row_count"] for _, shown in counts} == {sum(rows.values())}


def test_published_assets_have_a_partition_per_tenant(assets: dict[str, dict[str, Any]]) -> None:
    assert {name: node["partitionKeys"] for name, node in assets.items()} == {
        name: TENANTS if name in PUBLISHED else [] for name in assets
    }


def test_the_schedules_and_the_sensors_are_on(ui: Webserver) -> None:
    shown = ui.ask(AUTOMATION, **{"in": REPOSITORY})
    schedules, sensors = shown["schedulesOrError"]["results"], shown["sensorsOrError"]["results"]
    assert {schedule["name"]: schedule["scheduleState"]["status"] for schedule in schedules} == dict.fromkeys(
        (
            "hourly_refresh",
            "daily_purge",
            "daily_lake_upkeep",
            "nightly_reconciliation",
            "weekly_retention",
            "weekly_churn_fit",
        ),
        "RUNNING",
    )
    assert {sensor["name"]: sensor["sensorState"]["status"] for sensor in sensors} == dict.fromkeys(
        ("new_tenants", "refresh_failed", "run_failed", "run_incomplete"), "RUNNING"
    )


def test_a_missed_hour_is_made_up_by_one_run_over_all_tenants(ui: Webserver, missed_hour: datetime) -> None:
    run, *_ = ui.runs(TICK, 1)
    assert run.status == "SUCCESS"
    assert run.job == "refresh"
    assert run.tags["dagster/asset_partition_range_start"] == TENANTS[0]
    assert run.tags["dagster/asset_partition_range_end"] == TENANTS[-1]
    assert datetime.fromisoformat(run.tags["crm_pipeline/as_of"]) == missed_hour
    published = {(asset, partition): counts for asset, partition, counts in run.materialised if asset in PUBLISHED}
    assert set(published) == {(asset, tenant) for asset in PUBLISHED for tenant in TENANTS}
    assert sum(counts[kind] for counts in published.values() for kind in CHANGES) == 0


@pytest.mark.parametrize(("button", "tenant"), BUTTONS.items())
def test_one_club_is_refreshed_by_hand(
    button: str, tenant: str, ui: Webserver, launched: dict[str, dict[str, Any]]
) -> None:
    (run,) = ui.runs(launched[button], 1)
    assert run.status == "SUCCESS"
    assert {asset for asset, _, _ in run.materialised} == set(
        GROUPS["published"] if button == "published assets" else EVERY_ASSET
    )
    assert {partition for asset, partition, _ in run.materialised if asset in PUBLISHED} == {tenant}


@pytest.mark.skipif(not SOAK, reason="twenty seconds of a run by the daemon: make soak")
def test_the_whole_graph_is_refreshed_by_hand(ui: Webserver, launched: dict[str, dict[str, Any]]) -> None:
    """A backfill does what is upstream, then publishes the tenants asked for, then tables without partitions."""
    upstream, tenants, whole = ui.runs(launched["whole graph"], 3)
    assert upstream.status == tenants.status == whole.status == "SUCCESS"
    assert {asset for asset, _, _ in upstream.materialised} == set(EVERY_ASSET) - set(GROUPS["published"])
    published = {(asset, partition) for asset, partition, _ in tenants.materialised if asset in PUBLISHED}
    assert published == {(asset, tenant) for asset in PUBLISHED for tenant in TENANTS}
    assert {asset for asset, _, _ in (*tenants.materialised, *whole.materialised)} == set(GROUPS["published"])


def test_every_partition_is_materialised_when_no_run_is_left(ui: Webserver) -> None:
    ui.runs({}, RUNS)
    stats = {"/".join(node["assetKey"]["path"]): node["partitionStats"] for node in ui.ask(ASSETS)["assetNodes"]}
    for name in PUBLISHED:
        assert stats[name] == {"numPartitions": 3, "numMaterialized": 3, "numFailed": 0}


def test_the_terminal_shows_no_warning(ui: Webserver) -> None:
    said = [line for line in ui.log.read_text().lower().splitlines() if not any(words in line for words in NEEDLESS)]
    assert [line for line in said if TROUBLE.search(line)] == []


@pytest.fixture(scope="module")
def eyes(ui: Webserver, home: Path) -> Iterator[Browser]:
    """A browser on it, after a fit of the churn models and an hour in which one club failed its checks."""
    program = installed()
    ui.runs({}, RUNS)
    # Those overlapped: Dagster calls a check not evaluated where another run has materialised its asset since.
    assert refresh(home).failures == []
    fit(home)
    keep_in_lake(home, {"heather-moor": "101 as engagement_score"})
    assert not publish_alone(home).success
    with browser(program, ui.port) as tab:
        yield tab


def test_a_browser_shows_which_club_failed(eyes: Browser) -> None:
    eyes.open("/assets/customer_profiles?view=partitions&partition=heather-moor")
    eyes.see("partitions", "Failed (1)", "Materialized (2)", "failed, and did not materialize this asset")


def test_a_browser_shows_what_is_broken_for_whom_without_a_click(eyes: Browser) -> None:
    page = eyes.open("/assets/customer_profiles?view=checks")
    eyes.see("check", "This is a blocking asset check.", " expectations hold for 3 clubs.", "clubs_that_break_one")
    broken = page.get_by_role("row").filter(has_text="Scores lie between 0 and 100.")
    broken.wait_for()
    assert all(words in broken.inner_text() for words in ("heather-moor", "109 of 109"))
    page.get_by_text("Execution history").click()
    failed = page.get_by_role("row").filter(has_text="Broken: Scores lie between 0 and 100.").first
    failed.wait_for()
    assert all(words in failed.inner_text() for words in ("Failed", "heather-moor"))


@pytest.mark.parametrize(("asset", "words"), FIRST_PAGES.items())
def test_a_browser_shows_the_first_page_of_every_check(asset: str, words: str, eyes: Browser) -> None:
    eyes.open(f"/assets/{asset}?view=checks")
    eyes.see(f"check-{asset}", words)


@pytest.mark.parametrize(("asset", "words"), FIGURES.items())
def test_a_browser_shows_the_figures_of_every_asset_as_tables(asset: str, words: Sequence[str], eyes: Browser) -> None:
    page = eyes.open(f"/assets/{asset}?view=events")
    eyes.see(f"figures-{asset}", *words)
    assert page.get_by_text("[Show JSON]").count() == 0


def test_a_browser_shows_the_asset_graph(eyes: Browser) -> None:
    opened = quote(",".join(f"global@global:{group}" for group in GROUPS))
    # Nodes outside the window are not drawn.
    eyes.page.set_viewport_size({"width": 1600, "height": 4000})
    eyes.open(f"/asset-groups?expanded={opened}")
    # A node shows the last part of its key; of the longest the middle is left out.
    names = {asset.rpartition("/")[2] for assets in GROUPS.values() for asset in assets}
    eyes.see("graph", *(name for name in names if len(name) <= MAX_SHOWN_LETTERS))


def test_a_browser_shows_how_well_churn_was_foretold(eyes: Browser) -> None:
    page = eyes.open("/assets/churn_backtest")
    page.get_by_text("Show Markdown").click()
    plot = page.get_by_alt_text("calibration: risk foretold against share who left")
    plot.wait_for()
    eyes.see("plot", "all clubs")
    assert plot.evaluate("picture => picture.naturalWidth") > 100
