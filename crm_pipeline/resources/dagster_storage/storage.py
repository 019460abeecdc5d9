"""Dagster's own tables: in the PostgreSQL that the settings name, or in the embedded one.

`dagster.yaml` names this class, so that every Dagster process finds the same database from the settings alone.
"""

from collections.abc import Mapping
from typing import Any, Self

import click
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage

from crm_pipeline.resources.dagster_storage.pool_slots import PatientEventLogStorage
from crm_pipeline.resources.dagster_storage.run_leases import LeasedRunStorage
from crm_pipeline.resources.postgres.database_check import DAGSTER_STORAGE, check_databases
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.settings import SettingError, Settings


class SettingsStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage at DAGSTER_PG_URL, else in the embedded server, started where it is not running.

    Its runs have leases, and steps wait for the slots of pools patiently.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        # The parent's own would open storages of its own first, which takes as long again.
        super(DagsterPostgresStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.postgres_url = postgres_url
        self.should_autocreate_tables = True
        self._inst_data = inst_data
        self._run_storage = LeasedRunStorage(postgres_url)
        self._event_log_storage = PatientEventLogStorage(postgres_url)
        self._schedule_storage = PostgresScheduleStorage(postgres_url)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Returns an empty schema: everything is in the settings."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Returns the storage for this process's settings.

        Raises:
            click.ClickException: a setting cannot be used; a command of Dagster's prints this one in a line.
        """
        try:
            settings = Settings.from_environment()
            check_databases(settings, DAGSTER_STORAGE)
        except SettingError as error:
            raise click.ClickException(str(error)) from None
        return cls(postgres_url=find_dagster_url(settings), inst_data=inst_data)


def find_dagster_url(settings: Settings) -> str:
    """Returns the URL of the database with Dagster's tables."""
    return settings.dagster_pg_url or start_embedded_postgres(settings.home).url("dagster")
