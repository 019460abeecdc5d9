"""The administrator, who may create roles: the embedded server's superuser, or the one the settings name."""

from sqlalchemy import Engine, NullPool, create_engine, make_url

from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.settings import SettingError, Settings


def create_administrator_engine(settings: Settings) -> Engine:
    """Returns an engine for the warehouse as its administrator.

    Raises:
        SettingError: WAREHOUSE_URL is set and WAREHOUSE_ADMIN_URL is not.
    """
    if settings.warehouse_url and not settings.warehouse_admin_url:
        raise SettingError("WAREHOUSE_ADMIN_URL is not set, and the pipeline's own role may not do this")
    url = settings.warehouse_admin_url or make_url(start_embedded_postgres(settings.home).url("postgres")).set(
        database="crm"
    )
    return create_engine(url, poolclass=NullPool, connect_args={"application_name": "crm-pipeline administrator"})
