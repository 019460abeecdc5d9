"""Dagster's own storage: its database, the instance that uses it, and the purge that limits its size."""

from crm_pipeline.resources.dagster_storage.storage import SettingsStorage

__all__ = ["SettingsStorage"]
