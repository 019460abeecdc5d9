"""Dagster's own storage: where it is, the instance on it, and the purge that keeps it to a size."""

from crm_pipeline.resources.dagster_storage.storage import SettingsStorage

__all__ = ["SettingsStorage"]
