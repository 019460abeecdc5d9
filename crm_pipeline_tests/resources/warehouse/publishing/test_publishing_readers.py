"""Readers during publications never wait and never see an empty or half-published tenant."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Final, Literal, get_args

from sqlalchemy import Connection, text

from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline_tests.fixtures.homes.soak import SOAK
from crm_pipeline_tests.fixtures.servers.lakes import TABLES, a_lake, assert_equal, club_at, publish_lake, store_hour
from crm_pipeline_tests.fixtures.servers.patience import PATIENCE_SECONDS
from crm_pipeline_tests.fixtures.servers.warehouses import connected

PUBLICATIONS: Final = 50 if SOAK else 3
LOCK_TIMEOUT: Final = "10s"
PEOPLE: Final = 60
SEEN = text("""
    select coalesce((select version from crm.publications p where p.tenant_id = t.tenant_id
            and table_name = 'customer_profiles'), -1),
        (select count(*) from crm.customer_profiles p where p.tenant_id = t.tenant_id),
        (select count(*) from crm.customer_timeline e where e.tenant_id = t.tenant_id),
        (select string_agg(status, ' ' order by id) from crm.customer_profiles p where p.tenant_id = t.tenant_id),
        (select count(*) from crm.customer_timeline e left join crm.customer_profiles p
            on (p.tenant_id, p.id) = (e.tenant_id, e.profile_id)
            where e.tenant_id = t.tenant_id and p.status is distinct from e.summary)
    from (values (cast(:tenant as text))) t (tenant_id)""")
"""In one statement: the version, row counts of both tables, the profiles' hour marks, and events of another hour."""
Sight = tuple[int, int, int, str | None, int]
Isolation = Literal["READ COMMITTED", "REPEATABLE READ"]
ISOLATIONS: Final[tuple[Isolation, ...]] = get_args(Isolation)
READERS: Final[list[tuple[str, Isolation, float]]] = [
    (tenant, isolation, pause)
    for isolation in ISOLATIONS
    for tenant, pause in (("old", 0.0), ("old", 0.4), ("new", 0.0))
]


def hour_of(tenant: str, hour: int) -> Sight:
    """Returns what a reader sees of an hour."""
    profiles, events = (club_at(tenant, hour, PEOPLE)[table] for table in TABLES)
    return hour, len(profiles), len(events), " ".join(row["status"] for row in profiles), 0


def watch(
    warehouse: Warehouse, isolation: Isolation, tenant: str, pause: float, begin: Barrier, end: Event
) -> set[Sight]:
    """Returns what a reader saw of the tenant in transactions of two looks each, the last of them after `end`.

    Raises: DBAPIError if a look waited for a lock.
    """
    seen = set()
    with warehouse.engine().execution_options(isolation_level=isolation).connect() as reader:
        reader.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT}'"))
        reader.commit()
        seen.add(look(reader, tenant))
        reader.rollback()
        begin.wait(PATIENCE_SECONDS)
        is_over = False
        while not is_over:
            is_over = end.is_set()
            looks = []
            for _ in range(2):
                looks.append(look(reader, tenant))
                time.sleep(pause)
            reader.rollback()
            if isolation == "REPEATABLE READ":
                assert looks[0] == looks[1]
            seen |= set(looks)
    return seen


def look(reader: Connection, tenant: str) -> Sight:
    version, profiles, events, statuses, others = reader.execute(SEEN, {"tenant": tenant}).one()
    return version, profiles, events, statuses, others


def allowed_sights(tenant: str, isolation: Isolation) -> set[Sight]:
    """Returns all that may be seen of a tenant published from hour 1 on; the old tenant also had hour 0.

    A statement planned before the partitions are attached and executed afterwards sees all of the first publication but
    them: PostgreSQL plans with the present partitions, and READ COMMITTED takes a new snapshot of the rows.
    """
    hours = {hour_of(tenant, hour) for hour in range(1, PUBLICATIONS + 1)}
    if tenant == "old":
        return hours | {hour_of(tenant, 0)}
    version, *_ = hour_of(tenant, 1)
    planned_before = {(version, 0, 0, None, 0)} if isolation == "READ COMMITTED" else set()
    return hours | {(-1, 0, 0, None, 0)} | planned_before


def test_every_reader_sees_complete_publications_and_waits_for_none(warehouse: Warehouse, tmp_path: Path) -> None:
    lake, begin, end = a_lake(tmp_path), Barrier(len(READERS) + 1), Event()
    store_hour(lake, ["old"], 0, PEOPLE)
    publish_lake(lake, warehouse, ["old"])
    with ThreadPoolExecutor(len(READERS)) as pool:
        watching = [
            pool.submit(watch, warehouse, isolation, tenant, pause, begin, end) for tenant, isolation, pause in READERS
        ]
        try:
            begin.wait(PATIENCE_SECONDS)
            for hour in range(1, PUBLICATIONS + 1):
                store_hour(lake, ["old", "new"], hour, PEOPLE)
                publish_lake(lake, warehouse, ["old", "new"])
        finally:
            end.set()
    for (tenant, isolation, _), reader in zip(READERS, watching, strict=True):
        seen = reader.result()
        assert seen <= allowed_sights(tenant, isolation)
        assert len(seen) > 1
    assert_equal(lake, warehouse)
    with connected(warehouse) as connection:
        assert connection.execute(text("select deadlocks from pg_stat_database where datname = 'crm'")).scalar() == 0
