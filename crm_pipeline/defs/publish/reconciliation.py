"""The nightly proof that the warehouse equals the lake; what does not is named, and published in full by the next run.

Comparing belongs to `comparison`. The proof holds all tenants meanwhile, as a run of everything does.
"""

import dagster as dg

from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.reconcile import delete_publication_states, find_differences
from crm_pipeline.resources.warehouse.warehouse import Warehouse


@dg.op(description="Count and add up every tenant's rows in the warehouse and in the lake.")
def compare_warehouse(
    context: dg.OpExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
) -> None:
    """Raises Failure naming every table and tenant that differs."""
    found = find_differences(lake, warehouse)
    if not found:
        context.log.info("the warehouse equals the lake")
        return
    delete_publication_states(warehouse, found)
    raise dg.Failure(
        f"not as in the lake, and to be published in full by the next refresh: {'; '.join(map(str, found))}",
        metadata={"differences": len(found)},
        allow_retries=False,
    )
