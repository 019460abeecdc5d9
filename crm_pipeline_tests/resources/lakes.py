"""What tests of publishing from a real lake share: clubs whose hours can be told apart, and runs of the publisher."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Table

from crm_pipeline.resources.lake.lake import Changes, Lake
from crm_pipeline.resources.warehouse.publishing.publisher import Publisher
from crm_pipeline.resources.warehouse.publishing.table_publication import Rows
from crm_pipeline.resources.warehouse.warehouse import Warehouse
from crm_pipeline.run_context import Step
from crm_pipeline.steps.publish.pending_rows import due_rows
from crm_pipeline.tables.outputs.profiles import customer_profiles
from crm_pipeline.tables.outputs.timeline import customer_timeline
from crm_pipeline.tables.projections import arrow_schema, key_columns
from crm_pipeline_tests.resources.warehouses import Row, a_row, ask

TABLES: Final = (customer_profiles, customer_timeline)
Staged = tuple[Publisher, dict[str, list[Rows]]]
"""A publisher, which is its user's to close, and what it has to publish per tenant."""
START: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)


def a_lake(folder: Path) -> Lake:
    return Lake(str(folder / "lake"), folder / "spill")


def club_at(tenant: str, hour: int, people: int) -> dict[Table, list[Row]]:
    """A club's rows at an hour: as many more as the hour says, and that hour on every third of them."""
    ids = [f"00000000-0000-0000-0000-{n:012}" for n in range(hour % 7, people + hour)]
    stamps = [str(hour if n % 3 == hour % 3 else "once") for n in range(len(ids))]
    return {
        customer_profiles: [
            a_row(customer_profiles, tenant_id=tenant, id=id_, status=stamp, updated_at=at(hour))
            for id_, stamp in zip(ids, stamps, strict=True)
        ],
        customer_timeline: [
            a_row(customer_timeline, tenant_id=tenant, event_id=f"{id_}-{n}", profile_id=id_, summary=stamp)
            for id_, stamp in zip(ids, stamps, strict=True)
            for n in range(3)
        ],
    }


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def keep(lake: Lake, tenants: Sequence[str], hour: int, people: int) -> None:
    """Make the lake speak of an hour."""
    with closing(lake.connect()) as con:
        for table in TABLES:
            rows = [row for tenant in tenants for row in club_at(tenant, hour, people)[table]]
            con.register("incoming", pa.Table.from_pylist(rows, schema=arrow_schema(table)))
            lake.replace(con, table, "incoming", tenants=tenants, known_at=at(hour))


def stage_from(lake: Lake, warehouse: Warehouse, tenants: Sequence[str], as_of: datetime = START) -> Staged:
    """A publisher and what it has to publish, tenant by tenant, as of now."""
    con = lake.connect()
    this = Step(con, lake, as_of, "run", tenants)
    publisher = Publisher(con, warehouse.connect, as_of, "run")
    due: dict[str, list[Rows]] = {tenant: [] for tenant in tenants}
    for table in TABLES:
        for tenant, rows in due_rows(this, publisher.published, table, tenants).items():
            due[tenant].append(rows)
    return publisher, due


def publish_lake(
    lake: Lake, warehouse: Warehouse, tenants: Sequence[str], as_of: datetime = START
) -> dict[str, dict[str, Changes]]:
    """Publish whatever moved of these tenants, sent ahead."""
    publisher, due = stage_from(lake, warehouse, tenants, as_of)
    try:
        publisher.send_ahead(due)
        return {tenant: publisher.publish(tenant, due[tenant]) for tenant in sorted(tenants)}
    finally:
        publisher.connection.close()
        publisher.con.close()


def in_lake(lake: Lake, table: Table) -> list[tuple[Any, ...]]:
    """Keys and hashes of all rows, and when each last changed where the table says so."""
    with closing(lake.connect()) as con:
        columns = ", ".join((*key_columns(table), "_row_hash"))
        return sorted(con.sql(f"select {columns} from {lake.current(con, table)}").fetchall())


def in_warehouse(warehouse: Warehouse, table: Table) -> list[tuple[Any, ...]]:
    columns = ", ".join((*(f"{key}::text" for key in key_columns(table)), "row_hash"))
    return sorted(ask(warehouse, f"select {columns} from crm.{table.name}"))


def assert_equal(lake: Lake, warehouse: Warehouse) -> None:
    """The warehouse has what the lake has, says so, and has nothing lying about."""
    for table in TABLES:
        assert in_warehouse(warehouse, table) == in_lake(lake, table), table.name
        said = ask(
            warehouse,
            f"""select p.tenant_id, p.rows, s.checksum, count(t.row_hash), coalesce(sum(t.row_hash), 0)
            from crm.publications p join crm.publication_states s using (tenant_id, table_name)
            left join crm.{table.name} t using (tenant_id) where table_name = '{table.name}' group by 1, 2, 3""",
        )
        assert [row for row in said if row[1:3] != row[3:]] == []
    loose = """select relname from pg_class where relnamespace = 'crm'::regnamespace and not relispartition
        and relname like 'customer\\_timeline\\_%' and relkind = 'r'"""
    assert ask(warehouse, loose) == []
