"""Lake and warehouse as the settings name them."""

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse the settings name, or the embedded one, started where it is not running; its schema is complete."""
    warehouse = Warehouse(settings.warehouse_url or start_embedded_postgres(settings.home).url("crm"))
    warehouse.prepare()
    return warehouse


def open_lake(settings: Settings) -> Lake:
    """The lake the settings name."""
    return Lake(settings.lake_url, settings.home / "spill", memory=settings.memory)
