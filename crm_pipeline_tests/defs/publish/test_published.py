"""The published assets: what a run stores in Dagster and PostgreSQL, also when a tenant fails its checks."""

from collections import Counter
from pathlib import Path

import dagster as dg

from crm_pipeline.checks.expectations import MEANINGS
from crm_pipeline_tests.fixtures.homes.runs import (
    ASSETS,
    CLUBS,
    FYNBOS,
    HEATHER,
    SAGUARO,
    contents,
    dagster_of,
    evaluated,
    keep_in_lake,
    materialised,
    publish_alone,
    runs,
    said,
)
from crm_pipeline_tests.fixtures.homes.support import ask, refresh

GREETED = "'renamed' as display_name"
FAILED_CHECKS = "select tenant_id, suite, expectation, unexpected_count from crm.data_quality_results where not success"
HOURS = """
    select tenant_id, string_agg(distinct run_id, ' ') from crm.publications
    where table_name in ('customer_profiles', 'customer_timeline') group by 1"""


def checks_shown(home: Path) -> dict[str | None, str]:
    """Returns the critical check on the profiles in the UI, by tenant; missing where Dagster calls it outdated."""
    key = dg.AssetCheckKey(dg.AssetKey("customer_profiles"), "critical_expectations")
    with dagster_of(home) as instance:
        found = instance.event_log_storage.get_asset_check_partition_info([key])
    return {
        info.partition_key: info.latest_execution_status.value if info.is_current else "missing"
        for info in found
        if info.partition_key
    }


def renamed(home: Path) -> set[str]:
    """Returns the tenants whose published profiles have the display name that `GREETED` set in the lake."""
    found = ask(home, "select tenant_id from crm.customer_profiles where display_name = 'renamed'")
    return {tenant for (tenant,) in found}


def test_a_clean_run_reports_every_tenant_to_dagster_once(refreshed: Path) -> None:
    (run,) = runs(refreshed)
    everything = {(asset, club) for asset in ASSETS for club in CLUBS}
    assert materialised(refreshed, run.run_id) == Counter(everything)
    assert evaluated(refreshed, run.run_id) == dict.fromkeys(everything)
    results = ask(refreshed, "select tenant_id, suite, expectation from crm.data_quality_results where success")
    assert sorted(results) == sorted((club, *expectation) for club in CLUBS for expectation in MEANINGS)
    assert ask(refreshed, FAILED_CHECKS) == []
    assert dict(ask(refreshed, HOURS)) == dict.fromkeys(CLUBS, run.run_id)


def test_a_second_run_publishes_nothing_and_keeps_every_id(refreshed: Path) -> None:
    tables = ("customer_profiles", "customer_timeline", "profile_ids", "data_quality_results", "quarantined_records")
    before = {table: contents(refreshed, table) for table in tables}
    physically = "select id::text, xmin::text from crm.customer_profiles order by 1"
    rows = ask(refreshed, physically)
    outcome = refresh(refreshed)
    assert (outcome.failures, outcome.published_rows) == ([], 0)
    assert {table: contents(refreshed, table) for table in tables} == before
    assert ask(refreshed, physically) == rows
    first, second = runs(refreshed)
    assert materialised(refreshed, second.run_id) == materialised(refreshed, first.run_id)
    assert dict(ask(refreshed, HOURS)) == dict.fromkeys(CLUBS, second.run_id)
    assert checks_shown(refreshed) == dict.fromkeys(CLUBS, "SUCCEEDED")


def test_a_tenant_that_fails_its_checks_keeps_its_data_while_the_others_go_on(refreshed: Path) -> None:
    kept = contents(refreshed, "customer_profiles", HEATHER)
    keep_in_lake(refreshed, {FYNBOS: GREETED, HEATHER: f"{GREETED}, 101 as engagement_score", SAGUARO: GREETED})
    result = publish_alone(refreshed)
    assert said(result) == f"not published, last published data kept: {HEATHER} (customer_profiles: scores_in_range)"
    assert contents(refreshed, "customer_profiles", HEATHER) == kept
    assert renamed(refreshed) == {FYNBOS, SAGUARO}
    _assert_the_failure_is_on_record(refreshed, result.run_id, {HEATHER: len(kept)})
    others = Counter((asset, club) for asset in ASSETS for club in (FYNBOS, SAGUARO))
    assert materialised(refreshed, result.run_id) == others
    assert checks_shown(refreshed) == {FYNBOS: "SUCCEEDED", HEATHER: "FAILED", SAGUARO: "SUCCEEDED"}
    keep_in_lake(refreshed, {HEATHER: "50 as engagement_score"})
    assert publish_alone(refreshed).success
    assert renamed(refreshed) == set(CLUBS)
    assert ask(refreshed, FAILED_CHECKS) == []


def test_a_run_without_partitions_is_a_run_of_every_tenant(refreshed: Path) -> None:
    keep_in_lake(refreshed, dict.fromkeys(CLUBS, GREETED))
    result = publish_alone(refreshed, by_partition=False)
    assert result.success
    assert renamed(refreshed) == set(CLUBS)
    events = materialised(refreshed, result.run_id)
    assert {place: times for place, times in events.items() if place[1]} == {(a, c): 1 for a in ASSETS for c in CLUBS}


def test_when_most_tenants_fail_their_checks_none_is_published(refreshed: Path) -> None:
    kept = contents(refreshed, "customer_profiles")
    bad = f"{GREETED}, -1 as activity_count_30d"
    keep_in_lake(refreshed, {FYNBOS: bad, HEATHER: bad, SAGUARO: GREETED})
    result = publish_alone(refreshed)
    assert f"{SAGUARO} (most tenants failed their checks)" in said(result)
    assert contents(refreshed, "customer_profiles") == kept
    assert materialised(refreshed, result.run_id) == Counter()
    assert {(tenant, name) for tenant, _, name, _ in ask(refreshed, FAILED_CHECKS)} == {
        (club, "activity_count_30d is at least 0") for club in (FYNBOS, HEATHER)
    }
    assert result.run_id not in dict(ask(refreshed, HOURS)).values()


def _assert_the_failure_is_on_record(home: Path, run_id: str, rows: dict[str, int]) -> None:
    """In PostgreSQL and, per partition, in Dagster; only profiles changed, so only they were evaluated."""
    assert ask(home, FAILED_CHECKS) == [
        (tenant, "customer_profiles", "scores_in_range", count) for tenant, count in rows.items()
    ]
    expected: dict[tuple[str, str], dict[str, int] | None] = {("customer_profiles", club): None for club in CLUBS}
    failed = {("customer_profiles", tenant): {"scores_in_range": count} for tenant, count in rows.items()}
    assert evaluated(home, run_id) == expected | failed
