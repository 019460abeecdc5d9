"""The cost of full and of incremental refreshes, learned per asset from the large ones of the past.

A full refresh costs time per source row of a tenant, an incremental one per changed row. Their ratio is the share of
changed rows above which a full refresh takes less time.
"""

from typing import Final

from crm_pipeline.run_context import RunContext
from crm_pipeline.tables.outputs import operations

FIRST_GUESS: Final = 0.02
"""The share where nothing was measured, as found on two cores with a million people."""
MIN_SHARE, MAX_SHARE = FIRST_GUESS / 4, FIRST_GUESS * 4
"""The range of what is learned: one slow hour must not decide all later ones."""
MIN_SOURCE_ROWS: Final = 100_000
"""The least source rows of a measured refresh: of fewer, what a step costs whatever its size outweighs them.

For the same reason an incremental refresh is measured only where at least MIN_SHARE of them changed.
"""


def find_full_refresh_share(run: RunContext, asset: str) -> float:
    """Returns the share of a tenant's source rows above which a full refresh of the asset takes less time."""
    stored_view = run.lake.create_current_view(run.con, operations.refresh_costs, name="stored_costs")
    query = f"""
        select median(seconds / rows) filter (is_full) / median(seconds / rows) filter (not is_full)
        from {stored_view} where asset = $asset"""
    [(share,)] = run.con.execute(query, {"asset": asset}).fetchall()
    return FIRST_GUESS if share is None else min(max(share, MIN_SHARE), MAX_SHARE)


def store_refresh_cost(run: RunContext, asset: str, source_rows: int, computed_rows: int, seconds: float) -> None:
    """Stores what a refresh of the run's tenants took, if enough of their source rows were computed.

    It is stored for the first tenant alone, so that runs of other tenants can store theirs at the same time.
    """
    if not run.tenants or source_rows < MIN_SOURCE_ROWS or computed_rows < MIN_SHARE * source_rows:
        return
    is_full = not run.only_required
    run.con.execute(
        """create or replace temp table new_cost as
        select $tenant as tenant_id, $asset as asset, $is_full as is_full, $rows as rows, $seconds as seconds""",
        {"tenant": run.tenants[0], "asset": asset, "is_full": is_full, "rows": computed_rows, "seconds": seconds},
    )
    run.replace(operations.refresh_costs, "new_cost", run.tenants[:1], f"asset = '{asset}' and is_full = {is_full}")
