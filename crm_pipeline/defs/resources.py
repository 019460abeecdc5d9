"""The resources of a run, created from the settings when a run starts."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from crm_pipeline.defs.dagster_context import list_run_tenants, report_errors
from crm_pipeline.resources.connections import open_lake, open_warehouse
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.lake.lake_lock import hold_lake
from crm_pipeline.resources.lake.table_register import register_tables, require_registered_tables
from crm_pipeline.resources.privacy import schema as privacy_schema
from crm_pipeline.resources.sources.sources import Sources
from crm_pipeline.resources.warehouse.bi_limits import MAX_TRANSACTION_MINUTES, end_long_transactions
from crm_pipeline.resources.warehouse.run_lock import hold_tenants
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.settings import Settings


def build_resources(settings: Settings) -> dict[str, Any]:
    """Returns every resource by the name that assets use."""

    @dg.resource(required_resource_keys={"warehouse"}, description="Keeps other runs off this run's tenants.")
    def tenant_lock(context: dg.InitResourceContext) -> Iterator[None]:
        dagster_run = context.run
        if dagster_run is None or context.log is None:
            raise dg.DagsterInvariantViolationError("tenants are held for a run, and there is none")
        tenants = list_run_tenants(dagster_run, context.instance) if context.instance else None
        run_id, log = dagster_run.run_id, context.log.info
        with (
            report_errors(),
            hold_tenants(context.resources.warehouse, run_id, tenants, log),
            hold_lake(open_lake(settings), f"crm-pipeline run {run_id[:8]}", tenants, log),
        ):
            yield

    @dg.resource(description="PostgreSQL, schema crm.")
    @report_errors()
    def warehouse(context: dg.InitResourceContext) -> Warehouse:
        new_warehouse = open_warehouse(settings)
        with new_warehouse.engine().begin() as connection:
            ended = end_long_transactions(connection)
        if ended and context.log:
            context.log.warning(
                "%d BI sessions were ended: a transaction of theirs was older than %d minutes",
                ended,
                MAX_TRANSACTION_MINUTES,
            )
        return new_warehouse

    @dg.resource(required_resource_keys={"tenant_lock", "warehouse"}, description="Change logs in Delta Lake.")
    def lake(context: dg.InitResourceContext) -> Iterator[Lake]:
        with report_errors():
            new_lake = open_lake(settings)
            require_registered_tables(new_lake)
            privacy_schema.restore_tombstones(new_lake, context.resources.warehouse.engine())
            yield new_lake
            register_tables(new_lake)

    return {
        "settings": settings,
        "sources": Sources(settings.sources),
        "lake": lake,
        "warehouse": warehouse,
        "tenant_lock": tenant_lock,
    }
