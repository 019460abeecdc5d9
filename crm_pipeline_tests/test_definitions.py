"""The definitions: the asset graph spelled by hand, and that merely loading them does nothing else."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

from crm_pipeline.assets.refresh import hourly_refresh
from crm_pipeline.assets.step import AS_OF_TAG
from crm_pipeline.definitions import defs
from crm_pipeline_tests.support import stopped_afterwards
from crm_pipeline_tests.webserver import BIN, environment

PROJECT = Path(__file__).parents[1]
CLONED = {"pyproject.toml", "workspace.yaml", "dagster.yaml", "crm_pipeline"}


class Node(NamedTuple):
    """What an asset depends on, and how it is kept."""

    group: str
    dependencies: set[str]
    pools: frozenset[str] = frozenset()
    partitioned: bool = False


SNAPSHOTS = {"crm_snapshot", "scl_snapshot", "teetime_snapshot", "messaging_snapshot"}
GRAPH = {
    "crm_snapshot": Node("snapshots", set(), frozenset(["crm_source"])),
    "tenants": Node("snapshots", {"crm_snapshot"}),
    "scl_snapshot": Node("snapshots", {"tenants"}, frozenset(["scl_source"])),
    "teetime_snapshot": Node("snapshots", {"tenants"}, frozenset(["teetime_source"])),
    "messaging_snapshot": Node("snapshots", {"tenants"}, frozenset(["messaging_source"])),
    "customer_identities": Node("identities", {"tenants", *SNAPSHOTS}),
    "timeline_events": Node("timeline", {"customer_identities"}),
    "churn_model": Node("churn", {"customer_identities", "timeline_events"}),
    "churn_backtest": Node("churn", {"customer_identities", "timeline_events"}),
    "profile_scores": Node("scores", {"customer_identities", "timeline_events", "churn_model"}),
    "customer_profiles": Node("published", {"profile_scores"}, partitioned=True),
    "customer_timeline": Node("published", {"timeline_events", "profile_scores"}, partitioned=True),
}
WEEKLY = {"churn_model", "churn_backtest"}
CHECKS = {
    *((snapshot, "snapshot_is_fresh") for snapshot in SNAPSHOTS),
    ("customer_identities", "links_hold"),
    ("customer_identities", "self_audit"),
    ("customer_profiles", "expectations_hold"),
    ("customer_timeline", "expectations_hold"),
}


def test_the_asset_graph() -> None:
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): Node(
            node.group_name,
            {parent.to_user_string() for parent in node.parent_keys},
            frozenset(node.pools or ()),
            node.is_partitioned,
        )
        for key in graph.get_all_asset_keys()
        for node in [graph.get(key)]
    }
    assert found == GRAPH


def test_the_checks() -> None:
    keys = defs.resolve_asset_graph().asset_check_keys
    assert {(key.asset_key.to_user_string(), key.name) for key in keys} == CHECKS


def test_every_tenant_is_a_partition_and_any_range_of_them_one_run() -> None:
    graph = defs.resolve_asset_graph()
    for name in ("customer_profiles", "customer_timeline"):
        node = graph.get(dg.AssetKey(name))
        assert node.partitions_def == dg.DynamicPartitionsDefinition(name="tenants")
        assert node.backfill_policy == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize(("name", "assets"), [("refresh", set(GRAPH) - WEEKLY), ("fit_churn", WEEKLY)])
def test_the_hourly_job_does_all_but_the_weekly_fit_each_in_one_process(name: str, assets: set[str]) -> None:
    job = defs.resolve_job_def(name)
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == assets
    assert job.executor_def.name == dg.in_process_executor.name


def test_the_schedule_runs_the_job_every_hour_and_is_on() -> None:
    schedule = defs.resolve_schedule_def("hourly_refresh")
    assert schedule.job_name == "refresh"
    assert schedule.cron_schedule == "0 * * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize(
    ("done", "status", "skipped"),
    [
        ("2026-03-31T11:00:00+00:00", dg.DagsterRunStatus.SUCCESS, False),
        ("2026-03-31T12:00:00+00:00", dg.DagsterRunStatus.SUCCESS, False),
        ("2026-03-31T12:00:30+00:00", dg.DagsterRunStatus.SUCCESS, True),
        ("2026-03-31T12:00:30+00:00", dg.DagsterRunStatus.FAILURE, False),
    ],
)
def test_a_tick_that_comes_after_a_later_refresh_is_skipped(
    tmp_path: Path, done: str, status: dg.DagsterRunStatus, *, skipped: bool
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("tenants", ["links"])
        instance.add_run(dg.DagsterRun(job_name="refresh", status=status, tags={AS_OF_TAG: done}))
        noon = datetime(2026, 3, 31, 12, tzinfo=UTC)
        asked = hourly_refresh(dg.build_schedule_context(instance=instance, scheduled_execution_time=noon))
    assert isinstance(asked, dg.SkipReason if skipped else dg.RunRequest)


def test_the_lake_is_kept_up_every_night() -> None:
    schedule = defs.resolve_schedule_def("daily_lake_upkeep")
    assert (schedule.job_name, schedule.cron_schedule) == ("lake_upkeep", "30 2 * * *")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_churn_is_fitted_every_sunday_between_two_refreshes() -> None:
    schedule = defs.resolve_schedule_def("weekly_churn_fit")
    assert schedule.job_name == "fit_churn"
    assert schedule.cron_schedule == "30 4 * * 0"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_sensor_looks_for_new_tenants_every_minute_and_is_on() -> None:
    sensor = defs.resolve_sensor_def("new_tenants")
    assert sensor.minimum_interval_seconds == 60
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_importing_the_definitions_makes_nothing_and_warns_of_nothing(tmp_path: Path) -> None:
    done = _run([sys.executable, "-W", "error", "-c", "import crm_pipeline.definitions"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [("check", ["All definitions loaded successfully"]), ("list", [*GRAPH, "hourly_refresh", "new_tenants"])],
)
def test_dg_works_in_a_fresh_clone(command: str, said: list[str], tmp_path: Path) -> None:
    """With no setting and no DAGSTER_HOME."""
    clone = _clone(tmp_path / "clone")
    with stopped_afterwards(clone / "data" / "local"):
        done = _run([str(BIN / "dg"), command, "defs"], clone)
    assert done.returncode == 0, done.stderr
    assert [words for words in said if words not in done.stdout] == []
    assert "DeprecationWarning" not in done.stderr


def _clone(folder: Path) -> Path:
    """What `dg` reads of a clone, without what was built or loaded in this one."""
    folder.mkdir()
    for name in CLONED:
        (folder / name).symlink_to(PROJECT / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # A wide terminal, in which no name is cut; and the home of nobody, for whom dg keeps nothing.
    variables = environment(COLUMNS="300", HOME=str(folder.parent), VIRTUAL_ENV=str(folder / ".venv"))
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=False)
