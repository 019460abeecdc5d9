"""After one refresh in which a club failed, one was closed and a service was away: who is left behind, who is told."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor
from dagster._core.definitions.sensor_definition import SensorExecutionData

from crm_pipeline.cli.options import override_environment
from crm_pipeline.definitions import build_defs
from crm_pipeline.defs.jobs.alerts import Alert, run_failed, run_incomplete
from crm_pipeline.defs.jobs.refresh_failed import (
    find_tenants_missing_service,
    find_unpublished_tenants,
    request_stale_refreshes,
)
from crm_pipeline.resources.connections import open_warehouse
from crm_pipeline.resources.dagster_storage.instance import open_instance
from crm_pipeline.settings import Settings
from crm_pipeline_tests.fixtures.homes.homes import copied
from crm_pipeline_tests.fixtures.homes.runs import FYNBOS, HEATHER, SAGUARO, mend
from crm_pipeline_tests.fixtures.homes.support import SAMPLE, clean_environment, refresh

NOTIFIER = f"{__name__}:remember"
TOLD: list[Alert] = []


def remember(alert: Alert) -> None:
    """A notifier."""
    TOLD.append(alert)


def refuse(alert: Alert) -> None:
    """A notifier whose error holds its secret."""
    raise RuntimeError(f"https://chat.example/hooks/t0ken refused {alert.run_id}")


@pytest.fixture(scope="module")
def home(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample, refreshed once without trouble."""
    with copied(first_run, tmp_path_factory.mktemp("left") / "home") as home:
        yield home


@pytest.fixture
def settings(home: Path) -> Iterator[Settings]:
    """Its settings, with a notifier that remembers."""
    TOLD.clear()
    with clean_environment(CRM_PIPELINE_NOTIFY=NOTIFIER):
        yield override_environment(home)


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as instance:
        yield instance


@pytest.fixture(scope="module")
def hour_of_trouble(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An hour later Heather Moor's own row is wrong, Saguaro Ridge is closed, and TeeTime is away."""
    services = Path(shutil.copytree(SAMPLE, tmp_path_factory.mktemp("services") / "services"))
    mend(services / "crm" / "Tenant.csv", "Europe/London", "Europe/Lundun")
    mend(services / "crm" / "Tenant.csv", "America/Phoenix,ACTIVE", "America/Phoenix,CLOSED")
    shutil.rmtree(services / "teetime")
    assert len(refresh(home, services, as_of="2026-03-31T13:00:00Z").failures) == 2


def ranges_asked_for(instance: dg.DagsterInstance, settings: Settings) -> list[tuple[str, str]]:
    """Launch job refresh_failed as the UI does, then let its sensor look: first and last tenant of each run."""
    job = build_defs(settings).resolve_job_def("refresh_failed")
    assert job.execute_in_process(instance=instance).success
    asked = look(request_stale_refreshes, instance, settings, latest_only=True).run_requests or []
    return [
        (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"])
        for tags in (request.tags for request in asked)
    ]


def look(
    sensor: dg.SensorDefinition,
    instance: dg.DagsterInstance,
    settings: Settings,
    cursor: str | None = None,
    *,
    latest_only: bool = False,
) -> SensorExecutionData:
    """One tick of a sensor that has seen nothing yet, or all up to the cursor, or all but the latest run."""
    after = 0
    if latest_only:
        ends = instance.fetch_run_status_changes(dg.DagsterEventType.PIPELINE_SUCCESS, limit=2).records
        after = ends[1].storage_id
    start = cursor or RunStatusSensorCursor(record_id=after).to_json()  # type: ignore[no-untyped-call]
    context = dg.build_sensor_context(instance, start, resources={"settings": settings})
    return sensor.evaluate_tick(context)


def test_nothing_failed(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert ranges_asked_for(instance, settings) == []
    assert look(run_failed, instance, settings).dagster_run_reactions == []
    look(run_incomplete, instance, settings)
    assert TOLD == []


def test_a_materialisation_says_what_publishing_the_club_took(instance: dg.DagsterInstance) -> None:
    """Everything was new: its rows are in the WAL, and more than they, for their indexes."""
    club = dg.AssetRecordsFilter(dg.AssetKey("customer_timeline"), asset_partitions=[FYNBOS])
    (first,) = instance.fetch_materializations(club, limit=1).records
    assert first.asset_materialization is not None
    metadata = {name: entry.value for name, entry in first.asset_materialization.metadata.items()}
    assert isinstance(rows := metadata["rows_added"], int)
    assert isinstance(wal_bytes := metadata["publish_wal_bytes"], int)
    assert isinstance(seconds := metadata["publish_seconds"], float)
    assert rows * 100 < wal_bytes < rows * 10_000
    assert seconds > 0


@pytest.mark.usefixtures("hour_of_trouble")
def test_left_behind_is_who_failed_and_who_lacks_a_service(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Neither is the closed club, though it was part of the run that failed."""
    assert find_unpublished_tenants(instance) == {HEATHER}
    assert find_tenants_missing_service(open_warehouse(settings)) == {FYNBOS}
    known = instance.get_dynamic_partitions("tenants")
    assert known == [FYNBOS, HEATHER, SAGUARO]
    assert ranges_asked_for(instance, settings) == [(FYNBOS, HEATHER)]


@pytest.mark.usefixtures("hour_of_trouble")
def test_the_notifier_is_told_once_who_was_not_published_and_what_was_not_read(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    tick = look(run_failed, instance, settings)
    (alert,) = TOLD
    assert (alert.job, alert.as_of) == ("refresh", "2026-03-31T13:00:00+00:00")
    assert alert.tenants == [HEATHER]
    published, teetime = alert.reasons
    assert published.endswith(f"data kept: {HEATHER} (its Tenant row is wrong: timezone:INVALID_SETTING)")
    assert teetime.startswith("teetime_snapshot: TEETIME: ")
    look(run_failed, instance, settings, tick.cursor)
    assert len(TOLD) == 1


@pytest.mark.usefixtures("hour_of_trouble")
def test_a_notifier_that_raises_fails_its_tick_by_name_and_is_not_called_again(
    settings: Settings, instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    with clean_environment(CRM_PIPELINE_NOTIFY=f"{__name__}:refuse"):
        refusing = override_environment(settings.home)
    tick = look(run_failed, instance, refusing)
    (reaction,) = tick.dagster_run_reactions or ()
    assert reaction.error is not None
    assert f"{__name__}:refuse raised RuntimeError" in reaction.error.to_string()
    assert "t0ken" not in reaction.error.to_string()
    assert HEATHER in capfd.readouterr().err
    assert look(run_failed, instance, refusing, tick.cursor).dagster_run_reactions == []
