"""`Alert`, which notifiers are called with, where installations import it from."""

from crm_pipeline.defs.jobs.alerts import Alert

__all__ = ["Alert"]
