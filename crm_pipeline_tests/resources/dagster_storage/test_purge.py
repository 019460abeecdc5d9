"""The purge, on Dagster's tables in PostgreSQL: old runs are deleted, and what the UI shows stays."""

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from sqlalchemy import create_engine, text

from crm_pipeline.cli.options import override_environment
from crm_pipeline.defs.dagster_context import TENANT_PARTITIONS, build_range_tags
from crm_pipeline.defs.publish.check_results import build_check_specs
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.resources.dagster_storage.purge import delete_old_runs
from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.support import clean_environment

KEY = dg.AssetKey("customer_profiles")
CHECK = next(spec for spec in build_check_specs() if spec.asset_key == KEY)
CLUBS = ["downs", "heath", "links"]


with warnings.catch_warnings():
    # Checks per partition are a preview feature of Dagster.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    RETIRED_CHECK = dg.AssetCheckSpec("expectations_hold", asset=KEY, partitions_def=TENANT_PARTITIONS)


def build_publisher(check: dg.AssetCheckSpec) -> dg.AssetsDefinition:
    """Returns the published asset with this check."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(KEY)],
        check_specs=[check],
        partitions_def=TENANT_PARTITIONS,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def publish(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Publishes like the real asset: tenants of tag `bad` fail, those of tag `unmoved` are not checked."""
        bad, unmoved = (context.run.tags.get(tag, "").split() for tag in ("bad", "unmoved"))
        for tenant in context.partition_keys:
            if tenant in unmoved:
                continue
            passed = tenant not in bad
            context.log_event(
                dg.AssetCheckEvaluation(asset_key=KEY, check_name=check.name, passed=passed, partition=tenant)
            )
            if passed:
                context.log_event(dg.AssetMaterialization(KEY, partition=tenant))
        yield from ()
        raise dg.Failure("not published", allow_retries=False)

    return publish


@pytest.fixture(scope="module")
def home(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with copied(blank, tmp_path_factory.mktemp("history") / "home") as home:
        yield home


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with clean_environment(), open_instance(override_environment(home)) as instance:
        instance.add_dynamic_partitions("tenants", CLUBS)
        yield instance


def run(instance: dg.DagsterInstance, first: str, last: str, check: dg.AssetCheckSpec = CHECK, **outcomes: str) -> str:
    """Returns the id of a run over these tenants, with their outcomes by tag."""
    job = dg.Definitions([build_publisher(check)], jobs=[dg.define_asset_job("refresh")]).resolve_job_def("refresh")
    tags = {**build_range_tags([first, last]), **outcomes}
    return job.execute_in_process(instance=instance, raise_on_error=False, tags=tags).run_id


def shown(instance: dg.DagsterInstance) -> dict[str, object]:
    """Returns per tenant its last materialisation, its last attempt if that failed, and its last check result."""
    events = instance.event_log_storage
    failed = events.get_latest_asset_partition_materialization_attempts_without_materializations(KEY)
    materialised = events.get_latest_storage_id_by_partition(KEY, dg.DagsterEventType.ASSET_MATERIALIZATION)
    checks = events.get_asset_check_partition_info([CHECK.key])
    return {
        "materialised": dict(materialised),
        "failed": {tenant: run_id for tenant, (run_id, _) in failed.items()},
        "checks": {info.partition_key: info.latest_execution_status for info in checks},
    }


def asked(home: Path, sql: str) -> list[object]:
    engine = create_engine(EmbeddedPostgres(home).url("dagster"))
    with engine.connect() as connection:
        values = list(connection.execute(text(sql)).scalars())
    engine.dispose()
    return values


def test_old_runs_go_and_what_is_shown_of_the_present_stays(home: Path, instance: dg.DagsterInstance) -> None:
    """Heath has failed ever since the first run; no run covered links since the second."""
    first = run(instance, "downs", "links")
    second = run(instance, "downs", "links", bad="heath")
    third = run(instance, "downs", "heath", bad="heath")
    fourth = run(instance, "downs", "heath", bad="heath")
    before = shown(instance)
    assert before["failed"] == {"heath": fourth}
    assert delete_old_runs(instance, datetime.now(UTC) - timedelta(days=30)) == 0
    assert delete_old_runs(instance, datetime.now(UTC) + timedelta(hours=1)) == 1
    assert {run.run_id for run in instance.get_runs()} == {first, second, fourth}
    assert shown(instance) == before
    for table in ("event_logs", "asset_check_executions", "run_tags"):
        assert third not in asked(home, f"select run_id from {table}"), table


def test_of_a_run_deleted_in_the_ui_nothing_stays(home: Path, instance: dg.DagsterInstance) -> None:
    deleted = run(instance, "downs", "links")
    instance.delete_run(deleted)
    assert deleted in asked(home, "select run_id from asset_check_executions")
    delete_old_runs(instance, datetime.now(UTC) - timedelta(days=30))
    assert deleted not in asked(home, "select run_id from asset_check_executions")


def test_a_quiet_hour_hides_no_check_result(home: Path, instance: dg.DagsterInstance) -> None:
    run(instance, "downs", "links", bad="heath")
    before = shown(instance)["checks"]
    quiet = run(instance, "downs", "links", unmoved="downs heath links")
    assert shown(instance)["checks"] != before
    delete_old_runs(instance, datetime.now(UTC) - timedelta(days=30))
    assert shown(instance)["checks"] == before
    assert quiet not in asked(home, "select run_id from asset_check_executions")


def test_the_results_of_a_check_that_is_no_longer_defined_go_with_their_runs(
    home: Path, instance: dg.DagsterInstance
) -> None:
    before_renaming = run(instance, "downs", "links", check=RETIRED_CHECK)
    quiet_since = run(instance, "downs", "links")
    limit = datetime.now(UTC)
    latest = run(instance, "downs", "heath")
    delete_old_runs(instance, limit)
    assert {before_renaming, quiet_since, latest} & {run.run_id for run in instance.get_runs()} == {quiet_since, latest}
    assert asked(home, "select 1 from asset_check_executions where check_name = 'expectations_hold'") == []


def test_of_how_late_an_asset_was_the_latest_word_stays(home: Path, instance: dg.DagsterInstance) -> None:
    for state, time in ((FreshnessState.FAIL, 1.0), (FreshnessState.PASS, 2.0)):
        change = FreshnessStateChange(
            key=KEY, new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=time
        )
        instance._report_runless_asset_event(change)
    delete_old_runs(instance, datetime.now(UTC) + timedelta(hours=1))
    assert len(asked(home, "select 1 from event_logs where dagster_event_type = 'FRESHNESS_STATE_CHANGE'")) == 1
    assert instance.get_freshness_state_records([KEY])[KEY].freshness_state is FreshnessState.PASS
