"""Opens the lake and the warehouse that the settings name."""

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.database_check import WAREHOUSE, check_databases
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings


def open_warehouse(settings: Settings) -> Warehouse:
    """Returns the configured warehouse, or the embedded one, with a complete schema.

    The embedded server is started where it is not running.

    Raises:
        SettingError: the configured warehouse cannot be used.
    """
    check_databases(settings, WAREHOUSE)
    warehouse = Warehouse(settings.warehouse_url or start_embedded_postgres(settings.home).url("crm"))
    warehouse.migrate_schema()
    return warehouse


def open_lake(settings: Settings) -> Lake:
    """Returns the lake the settings name; it spills to `<home>/spill`."""
    return Lake(settings.lake_url, settings.home / "spill", memory=settings.memory)
