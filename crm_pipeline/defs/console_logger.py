"""The log of a run in a terminal: a line as each step starts and ends, and the warnings of the assets."""

import logging

import dagster as dg
from dagster import DagsterEvent, DagsterEventType

from crm_pipeline.defs.progress_lines import PROGRESS_LINES
from crm_pipeline.domain.ingest.tenant_validation import escape_invisible_characters


class ProgressHandler(logging.Handler):
    """A handler that prints the starts and ends of steps and the pipeline's own messages; the rest is in the UI."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the line of a record, if it has one."""
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event") if isinstance(meta, dict) else None
        line = _format_event(event) if event else _format_message(record, meta)
        if line:
            PROGRESS_LINES.write(line)


def _format_event(event: DagsterEvent) -> str | None:
    match event.event_type:
        case DagsterEventType.STEP_START:
            return f"  … {event.step_key}"
        case DagsterEventType.STEP_SUCCESS:
            return f"  ✓ {event.step_key} ({event.step_success_data.duration_ms / 1000:.1f} s)"
        case DagsterEventType.STEP_FAILURE:
            return f"  ✗ {event.step_key}"
    return None


def _format_message(record: logging.LogRecord, meta: dict[str, str]) -> str | None:
    message = str(meta.get("orig_message", ""))
    return (
        f"    {escape_invisible_characters(message)}"
        if record.levelno >= logging.WARNING or message.startswith("waiting")
        else None
    )


@dg.logger
def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """Returns a logger for terminals."""
    logger = logging.Logger("crm_pipeline.progress", logging.DEBUG)  # noqa: LOG001  it ends with the run
    logger.addHandler(ProgressHandler())
    return logger
