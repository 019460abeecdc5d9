"""The definitions: the asset graph spelled by hand, and that merely loading them does nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

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
    "profile_scores": Node("scores", {"customer_identities", "timeline_events"}),
    "customer_profiles": Node("published", {"profile_scores"}, partitioned=True),
    "customer_timeline": Node("published", {"timeline_events", "profile_scores"}, partitioned=True),
}
CHECKS = {
    *((snapshot, "snapshot_is_fresh") for snapshot in SNAPSHOTS),
    ("customer_identities", "links_hold"),
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


def test_one_job_does_everything_in_one_process() -> None:
    job = defs.resolve_job_def("refresh")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(GRAPH)
    assert job.executor_def.name == dg.in_process_executor.name


def test_the_schedule_runs_the_job_every_hour_and_is_on() -> None:
    schedule = defs.resolve_schedule_def("hourly_refresh")
    assert schedule.job_name == "refresh"
    assert schedule.cron_schedule == "0 * * * *"
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
