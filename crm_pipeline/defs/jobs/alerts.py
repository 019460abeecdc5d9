"""Alerts: a run that failed, or that succeeded without a service or with a check that did not hold.

An alert names jobs, tenants, services and columns; no person, and no secret. Of an error raised by other code it gives
the class name only, since such a message may quote the row that caused it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from crm_pipeline.defs.dagster_context import AS_OF_TAG, list_run_tenants
from crm_pipeline.defs.jobs.asset_jobs import refresh
from crm_pipeline.defs.publish.materializations import UNPUBLISHED_KEY
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters
from crm_pipeline.settings import Settings

MAX_LISTED_REASONS = 10


@dataclass(frozen=True)
class Alert:
    """A run that somebody should look at."""

    job: str
    run_id: str
    as_of: str
    tenants: Sequence[str] | None
    """The tenants that were not published, else all of the run; None for every tenant."""
    reasons: Sequence[str]

    @property
    def text(self) -> str:
        """Returns the message of the alert, on one line."""
        tenants = (
            "every tenant"
            if self.tenants is None
            else _format_short_list([escape_invisible_characters(tenant) for tenant in self.tenants])
        )
        reasons = [escape_invisible_characters(reason) for reason in self.reasons]
        return f"{self.job} as of {self.as_of}, {tenants}: {_format_short_list(reasons, '; ')} (run {self.run_id})"


class NotifierError(Exception):
    """The notifier of CRM_PIPELINE_NOTIFY cannot be found or raised an error, whose text may hold its secrets."""


@dg.run_failure_sensor(
    name="run_failed",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts on every run that fails, including those whose process died.",
)
def run_failed(context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """Sends an alert with the messages of the failed steps; without any, with Dagster's message."""
    failures = {str(event.step_key): event for event in context.get_step_failure_events()}
    messages = [f"{step}: {describe_step_failure(failure)}" for step, failure in failures.items()] or [
        describe_run_failure(context.failure_event)
    ]
    unpublished = [tenant for failure in failures.values() for tenant in _list_unpublished_tenants(failure)]
    _send_alert(
        context, settings, [*messages, *list_failed_checks(context.instance, context.dagster_run.run_id)], unpublished
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="run_incomplete",
    monitored_jobs=[refresh],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts on a refresh that succeeded without a service, or with a failed check.",
)
def run_incomplete(context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """Sends an alert where a check of the whole run failed."""
    if checks := list_failed_checks(context.instance, context.dagster_run.run_id):
        _send_alert(context, settings, checks)


def list_failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Returns the failed checks of the whole run, without warnings; those that block are reasons of the failure."""
    failed = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        result = entry.get_dagster_event().asset_check_evaluation_data
        is_error = not result.passed and result.severity is dg.AssetCheckSeverity.ERROR and not result.blocking
        if is_error and result.partition is None:
            reason = result.metadata.get("reason")
            failed.append(
                f"{result.asset_key.to_user_string()}: {reason.value if reason else f'{result.check_name} failed'}"
            )
    return failed


def _send_alert(
    context: dg.RunStatusSensorContext,
    settings: Settings,
    reasons: Sequence[str],
    unpublished: Sequence[str] = (),
) -> None:
    dagster_run = context.dagster_run
    record = context.instance.get_run_record_by_id(dagster_run.run_id)
    created_at = record.create_timestamp.isoformat(timespec="seconds") if record else "an unknown hour"
    tenants = unpublished or list_run_tenants(dagster_run, context.instance)
    as_of = dagster_run.tags.get(AS_OF_TAG, created_at)
    alert = Alert(dagster_run.job_name, dagster_run.run_id, as_of, tenants, reasons)
    context.log.error(alert.text)
    if settings.notify:
        _call_notifier(settings.notify, alert)


def _call_notifier(path: str, alert: Alert) -> None:
    """Calls the notifier. Its failure fails the sensor's tick once; the run is not reported again."""
    try:
        load_notifier(path)(alert)
    except Exception as error:  # noqa: BLE001  the notifier is code of the installation
        raise NotifierError(
            f"{path} raised {type(error).__name__}; {alert.job}'s failure is in this tick's log"
        ) from None


def load_notifier(path: str) -> Callable[[Alert], Any]:
    """Returns the function that `module:function` names."""
    module, _, function = path.partition(":")
    notifier: Callable[[Alert], Any] = getattr(import_module(module), function)
    return notifier


def describe_step_failure(event: dg.DagsterEvent) -> str:
    """Returns the description of the step's own Failure, else the class of its error."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    return _describe_first_cause(failure.error)[1]


def describe_run_failure(event: dg.DagsterEvent) -> str:
    """Returns what a Failure says that ended a run outside its steps; else Dagster's first line, and the error's class.

    More lines of Dagster's may quote a worker's output.
    """
    error = getattr(event.event_specific_data, "error", None)
    first_line = (event.message or "failed").splitlines()[0]
    if error is None:
        return first_line
    is_ours, cause = _describe_first_cause(error)
    return cause if is_ours else f"{first_line} {cause}"


def _describe_first_cause(error: SerializableErrorInfo | None) -> tuple[bool, str]:
    """Returns whether a Failure caused all the other errors, and what it says; of any other error the class."""
    while error and error.cause:
        error = error.cause
    if error and error.cls_name == dg.Failure.__name__:
        return True, error.message.partition(": ")[2].strip()
    return False, (error.cls_name if error else None) or "an error without a name"


def _list_unpublished_tenants(event: dg.DagsterEvent) -> Sequence[str]:
    failure = event.step_failure_data
    reasons = failure.user_failure_data.metadata.get(UNPUBLISHED_KEY) if failure.user_failure_data else None
    if isinstance(reasons, dg.JsonMetadataValue) and isinstance(reasons.value, dict):
        return sorted(reasons.value)
    return []


def _format_short_list(words: Sequence[str], separator: str = ", ") -> str:
    more = f"{separator}and {len(words) - MAX_LISTED_REASONS} more" if len(words) > MAX_LISTED_REASONS else ""
    return separator.join(words[:MAX_LISTED_REASONS]) + more
