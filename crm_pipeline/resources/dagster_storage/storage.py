"""Dagster's own tables: in the PostgreSQL the settings name, or in the embedded one.

`dagster.yaml` names this class, so that every Dagster process finds the same database with no more settings than a run.
"""

from collections.abc import Mapping
from typing import Any, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.settings import Settings


class SettingsStorage(DagsterPostgresStorage):
    """dagster-postgres at DAGSTER_PG_URL, else in the embedded server, which is started where it is not running."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing to configure here: the settings say it all."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """The storage for the settings of this process."""
        return cls(postgres_url=find_dagster_url(Settings.from_environment()), inst_data=inst_data)


def find_dagster_url(settings: Settings) -> str:
    """Where Dagster's tables are."""
    return settings.dagster_pg_url or start_embedded_postgres(settings.home).url("dagster")
