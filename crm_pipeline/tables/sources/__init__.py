"""Source tables of all services. Importing the folder declares all of them."""

from crm_pipeline.tables.sources import crm, messaging, scl, teetime

__all__ = ["crm", "messaging", "scl", "teetime"]
