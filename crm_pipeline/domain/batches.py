"""Tenants split into batches that are processed one at a time."""

from collections.abc import Iterator, Mapping, Sequence


def split_into_batches(tenants: Sequence[str], rows: Mapping[str, int], max_rows: int) -> Iterator[list[str]]:
    """Yields batches of tenants in their order, each with `max_rows` rows at most.

    A tenant with more rows than that is a batch of its own.
    """
    batch: list[str] = []
    batch_rows = 0
    for tenant in tenants:
        if batch and batch_rows + rows.get(tenant, 0) > max_rows:
            yield batch
            batch, batch_rows = [], 0
        batch.append(tenant)
        batch_rows += rows.get(tenant, 0)
    if batch:
        yield batch
