"""How a run looks in a terminal: one line as each step ends, and what assets themselves have to say."""

import logging
import sys

import dagster as dg
from dagster import DagsterEvent, DagsterEventType


class ProgressHandler(logging.Handler):
    """Prints the steps' ends and the pipeline's own messages; Dagster's bookkeeping stays in the UI."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the line a record is worth, if any."""
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event") if isinstance(meta, dict) else None
        line = _format_event(event) if event else _format_message(record, meta)
        if line:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


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
    said = str(meta.get("orig_message", ""))
    return f"    {said}" if record.levelno >= logging.WARNING or said.startswith("waiting") else None


@dg.logger
def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """A logger for terminals."""
    logger = logging.Logger("crm_pipeline.progress", logging.DEBUG)  # noqa: LOG001  it ends with the run
    logger.addHandler(ProgressHandler())
    return logger
