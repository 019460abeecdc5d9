"""Which job runs when, by Dagster's own scheduler on a real instance, without the daemon's loop."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import dagster._daemon  # the scheduler's module cannot be imported first
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs

from crm_pipeline.defs.dagster_context import AS_OF_TAG
from crm_pipeline.defs.jobs.schedules import hourly_refresh

RANGE = {"dagster/asset_partition_range_start": "links", "dagster/asset_partition_range_end": "downs"}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that knows two tenants."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("tenants", ["links", "downs"])
        yield instance


@pytest.fixture
def location(instance: dg.DagsterInstance) -> Iterator[WorkspaceProcessContext]:
    """The definitions, loaded as a daemon sees them."""
    module = LoadableTargetOrigin(executable_path=None, module_name="crm_pipeline.definitions")
    with WorkspaceProcessContext(
        instance, InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(module))
    ) as location:
        yield location


def let_pass(location: WorkspaceProcessContext, *times: datetime) -> None:
    """Runs the scheduler at these times."""
    before: dict[str, ScheduleIterationTimes] = {}
    for at in times:
        with freeze_time(at):
            assert not [e for e in launch_scheduled_runs(location, logging.getLogger("daemon"), at, before) if e]


def runs_asked_for(location: WorkspaceProcessContext, *times: datetime) -> list[tuple[str, datetime]]:
    """Returns job and hour of every run, after the scheduler ran at these times."""
    let_pass(location, *times)
    runs = location.instance.get_runs(ascending=True)
    return [(run.job_name, datetime.fromisoformat(run.tags[AS_OF_TAG])) for run in runs]


def test_five_missed_hours_are_made_up_by_one_run_as_of_the_last_of_them(location: WorkspaceProcessContext) -> None:
    started = datetime(2026, 3, 31, 7, 59, tzinfo=UTC)
    back = started + timedelta(hours=5, minutes=41)
    expected = [("refresh", datetime(2026, 3, 31, 13, tzinfo=UTC))]
    assert runs_asked_for(location, started, back, back + timedelta(minutes=1)) == expected
    (run,) = location.instance.get_runs()
    assert {key: value for key, value in run.tags.items() if key in RANGE} == RANGE


def test_every_tick_is_as_of_itself_and_no_two_are_at_once(location: WorkspaceProcessContext) -> None:
    """In the night to Sunday, when every job runs."""
    night = datetime(2026, 4, 5, tzinfo=UTC)
    ticks = {
        "01:30": "people_retention",
        "02:00": "refresh",
        "02:10": "purge_history",
        "02:30": "lake_upkeep",
        "03:00": "refresh",
        "03:20": "reconcile",
        "04:00": "refresh",
        "04:30": "fit_churn",
    }
    expected = [(job, datetime.combine(night, time.fromisoformat(at), UTC)) for at, job in ticks.items()]
    assert runs_asked_for(location, night + timedelta(hours=1, minutes=1), *(at for _, at in expected)) == expected


@pytest.mark.parametrize(
    ("done", "status", "skipped"),
    [
        ("2026-03-31T11:00:00+00:00", dg.DagsterRunStatus.SUCCESS, False),
        ("2026-03-31T12:00:00+00:00", dg.DagsterRunStatus.SUCCESS, False),
        ("2026-03-31T12:00:30+00:00", dg.DagsterRunStatus.SUCCESS, True),
        (None, dg.DagsterRunStatus.SUCCESS, True),
        ("2026-03-31T12:00:30+00:00", dg.DagsterRunStatus.FAILURE, False),
    ],
    ids=["earlier", "same", "later", "by hand, of the time it was made", "later but failed"],
)
def test_a_tick_that_comes_after_a_later_refresh_is_skipped(
    instance: dg.DagsterInstance, done: str | None, status: dg.DagsterRunStatus, *, skipped: bool
) -> None:
    instance.add_run(dg.DagsterRun(job_name="refresh", status=status, tags={AS_OF_TAG: done} if done else {}))
    noon = datetime(2026, 3, 31, 12, tzinfo=UTC)
    asked = hourly_refresh(dg.build_schedule_context(instance=instance, scheduled_execution_time=noon))
    assert isinstance(asked, dg.SkipReason if skipped else dg.RunRequest)


def test_nothing_is_asked_for_while_no_tenant_is_known(instance: dg.DagsterInstance) -> None:
    for tenant in ("links", "downs"):
        instance.delete_dynamic_partition("tenants", tenant)
    assert isinstance(hourly_refresh(dg.build_schedule_context(instance=instance)), dg.SkipReason)
