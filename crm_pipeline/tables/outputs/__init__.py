"""Output tables: schema `crm` and tables of the lake alone. Importing the folder declares all of them."""

from crm_pipeline.tables.outputs import churn, identity, operations, privacy, profiles, timeline

__all__ = ["churn", "identity", "operations", "privacy", "profiles", "timeline"]
