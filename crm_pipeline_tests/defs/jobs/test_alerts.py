"""Alerts of runs whose worker died or whose error quotes a person, and how an alert is written."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor

from crm_pipeline.defs.dagster_context import AS_OF_TAG, build_range_tags
from crm_pipeline.defs.jobs.alerts import MAX_LISTED_REASONS, Alert, load_notifier, run_failed
from crm_pipeline.settings import SettingError, Settings
from crm_pipeline_tests.fixtures.homes.support import clean_environment

SENT_ALERTS: list[Alert] = []


def remember(alert: Alert) -> None:
    """A notifier that stores its alerts in `SENT_ALERTS`."""
    SENT_ALERTS.append(alert)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    SENT_ALERTS.clear()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("tenants", ["links", "downs", "heath"])
        yield instance


def read_alert(instance: dg.DagsterInstance) -> Alert:
    """Returns the one alert of the sensor's first tick after the run."""
    with clean_environment(CRM_PIPELINE_NOTIFY=f"{__name__}:remember"):
        settings = Settings.from_environment()
    cursor = RunStatusSensorCursor(record_id=0).to_json()  # type: ignore[no-untyped-call]
    run_failed.evaluate_tick(dg.build_sensor_context(instance, cursor, resources={"settings": settings}))
    (alert,) = SENT_ALERTS
    return alert


def test_a_run_whose_worker_died_is_reported(instance: dg.DagsterInstance) -> None:
    tags = {AS_OF_TAG: "2026-03-31T13:00:00+00:00", **build_range_tags(["links", "downs"])}
    run = instance.add_run(dg.DagsterRun(job_name="refresh", status=dg.DagsterRunStatus.STARTED, tags=tags))
    instance.report_run_failed(run, "Run worker exited with code -9.\nlast words of the pod: jean@example.org")
    alert = read_alert(instance)
    assert alert.tenants == ["links", "downs"]
    assert alert.text == (
        f"refresh as of 2026-03-31T13:00:00+00:00, links, downs: Run worker exited with code -9. (run {run.run_id})"
    )


def test_of_an_error_of_other_code_only_the_class_is_reported(instance: dg.DagsterInstance) -> None:
    @dg.op
    def quote() -> None:
        raise ValueError("no row for jean@example.org") from KeyError("jean@example.org")

    @dg.job
    def careless() -> None:
        quote()

    assert not careless.execute_in_process(instance=instance, raise_on_error=False).success
    alert = read_alert(instance)
    assert (alert.tenants, alert.reasons) == (None, ["quote: KeyError"])


def test_a_club_is_named_on_one_line() -> None:
    assert "noon, a\\nb, a\\rb: why (" in Alert("refresh", "1", "noon", ["a\nb", "a\rb"], ["why"]).text


def test_a_long_list_is_cut() -> None:
    tenants = [f"club-{n}" for n in range(MAX_LISTED_REASONS + 5)]
    text = Alert("refresh", "1", "noon", tenants, [f"{tenant} (why)" for tenant in tenants]).text
    assert "club-9, and 5 more: club-0 (why)" in text
    assert "club-10" not in text


@pytest.mark.parametrize("path", ["slack", "slack:", ":send"])
def test_a_notifier_that_is_none_is_refused(path: str) -> None:
    with clean_environment(CRM_PIPELINE_NOTIFY=path), pytest.raises(SettingError, match="CRM_PIPELINE_NOTIFY: "):
        Settings.from_environment()


def test_a_notifier_is_a_module_and_a_function() -> None:
    assert load_notifier(f"{__name__}:remember") is remember
