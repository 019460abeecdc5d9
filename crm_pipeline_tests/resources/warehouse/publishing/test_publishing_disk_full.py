"""A full disk fails the club being published, whose rows stay as they were; with free space one run catches up."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from crm_pipeline.resources.postgres.embedded import EmbeddedPostgres
from crm_pipeline.resources.warehouse.publishing.table_publication import PublishError
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline_tests.fixtures.servers.embedded_servers import postmaster
from crm_pipeline_tests.fixtures.servers.warehouses import AS_OF as HOUR
from crm_pipeline_tests.fixtures.servers.warehouses import (
    Row,
    a_connection,
    a_row,
    create_pending_rows,
    publish,
    rows_of,
)

MEGABYTE: Final = 1024 * 1024
ROOM: Final = 20 * MEGABYTE
"""More than a file of the write-ahead log, which must not fail, and less than the large club's events."""


@contextmanager
def files_end_at(server: EmbeddedPostgres, size: int) -> Iterator[None]:
    """Limits file sizes for sessions that begin now, which is for PostgreSQL like a full disk."""
    pid = postmaster(server)
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def events(tenant: str, number: int) -> list[Row]:
    return [
        a_row(customer_timeline, tenant_id=tenant, event_id=str(n), summary=f"{n} " + "long " * 180)
        for n in range(number)
    ]


@pytest.mark.parametrize("had", [0, 1])
def test_a_full_disk(tmp_path: Path, had: int) -> None:
    server = EmbeddedPostgres(tmp_path)
    server.start()
    try:
        warehouse, con = Warehouse(server.url("crm")), a_connection()
        warehouse.migrate_schema()
        if had:
            publish(warehouse, "large", {customer_timeline: events("large", had)}, 1)
        with files_end_at(server, ROOM), warehouse.publisher(con, as_of=HOUR, run_id="r") as publisher:
            with pytest.raises(PublishError, match=r"^large: PostgreSQL reports SQLSTATE XX000"):
                publisher.publish("large", [create_pending_rows(con, customer_timeline, events("large", 30_000), 2)])
            publisher.publish("small", [create_pending_rows(con, customer_timeline, events("small", 10), 2)])
        assert [len(rows_of(warehouse, customer_timeline, tenant)) for tenant in ("large", "small")] == [had, 10]
        publish(warehouse, "large", {customer_timeline: events("large", 30_000)}, 2)
        assert len(rows_of(warehouse, customer_timeline, "large")) == 30_000
    finally:
        server.stop()
