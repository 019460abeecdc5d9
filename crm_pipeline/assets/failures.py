"""What Dagster keeps of a failed step, as its readers need it. Whom it is told, and in which words, is theirs."""

from dagster._core.execution.plan.objects import StepFailureData
from dagster_shared.error import SerializableErrorInfo


def chosen_words(failure: StepFailureData) -> str | None:
    """What the step said itself, where it chose its words."""
    chosen = failure.user_failure_data
    return chosen.description if chosen and chosen.description else None


def first_cause(error: SerializableErrorInfo | None) -> SerializableErrorInfo | None:
    """The error that all others were raised for."""
    while error and error.cause:
        error = error.cause
    return error
