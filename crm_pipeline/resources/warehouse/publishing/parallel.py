"""Parallel publication of many tenants over several connections, because rows wait for the server and its disk.

Tenants whose rows must all be read from the lake share few of them: there is only one connection to the lake.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final

from crm_pipeline.faults import describe_error
from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.warehouse.publishing.publisher import PendingRows, Publisher, PublishError
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingByTenant

PublishOutcome = dict[str, ChangeCounts] | PublishError
MAX_CONNECTIONS: Final = 8
MAX_READERS: Final = 2
"""Connections with tenants whose rows are all read: one reads while the other's are written and indexed."""
MIN_ROWS_PER_CONNECTION: Final = 1_000
"""Minimum of changed rows per connection: opening one and its temp tables costs as much as publishing fewer."""


def publish_parallel(publisher: Publisher, pending: PendingByTenant) -> Generator[tuple[str, PublishOutcome]]:
    """Yields each tenant with its change counts per table, or with the error that kept it from being published."""
    *batches, own_batch = _balance_tenants(pending)
    with ExitStack() as stack:
        waiting: list[tuple[str, Future[PublishOutcome]]] = []
        for batch in batches:
            clone, pool = stack.enter_context(closing(publisher.clone())), ThreadPoolExecutor(1)
            stack.callback(pool.shutdown, cancel_futures=True)
            clone.load_pending_rows(batch)
            waiting += [(tenant, pool.submit(_publish_tenant, clone, tenant, rows)) for tenant, rows in batch.items()]
        publisher.load_pending_rows(own_batch)
        yield from ((tenant, _publish_tenant(publisher, tenant, rows)) for tenant, rows in own_batch.items())
        yield from ((tenant, future.result()) for tenant, future in waiting)


def _balance_tenants(pending: PendingByTenant) -> Sequence[PendingByTenant]:
    """Returns a batch per connection with about equally many rows to write.

    The last `MAX_READERS` batches also have the tenants with a table that is read in full.
    """
    row_counts = {tenant: sum(table_rows.row_count for table_rows in rows) for tenant, rows in pending.items()}
    loads = [0] * max(1, min(MAX_CONNECTIONS, 1 + sum(row_counts.values()) // MIN_ROWS_PER_CONNECTION))
    batches: list[dict[str, Sequence[PendingRows]]] = [{} for _ in loads]
    for tenant in sorted(pending, key=lambda tenant: (-row_counts[tenant], tenant)):
        is_read_in_full = not all(table_rows.changes_relation for table_rows in pending[tenant])
        first = max(0, len(loads) - MAX_READERS) if is_read_in_full else 0
        position = loads.index(min(loads[first:]), first)
        batches[position][tenant] = pending[tenant]
        loads[position] += row_counts[tenant]
    return [batch for batch in batches[:-1] if batch] + batches[-1:]


def _publish_tenant(publisher: Publisher, tenant: str, rows: Sequence[PendingRows]) -> PublishOutcome:
    try:
        return publisher.publish(tenant, rows)
    except PublishError as error:
        return error
    except Exception as error:  # noqa: BLE001  whatever it is, it is returned, and named for this tenant alone
        return PublishError(f"{tenant}: {describe_error(error)}")
