"""The services as external assets: what every snapshot is read from. Nothing here materializes them."""

import warnings
from types import ModuleType
from typing import Final

import dagster as dg

from crm_pipeline.defs.metadata import build_columns_metadata
from crm_pipeline.tables import list_source_tables
from crm_pipeline.tables.sources import crm, messaging, scl, teetime
from crm_pipeline.vocabulary import Service

SOURCES_GROUP: Final = "sources"
DECLARING_MODULES: Final = {
    Service.SCL: scl,
    Service.TEETIME: teetime,
    Service.MESSAGING: messaging,
    Service.CRM: crm,
}


def build_source_key(service: Service) -> dg.AssetKey:
    """Returns the key of the service's external asset."""
    return dg.AssetKey([SOURCES_GROUP, service.lower()])


def _build_source_spec(service: Service, module: ModuleType) -> dg.AssetSpec:
    tables = list_source_tables(service)
    return dg.AssetSpec(
        build_source_key(service),
        group_name=SOURCES_GROUP,
        kinds={"postgres", "csv"},
        owners=["team:data"],
        tags={"service": service.lower()},
        description=f"{service} itself: {', '.join(table.name for table in tables)}. A database, or a folder of files.",
        metadata={
            **build_columns_metadata(*tables),
            "dagster/code_references": _build_code_reference(module),
        },
    )


def _build_code_reference(module: ModuleType) -> dg.CodeReferencesMetadataValue:
    """Returns a link to the module that declares the service's tables."""
    with warnings.catch_warnings():
        # References to code are a beta feature of Dagster.
        warnings.simplefilter("ignore", dg.BetaWarning)
        file = dg.LocalFileCodeReference(file_path=str(module.__file__), line_number=1)
        return dg.CodeReferencesMetadataValue(code_references=[file])


source_specs = [_build_source_spec(service, module) for service, module in DECLARING_MODULES.items()]
