"""The nightly check that compares the warehouse with the lake; the next run publishes in full what differs.

It locks all tenants meanwhile, like a run of all tenants.
"""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from crm_pipeline.defs.dagster_context import report_errors
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.warehouse.reconcile import delete_publication_states, find_differences
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.profiles import customer_profiles

RECONCILIATION_CHECK: Final = "warehouse_equals_lake"


@dg.multi_asset_check(
    name="compare_warehouse",
    description="Count and add up every tenant's rows in the warehouse and in the lake.",
    specs=[
        dg.AssetCheckSpec(
            RECONCILIATION_CHECK,
            asset=customer_profiles.name,
            description="Every published table has the rows of the lake, by their number and the sum of their hashes.",
        )
    ],
)
def compare_warehouse(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """Yields whether the warehouse equals the lake, and deletes the publication states of what differs.

    Raises: Failure naming every table and tenant that differs.
    """
    with report_errors():
        differences = find_differences(lake, warehouse)
        yield dg.AssetCheckResult(
            passed=not differences,
            check_name=RECONCILIATION_CHECK,
            asset_key=customer_profiles.name,
            metadata={"differences": len(differences)},
        )
        if not differences:
            context.log.info("the warehouse equals the lake")
            return
        delete_publication_states(warehouse, differences)
        raise dg.Failure(
            f"not as in the lake, and to be published in full by the next refresh: {'; '.join(map(str, differences))}",
            metadata={"differences": len(differences)},
            allow_retries=False,
        )
