"""The definitions: the asset graph written by hand; loading them has no side effects."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

from crm_pipeline.definitions import defs
from crm_pipeline.incremental.watermarks import compute_code_hash
from crm_pipeline.tables import PUBLISHED_TABLES, list_source_tables
from crm_pipeline.vocabulary import Service
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.homes.support import stopped_afterwards
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS
from crm_pipeline_tests.fixtures.servers.webserver import BIN, environment

PROJECT = Path(__file__).parents[1]
SLOW = pytest.mark.skipif(not SOAK, reason="each loads everything once more: make soak")
CLONED = {"pyproject.toml", "workspace.yaml", "dagster.yaml", "crm_pipeline"}


class Node(NamedTuple):
    """An asset's group, dependencies, pools, whether it is partitioned, and whether a run makes it."""

    group: str
    dependencies: set[str]
    pools: frozenset[str] = frozenset()
    partitioned: bool = False
    materializable: bool = True


SERVICES = ("crm", "scl", "teetime", "messaging")
SNAPSHOTS = {f"{name}_snapshot" for name in SERVICES}
GRAPH = {
    **{f"sources/{name}": Node("sources", set(), materializable=False) for name in SERVICES},
    "crm_snapshot": Node("snapshots", {"sources/crm"}, frozenset(["crm_source"])),
    "tenants": Node("snapshots", {"crm_snapshot"}),
    "scl_snapshot": Node("snapshots", {"tenants", "sources/scl"}, frozenset(["scl_source"])),
    "teetime_snapshot": Node("snapshots", {"tenants", "sources/teetime"}, frozenset(["teetime_source"])),
    "messaging_snapshot": Node("snapshots", {"tenants", "sources/messaging"}, frozenset(["messaging_source"])),
    "customer_identities": Node("identities", {"tenants", *SNAPSHOTS}),
    "timeline_events": Node("timeline", {"customer_identities"}),
    "churn_model": Node("churn", {"customer_identities", "timeline_events"}),
    "churn_backtest": Node("churn", {"customer_identities", "timeline_events"}),
    "profile_scores": Node("scores", {"customer_identities", "timeline_events", "churn_model"}),
    "customer_profiles": Node("published", {"profile_scores"}, partitioned=True),
    "customer_timeline": Node("published", {"timeline_events", "profile_scores"}, partitioned=True),
    "crm/customer_identities": Node("published", {"customer_identities"}),
    "crm/identity_reviews": Node("published", {"customer_identities"}),
    "crm/profile_events": Node("published", {"customer_identities"}),
    "crm/profile_ids": Node("published", {"customer_identities"}),
    "crm/churn_models": Node("published", {"churn_model"}),
    "crm/quarantined_records": Node(
        "published", {*SNAPSHOTS, "tenants", "customer_identities", "timeline_events", "profile_scores"}
    ),
    "crm/data_quality_results": Node("published", {"timeline_events", "profile_scores"}),
    "crm/publications": Node("published", {"timeline_events", "profile_scores"}),
    "crm/tenant_refreshes": Node("published", {"timeline_events", "profile_scores"}),
    "crm/forgotten_totals": Node("published", {"scl_snapshot", "teetime_snapshot"}),
}
MADE = {name for name, node in GRAPH.items() if node.materializable}
WEEKLY = {"churn_model", "churn_backtest"}
WITH_LINEAGE = {
    *("customer_identities", "timeline_events", "profile_scores", "customer_profiles", "customer_timeline"),
    *("crm/customer_identities", "crm/churn_models"),
}
CHECKS = {
    *((snapshot, "snapshot_is_fresh") for snapshot in SNAPSHOTS),
    ("customer_identities", "links_hold"),
    ("customer_identities", "self_audit"),
    ("customer_profiles", "critical_expectations"),
    ("customer_profiles", "warning_expectations"),
    ("customer_profiles", "tenant_is_fresh"),
    ("customer_profiles", "warehouse_equals_lake"),
    ("customer_timeline", "critical_expectations"),
}


