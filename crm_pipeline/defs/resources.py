"""The resources of a run, made from the settings when a run starts and not before."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import list_run_tenants
from crm_pipeline.resources.connections import open_lake, open_warehouse
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy import schema
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings


def build_resources(settings: Settings) -> dict[str, Any]:
    """Every resource by the name assets ask for it."""

    @dg.resource(required_resource_keys={"warehouse"}, description="Keeps other runs off this run's tenants.")
    def tenant_lock(context: dg.InitResourceContext) -> Iterator[None]:
        run = context.run
        if run is None or context.log is None:
            raise dg.DagsterInvariantViolationError("tenants are held for a run, and there is none")
        tenants = list_run_tenants(run, context.instance) if context.instance else None
        with hold_tenants(context.resources.warehouse, run.run_id, tenants, context.log.info):
            yield

    @dg.resource(description="PostgreSQL, schema crm.")
    def warehouse(_: dg.InitResourceContext) -> Warehouse:
        return open_warehouse(settings)

    @dg.resource(required_resource_keys={"tenant_lock", "warehouse"}, description="Change logs in Delta Lake.")
    def lake(context: dg.InitResourceContext) -> Lake:
        made = open_lake(settings)
        schema.restore_tombstones(made, context.resources.warehouse.engine())
        return made

    return {
        "settings": settings,
        "sources": Sources(settings.sources),
        "lake": lake,
        "warehouse": warehouse,
        "tenant_lock": tenant_lock,
    }
