"""All definitions that Dagster loads: those under `defs`, with their resources, executor and logger."""

from functools import cache
from pathlib import Path

import dagster as dg

from crm_pipeline.defs.console_logger import progress_logger
from crm_pipeline.defs.resources import build_resources
from crm_pipeline.resources.home import close_home
from crm_pipeline.settings import Settings


def build_defs(settings: Settings) -> dg.Definitions:
    """Returns the definitions for these settings."""
    return dg.Definitions.merge(
        _load_folder(),
        dg.Definitions(
            resources=build_resources(settings),
            executor=dg.in_process_executor,
            loggers={"console": progress_logger},
        ),
    )


@cache
def _load_folder() -> dg.Definitions:
    """Returns what `defs` declares, which depends on no setting; a command-line run builds definitions twice."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__))


_settings = Settings.from_environment()
close_home(_settings)
defs = build_defs(_settings)