def test_the_asset_graph() -> None:
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): Node(
            node.group_name,
            {parent.to_user_string() for parent in node.parent_keys},
            frozenset(node.pools or ()),
            node.is_partitioned,
            node.is_materializable,
        )
        for key in graph.get_all_asset_keys()
        for node in [graph.get(key)]
    }
    assert found == GRAPH


def test_the_checks() -> None:
    keys = defs.resolve_asset_graph().asset_check_keys
    assert {(key.asset_key.to_user_string(), key.name) for key in keys} == CHECKS


def test_what_keeps_a_club_from_being_published_blocks_and_nothing_else_does() -> None:
    graph = defs.resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}
    assert blocking == {"critical_expectations"}


def test_every_tenant_is_a_partition_and_any_range_of_them_one_run() -> None:
    graph = defs.resolve_asset_graph()
    for name in ("customer_profiles", "customer_timeline"):
        node = graph.get(dg.AssetKey(name))
        assert node.partitions_def == dg.DynamicPartitionsDefinition(name="tenants")
        assert node.backfill_policy == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize(
    ("name", "assets"), [("refresh", MADE - WEEKLY), ("fit_churn", WEEKLY), ("refresh_and_fit", MADE)]
)
def test_the_hourly_job_does_all_but_the_weekly_fit_each_in_one_process(name: str, assets: set[str]) -> None:
    job = defs.resolve_job_def(name)
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == assets
    assert job.executor_def.name == dg.in_process_executor.name


REFRESH_STEPS = {
    *SNAPSHOTS,
    *("tenants", "customer_identities", "timeline_events", "profile_scores", "published"),
}


@pytest.mark.parametrize(("name", "steps"), [("refresh", REFRESH_STEPS), ("reconcile", {"compare_warehouse"})])
def test_the_steps_of_a_job(name: str, steps: set[str]) -> None:
    assert set(defs.resolve_job_def(name).graph.node_names()) == steps


def test_every_published_table_is_an_asset() -> None:
    graph = defs.resolve_asset_graph()
    names = {graph.get(key).metadata.get("dagster/table_name") for key in graph.get_all_asset_keys()}
    assert names - {None} == {f"crm.{table.name}" for table in PUBLISHED_TABLES}


@pytest.mark.parametrize("service", Service)
def test_a_service_links_to_the_module_that_declares_its_tables(service: Service) -> None:
    metadata = defs.resolve_asset_graph().get(dg.AssetKey(["sources", service.lower()])).metadata
    [reference] = metadata["dagster/code_references"].code_references
    declarations = Path(reference.file_path).read_text(encoding="utf-8")
    assert all(f'"{table.name}"' in declarations for table in list_source_tables(service))


SCHEDULES = {
    "hourly_refresh": ("refresh", "0 * * * *"),
    "daily_purge": ("purge_history", "10 2 * * *"),
    "daily_lake_upkeep": ("lake_upkeep", "30 2 * * *"),
    "nightly_reconciliation": ("reconcile", "20 3 * * *"),
    "weekly_churn_fit": ("fit_churn", "30 4 * * 0"),
    "weekly_retention": ("people_retention", "30 1 * * 0"),
}


def test_the_schedules_are_on_and_of_utc() -> None:
    found = defs.get_repository_def().schedule_defs
    assert {s.name: (s.job_name, s.cron_schedule) for s in found} == SCHEDULES
    assert {(s.execution_timezone, s.default_status) for s in found} == {("UTC", dg.DefaultScheduleStatus.RUNNING)}


