"""Tenants dealt into batches: how many are worked on at a time."""

from collections.abc import Iterator, Mapping, Sequence


def split_into_batches(tenants: Sequence[str], rows: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """The tenants in their order, as many at a time as have no more than `most` rows together; at least one."""
    group: list[str] = []
    held = 0
    for tenant in tenants:
        if group and held + rows.get(tenant, 0) > most:
            yield group
            group, held = [], 0
        group.append(tenant)
        held += rows.get(tenant, 0)
    if group:
        yield group
