"""Carrying out an order: tombstones first, then every place one after the other, then the proof; the order goes last.

Every step can be repeated. Killed anywhere, the next `forget` finishes the order before it does anything else; until
then the tombstones keep the person from coming back, and whatever is left is still named by the order.
"""

import re
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from crm_pipeline.privacy import byte_search
from crm_pipeline.privacy.byte_search import Needles
from crm_pipeline.privacy.certificate import certificate
from crm_pipeline.privacy.request import Order
from crm_pipeline.privacy.subject import name_forgotten
from crm_pipeline.resources.connections import lake_of, warehouse_of
from crm_pipeline.resources.dagster_storage.storage import dagster_url
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import started
from crm_pipeline.resources.privacy import lake_erasure, schema, warehouse_erasure
from crm_pipeline.resources.privacy.tombstones import key_id, tombstone, total_up
from crm_pipeline.run_context import Step
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities.atomic_commit import take_back_half_kept
from crm_pipeline.tables.columns import output_metadata, source_metadata
from crm_pipeline.tables.outputs import privacy
from crm_pipeline.tables.projections import arrow_schema, lake_name

Say = Callable[[str], None]
DAGSTER = "Dagster's storage: "


def carry_out(settings: Settings, order: Order, key: str, administrator: Engine, say: Say) -> list[dict[str, Any]]:
    """Do all of it; return a certificate for each club, in the audit by then. Every tenant must be held."""
    lake = lake_of(settings)
    say("tombstones")
    _copy_stones(order, key, administrator)
    with closing(lake.connect()) as con:
        _lay_stones(con, lake, order, key)
    _clear_lake(settings, lake, order, say)
    _clear_warehouse(settings, order, lake, administrator, say)
    _clear_reports(settings, order, lake, say)
    if _data(settings).exists():
        say("write-ahead log")
        warehouse_erasure.drop_wal(_embedded_engine(settings, "postgres"), _data(settings))
    say("checks")
    left = _left(settings, lake, order)
    issued = [certificate(order, tenant_id, key, left) for tenant_id in order.tenants]
    with administrator.begin() as connection:
        for each in issued:
            schema.record(
                connection,
                "FORGET",
                each["tenant_id"],
                subject=order.asked,
                reason=order.reason,
                certificate=each,
            )
    say("order")
    order.discard(lake)
    return issued


def stone_rows(order: Order, key: str) -> dict[str, list[dict[str, Any]]]:
    """The rows an order adds to the tables that stay, by table name."""
    stones, sums = [], []
    for certificate_id, person in order.numbered():
        theirs = {"tenant_id": person.tenant_id, "certificate_id": certificate_id}
        stone = theirs | {"key_id": key_id(key), "forgotten_at": datetime.fromisoformat(person.seen_until)}
        stones += [stone | {"hash": tombstone(key, record)} for record in person.records]
        sums += [theirs | each._asdict() for each in person.sums]
    return {privacy.tombstones.name: stones, privacy.forgotten_sums.name: sums}


def _copy_stones(order: Order, key: str, administrator: Engine) -> None:
    rows = stone_rows(order, key)
    with administrator.begin() as connection:
        for table in schema.KEPT:
            names, key_names = [column.name for column in table.columns], ", ".join(c.name for c in table.primary_key)
            if rows[table.name]:
                # Whoever came again after retention, and goes once more, has tombstones that ended.
                connection.execute(
                    text(f"""insert into {schema.SCHEMA}.{table.name} ({", ".join(names)})
                        values ({", ".join(f":{name}" for name in names)})
                        on conflict ({key_names}) do update set
                        {", ".join(f"{name} = excluded.{name}" for name in names)}"""),
                    rows[table.name],
                )


def _lay_stones(con: DuckDBPyConnection, lake: Lake, order: Order, key: str) -> None:
    rows = stone_rows(order, key)
    for table in schema.KEPT:
        schema.keep(con, lake, table, pa.Table.from_pylist(rows[table.name], schema=arrow_schema(table)))
    total_up(con, lake, order.tenants, order.time)