def test_everything_says_what_it_is() -> None:
    """Every asset, job, schedule, sensor and check has what the UI shows and searches."""
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.group_name, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        if spec.key.to_user_string() in MADE:
            assert spec.code_version == compute_code_hash(), spec.key
            assert spec.freshness_policy, spec.key
            assert spec.tags["cadence"] in {"hourly", "weekly"}, spec.key
    jobs = [job for job in defs.resolve_all_job_defs() if job.name != "__ASSET_JOB"]
    repository = defs.get_repository_def()
    assert all(job.description and job.tags["cadence"] for job in jobs)
    assert all(schedule.description and schedule.tags["cadence"] for schedule in repository.schedule_defs)
    assert all(sensor.description for sensor in repository.sensor_defs)
    graph = defs.resolve_asset_graph()
    assert all(graph.get_check_spec(key).description for key in graph.asset_check_keys)


def test_every_column_of_an_output_says_what_it_is_made_of_and_each_is_there() -> None:
    graph = defs.resolve_asset_graph()
    metadata = {key.to_user_string(): graph.get(key).metadata for key in graph.get_all_asset_keys()}
    columns = {
        name: {column.name for column in found["dagster/column_schema"].columns} for name, found in metadata.items()
    }
    assert {name for name, found in metadata.items() if "dagster/column_lineage" in found} == WITH_LINEAGE
    for name in WITH_LINEAGE:
        made_of = metadata[name]["dagster/column_lineage"].deps_by_column
        assert list(made_of) == [c.name for c in metadata[name]["dagster/column_schema"].columns]
        for dep in (dep for deps in made_of.values() for dep in deps):
            assert dep.column_name in columns[dep.asset_key.to_user_string()], (name, dep)


def test_what_a_few_columns_are_made_of() -> None:
    profiles = defs.resolve_asset_graph().get(dg.AssetKey("profile_scores")).metadata["dagster/column_lineage"]
    consent, email = (profiles.deps_by_column[column] for column in ("email_opt_in", "email"))
    assert [(dep.asset_key.to_user_string(), dep.column_name) for dep in consent] == [
        ("messaging_snapshot", "Contact.emailOptIn")
    ]
    assert {(dep.asset_key.to_user_string(), dep.column_name) for dep in email} == {
        ("scl_snapshot", "Member.email"),
        ("teetime_snapshot", "Player.email"),
        ("messaging_snapshot", "Contact.email"),
        ("crm_snapshot", "Lead.email"),
        ("customer_identities", "email_is_shared"),
    }


def test_the_sensor_looks_for_new_tenants_every_minute_and_is_on() -> None:
    sensor = defs.resolve_sensor_def("new_tenants")
    assert sensor.minimum_interval_seconds == 60
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_importing_the_definitions_makes_nothing_and_warns_of_nothing(tmp_path: Path) -> None:
    done = _run([sys.executable, "-W", "error", "-c", "import crm_pipeline.definitions"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.whole_run
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("check defs", ["All definitions loaded successfully"]),
        pytest.param("list defs", [*GRAPH, *SCHEDULES, "new_tenants", "run_failed"], marks=SLOW),
        pytest.param("launch --job refresh_failed", ["nothing failed", "RUN_SUCCESS"], marks=SLOW),
    ],
)
def test_dg_works_in_a_fresh_clone(command: str, said: list[str], tmp_path: Path) -> None:
    """With no setting and no DAGSTER_HOME."""
    clone = _clone(tmp_path / "clone")
    with stopped_afterwards(clone / "data" / "local"):
        done = _run([str(BIN / "dg"), *command.split()], clone)
    assert done.returncode == 0, done.stderr
    assert [words for words in said if words not in done.stdout + done.stderr] == []
    assert "Warning" not in done.stderr


def _clone(folder: Path) -> Path:
    """Returns a folder with the files that `dg` reads of a clone, without build results or data."""
    folder.mkdir()
    for name in CLONED:
        (folder / name).symlink_to(PROJECT / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # A wide terminal, so that no name is cut, and an empty home, where dg has no configuration.
    variables = environment(COLUMNS="300", HOME=str(folder.parent), VIRTUAL_ENV=str(folder / ".venv"))
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def test_the_wheel_has_the_projects_own_settings_for_dagster() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]
    assert tomllib.loads((PROJECT / "crm_pipeline" / "dg.toml").read_text(encoding="utf-8")) == project
