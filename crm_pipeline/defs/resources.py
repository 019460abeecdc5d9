"""The resources of a run, made from the settings when a run starts and not before."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import tenants_of_run
from crm_pipeline.resources.connections import lake_of, warehouse_of
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.privacy import schema
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings


def resources_of(settings: Settings) -> dict[str, Any]:
    """Every resource by the name assets ask for it."""

    @dg.resource(required_resource_keys={"warehouse"}, description="Keeps other runs off this run's tenants.")
    def tenant_lock(context: dg.InitResourceContext) -> Iterator[None]:
        run = context.run
        if run is None or context.log is None:
            raise dg.DagsterInvariantViolationError("tenants are held for a run, and there is none")
        tenants = tenants_of_run(run, context.instance) if context.instance else None
        with hold_tenants(context.resources.warehouse, run.run_id, tenants, context.log.info):
            yield

    @dg.resource(description="PostgreSQL, schema crm.")
    def warehouse(_: dg.InitResourceContext) -> Warehouse:
        return warehouse_of(settings)

    @dg.resource(required_resource_keys={"tenant_lock", "warehouse"}, description="Change logs in Delta Lake.")
    def lake(context: dg.InitResourceContext) -> Lake:
        made = lake_of(settings)
        schema.restore(made, context.resources.warehouse.engine())
        return made

    return {
        "settings": settings,
        "sources": Sources(settings.sources),
        "lake": lake,
        "warehouse": warehouse,
        "tenant_lock": tenant_lock,
    }
