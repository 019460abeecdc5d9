"""A warehouse of 2,000 clubs: `python -m benchmarks.many_tenants [TENANTS]` prints what takes how long."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import NullPool, create_engine, make_url, text

from benchmarks.publishing_rows import AS_OF, generate, publish
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.warehouse.bi_access import grant_bi_access
from crm_pipeline.resources.warehouse.warehouse import Warehouse

TENANTS: Final = 2_000
PEOPLE_PER_TENANT: Final = 50
EVENTS_PER_TENANT: Final = 1_000
CLUB: Final = "club-0007"
PAGE: Final = """
    select p.display_name, t.occurred_at, t.summary from customer_profiles p
    join customer_timeline t on t.profile_id = p.id
    where p.engagement_score > 50 order by t.occurred_at desc limit 100"""
TIERS: Final = "select membership_tier, count(*), avg(engagement_score) from customer_profiles group by 1"
EVERYBODY: Final = "select count(*), sum(amount_cents) from crm.customer_timeline"


def seconds(work: Callable[[], object]) -> float:
    """How long it takes once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def best_query_seconds(url: str, query: str) -> float:
    """The best of five runs of a query, each on a connection of its own, as planning for the first time costs most."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=NullPool)

    def once() -> None:
        with engine.connect() as connection:
            connection.execute(text(query)).all()

    return min(seconds(once) for _ in range(5))


def measure(warehouse: Warehouse, superuser: str, tenants: int) -> dict[str, float]:
    """Everything once, in the order a warehouse lives through it."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    generate(con, tenants, tenants * PEOPLE_PER_TENANT, tenants * EVENTS_PER_TENANT)
    taken = {"create the schema": seconds(warehouse.migrate_schema)}
    with warehouse.publisher(con, as_of=AS_OF, run_id="benchmark") as publisher:
        taken["first load, with partitions"] = seconds(lambda: publish(con, publisher, "first", 1))
        taken["publish, 0.5 % changed in all clubs"] = seconds(lambda: publish(con, publisher, "later", 2))
        taken["publish, nothing changed"] = seconds(lambda: publish(con, publisher, "later", 2))
    taken["look whether the schema is current"] = seconds(warehouse.migrate_schema)
    administrator = create_engine(make_url(superuser).set(database="crm"), poolclass=NullPool)
    for n in range(2):
        with administrator.begin() as connection:
            start = time.perf_counter()
            login = grant_bi_access(connection, CLUB, warehouse.url)
            taken["grant, the first" if n == 0 else "grant, another"] = time.perf_counter() - start
    taken["BI: latest events of the engaged"] = best_query_seconds(login.url, PAGE)
    taken["BI: engagement by tier"] = best_query_seconds(login.url, TIERS)
    taken["sum over the whole timeline"] = best_query_seconds(warehouse.url, EVERYBODY)
    return taken


def main(tenants: int = TENANTS) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        server = start_embedded_postgres(Path(folder))
        try:
            taken = measure(Warehouse(server.url("crm")), server.url("postgres"), tenants)
        finally:
            server.stop()
    title = f"{tenants:,} clubs, {tenants * PEOPLE_PER_TENANT:,} people, {tenants * EVENTS_PER_TENANT:,} events"
    shown = RichTable("work", "seconds", title=title)
    for name, value in taken.items():
        shown.add_row(name, f"{value:.3f}")
    Console().print(shown)


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:2]))
