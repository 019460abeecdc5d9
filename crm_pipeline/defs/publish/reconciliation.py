"""The nightly op that compares the warehouse with the lake; the next run publishes in full what differs.

It locks all tenants meanwhile, like a run of all tenants.
"""

import dagster as dg

from crm_pipeline.defs.dagster_context import report_errors
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.reconcile import delete_publication_states, find_differences
from crm_pipeline.resources.warehouse.warehouse import Warehouse


@dg.op(description="Count and add up every tenant's rows in the warehouse and in the lake.")
@report_errors()
def compare_warehouse(
    context: dg.OpExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
) -> None:
    """Compares the warehouse with the lake, and deletes the publication states of what differs.

    Raises: Failure naming every table and tenant that differs.
    """
    differences = find_differences(lake, warehouse)
    if not differences:
        context.log.info("the warehouse equals the lake")
        return
    delete_publication_states(warehouse, differences)
    raise dg.Failure(
        f"not as in the lake, and to be published in full by the next refresh: {'; '.join(map(str, differences))}",
        metadata={"differences": len(differences)},
        allow_retries=False,
    )