def _clear_lake(settings: Settings, lake: Lake, order: Order, say: Say) -> None:
    with closing(lake.connect()) as con:
        step = Step(con, lake, order.time, order.certificate_id, order.tenants)
        take_back_half_kept(step, order.tenants)
        name_forgotten(con, [*order.records, *order.followers])
        for table in (*source_metadata.tables.values(), *output_metadata.tables.values()):
            say(f"lake: {lake_name(table)}")
            order.note(lake, f"lake: {lake_name(table)}", lake_erasure.erase(con, lake, table))
        # The newest versions of the club's rows may be gone; what is told half-kept by them must not be.
        take_back_half_kept(step, order.tenants)
    order.note(lake, "files of killed processes", byte_search.clear_leftovers(settings.home))


def _clear_warehouse(settings: Settings, order: Order, lake: Lake, administrator: Engine, say: Say) -> None:
    warehouse = warehouse_of(settings)
    say("warehouse: rows")
    deleted = warehouse_erasure.delete_rows(warehouse, order.tenants, [*order.records, *order.followers])
    for table, rows in deleted.items():
        order.note(lake, f"warehouse: crm.{table}", rows)
    say("warehouse: files")
    warehouse_erasure.rewrite_tables(warehouse, order.tenants)
    warehouse_erasure.rewrite_statistics(administrator)


def _clear_reports(settings: Settings, order: Order, lake: Lake, say: Say) -> None:
    """Dagster's storage and whatever else lies in the home folder: nothing of theirs should be there, so we look."""
    say("Dagster's storage")
    engine = create_engine(dagster_url(settings), poolclass=NullPool)
    pattern, found = _mentions(engine, order)
    for (table, _), rows in found.items():
        order.note(lake, f"{DAGSTER}{table}", rows)
    warehouse_erasure.blank_mentions(engine, list(found), pattern)
    # Of a killed order, too, which had replaced them already.
    touched = [place.removeprefix(DAGSTER) for place in order.removed if place.startswith(DAGSTER)]
    warehouse_erasure.rewrite_mentioning(engine, touched)
    if touched and not settings.dagster_pg_url:
        warehouse_erasure.rewrite_statistics(_embedded_engine(settings, "dagster"))
    say("reports and logs")
    files = byte_search.blank(_reports(settings), byte_search.needles(order.values))
    order.note(lake, "reports and logs under the home folder", files)


def _mentions(engine: Engine, order: Order) -> tuple[str, dict[tuple[str, str], int]]:
    """A pattern of what stands in Dagster's storage: their values, and records as checks name them; and where."""
    named = [f"{r.tenant_id} {r.service} {r.record_id}" for r in order.records]
    wanted = Needles(each.lower().encode() for each in [*order.values, *named])
    standing = set().union(*map(wanted.standing_in, warehouse_erasure.texts(engine)))
    pattern = "(" + "|".join(sorted(re.escape(each.decode()) for each in standing)) + ")(?![0-9A-Za-z_-])"
    return pattern, warehouse_erasure.find_mentions(engine, pattern) if standing else {}


def _left(settings: Settings, lake: Lake, order: Order) -> dict[str, int]:
    """What every place still holds, looked for anew."""
    records, wanted = [*order.records, *order.followers], byte_search.needles(order.values)
    with closing(lake.connect()) as con:
        name_forgotten(con, records)
        tables = (*source_metadata.tables.values(), *output_metadata.tables.values())
        left = {f"lake: {lake_name(table)}": lake_erasure.left(con, lake, table) for table in tables}
    published = warehouse_erasure.rows_left(warehouse_of(settings), order.tenants, records)
    left |= {f"warehouse: crm.{table}": rows for table, rows in published.items()}
    engine = create_engine(dagster_url(settings), poolclass=NullPool)
    left[f"{DAGSTER}every table"] = sum(_mentions(engine, order)[1].values())
    logs = [file for file in byte_search.all_files(Path(lake.url)) if "_delta_log" in file.parts]
    left["lake: transaction logs, files"] = len(list(byte_search.files_holding(logs, wanted)))
    left["reports and logs under the home folder"] = len(list(byte_search.files_holding(_reports(settings), wanted)))
    if _data(settings).exists():
        files = byte_search.all_files(_data(settings))
        left["files of the embedded server"] = len(list(byte_search.files_holding(files, wanted)))
    return left


def _reports(settings: Settings) -> list[Path]:
    return list(
        byte_search.all_files(settings.home, but=[_data(settings), Path(settings.lake_url), settings.home / "spill"])
    )


def _data(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def _embedded_engine(settings: Settings, database: str) -> Engine:
    url = make_url(started(settings.home).url("postgres")).set(database=database)
    return create_engine(url, poolclass=NullPool)
