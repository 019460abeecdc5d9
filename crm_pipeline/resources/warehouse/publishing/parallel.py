"""Many tenants published at a time, over several connections: changed rows lie anywhere, and each waits for a disk.

Only what was sent ahead is, since all else is read from the lake meanwhile, over the one connection there is to it.
Publishing a tenant belongs to `publisher`.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final

from crm_pipeline.resources.lake.lake import ChangeCounts
from crm_pipeline.resources.warehouse.publishing.publisher import PendingRows, Publisher, PublishError
from crm_pipeline.resources.warehouse.publishing.table_publication import PendingByTenant

PublishOutcome = dict[str, ChangeCounts] | PublishError
MAX_CONNECTIONS: Final = 8
MIN_ROWS_PER_CONNECTION: Final = 1_000
"""Changed rows; a connection and its temporary tables cost as much as publishing fewer."""


def publish_parallel(publisher: Publisher, due: PendingByTenant) -> Generator[tuple[str, PublishOutcome]]:
    """Publish these tenants; gives of each what changed per table, or why it could not be published."""
    *others, own = _balance_tenants(due)
    with ExitStack() as stack:
        waiting: list[tuple[str, Future[PublishOutcome]]] = []
        for share in others:
            other, pool = stack.enter_context(closing(publisher.beside())), ThreadPoolExecutor(1)
            stack.callback(pool.shutdown, cancel_futures=True)
            other.send_ahead(share)
            waiting += [(tenant, pool.submit(_publish_tenant, other, tenant, rows)) for tenant, rows in share.items()]
        publisher.send_ahead(own)
        yield from ((tenant, _publish_tenant(publisher, tenant, rows)) for tenant, rows in own.items())
        yield from ((tenant, future.result()) for tenant, future in waiting)


def _balance_tenants(due: PendingByTenant) -> Sequence[PendingByTenant]:
    """The tenants dealt out, those with the most changed rows first; the last share has whoever is read whole too."""
    moved = {t: sum(part.moved for part in rows) for t, rows in due.items() if all(part.changes for part in rows)}
    loads = [0] * min(MAX_CONNECTIONS, 1 + sum(moved.values()) // MIN_ROWS_PER_CONNECTION)
    shares: list[dict[str, Sequence[PendingRows]]] = [{} for _ in loads]
    for tenant in sorted(due, key=lambda tenant: (-moved.get(tenant, 0), tenant)):
        at = loads.index(min(loads)) if tenant in moved else -1
        shares[at][tenant] = due[tenant]
        loads[at] += moved.get(tenant, 0)
    return shares


def _publish_tenant(publisher: Publisher, tenant: str, rows: Sequence[PendingRows]) -> PublishOutcome:
    try:
        return publisher.publish(tenant, rows)
    except PublishError as error:
        return error
