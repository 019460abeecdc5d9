"""Carrying out an order: tombstones first, then every place one after the other, then the proof; the order goes last.

Every step can be repeated. Killed anywhere, the next `forget` finishes the order before it does anything else; until
then the tombstones keep the person from coming back, and whatever is left is still named by the order.
"""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from crm_pipeline.assets.kept_identities import take_back_half_kept
from crm_pipeline.assets.step import Step
from crm_pipeline.assets.wiring import lake_of, warehouse_of
from crm_pipeline.forget import traces
from crm_pipeline.forget.certificate import certificate
from crm_pipeline.forget.order import Order
from crm_pipeline.forget.person import name_forgotten
from crm_pipeline.resources import lake_erasure, privacy_schema, warehouse_erasure
from crm_pipeline.resources.dagster_storage import dagster_url
from crm_pipeline.resources.lake import Lake
from crm_pipeline.resources.tombstones import key_id, tombstone, total_up
from crm_pipeline.settings import Settings
from crm_pipeline.tables import privacy
from crm_pipeline.tables.columns import outputs, sources
from crm_pipeline.tables.projections import arrow_schema, lake_name
from crm_pipeline.workplace import embedded

Say = Callable[[str], None]
DAGSTER = "Dagster's storage: "


def carry_out(settings: Settings, order: Order, key: str, administrator: Engine, say: Say) -> dict[str, Any]:
    """Do all of it; return the certificate, which is in the audit by then. Every tenant must be held."""
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
    issued = certificate(order, key, _left(settings, lake, order))
    with administrator.begin() as connection:
        given = {"reason": order.reason, "certificate": issued, "subject": issued["subject"]}
        privacy_schema.record(connection, "FORGET", order.tenant_id, **given)
    say("order")
    order.discard(lake)
    return issued


def stone_rows(order: Order, key: str) -> dict[str, list[dict[str, Any]]]:
    """The rows an order adds to the tables that stay, by table name."""
    of_order = {"tenant_id": order.tenant_id, "certificate_id": order.certificate_id}
    stone = of_order | {"key_id": key_id(key), "forgotten_at": order.time}
    return {
        privacy.tombstones.name: [stone | {"hash": tombstone(key, record)} for record in order.records],
        privacy.forgotten_sums.name: [of_order | each._asdict() for each in order.sums],
    }


def _copy_stones(order: Order, key: str, administrator: Engine) -> None:
    rows = stone_rows(order, key)
    with administrator.begin() as connection:
        for table in privacy_schema.KEPT:
            names = [column.name for column in table.columns]
            if rows[table.name]:
                connection.execute(
                    text(f"""insert into {privacy_schema.SCHEMA}.{table.name} ({", ".join(names)})
                        values ({", ".join(f":{name}" for name in names)}) on conflict do nothing"""),
                    rows[table.name],
                )


def _lay_stones(con: DuckDBPyConnection, lake: Lake, order: Order, key: str) -> None:
    rows, scope = stone_rows(order, key), f"certificate_id = '{order.certificate_id}'"
    for table in privacy_schema.KEPT:
        con.register("stones", pa.Table.from_pylist(rows[table.name], schema=arrow_schema(table)))
        lake.replace(con, table, "stones", tenants=[order.tenant_id], known_at=order.time, scope=scope)
        con.unregister("stones")
    total_up(con, lake, order.tenant_id, order.time)


def _clear_lake(settings: Settings, lake: Lake, order: Order, say: Say) -> None:
    with closing(lake.connect()) as con:
        step = Step(con, lake, order.time, order.certificate_id, [order.tenant_id])
        take_back_half_kept(step, [order.tenant_id])
        name_forgotten(con, [*order.records, *order.followers])
        for table in (*sources.tables.values(), *outputs.tables.values()):
            say(f"lake: {lake_name(table)}")
            order.note(lake, f"lake: {lake_name(table)}", lake_erasure.erase(con, lake, table))
        # The newest versions of the club's rows may be gone; what is told half-kept by them must not be.
        take_back_half_kept(step, [order.tenant_id])
    order.note(lake, "files of killed processes", traces.clear_leftovers(settings.home))


def _clear_warehouse(settings: Settings, order: Order, lake: Lake, administrator: Engine, say: Say) -> None:
    warehouse = warehouse_of(settings)
    say("warehouse: rows")
    deleted = warehouse_erasure.delete_rows(warehouse, order.tenant_id, [*order.records, *order.followers])
    for table, rows in deleted.items():
        order.note(lake, f"warehouse: crm.{table}", rows)
    say("warehouse: files")
    warehouse_erasure.rewrite_tables(warehouse, order.tenant_id)
    warehouse_erasure.rewrite_statistics(administrator)


def _clear_reports(settings: Settings, order: Order, lake: Lake, say: Say) -> None:
    """Dagster's storage and whatever else lies in the home folder: nothing of theirs should be there, so we look."""
    say("Dagster's storage")
    engine, pattern = create_engine(dagster_url(settings), poolclass=NullPool), _pattern(order)
    found = warehouse_erasure.find_mentions(engine, pattern)
    for (table, _), rows in found.items():
        order.note(lake, f"{DAGSTER}{table}", rows)
    warehouse_erasure.blank_mentions(engine, list(found), pattern)
    # Of a killed order, too, which had replaced them already.
    touched = [place.removeprefix(DAGSTER) for place in order.removed if place.startswith(DAGSTER)]
    warehouse_erasure.rewrite_mentioning(engine, touched)
    if touched and not settings.dagster_pg_url:
        warehouse_erasure.rewrite_statistics(_embedded_engine(settings, "dagster"))
    say("reports and logs")
    files = traces.blank(_reports(settings), traces.needles(order.values))
    order.note(lake, "reports and logs under the home folder", files)


def _pattern(order: Order) -> str:
    """Their values, and records as checks name them: club, service and id."""
    named = [f"{r.tenant_id} {r.service} {r.record_id}" for r in order.records]
    return "(" + "|".join(re.escape(each) for each in [*order.values, *named]) + ")(?![0-9A-Za-z_-])"


def _left(settings: Settings, lake: Lake, order: Order) -> dict[str, int]:
    """What every place still holds, looked for anew."""
    records, wanted = [*order.records, *order.followers], traces.needles(order.values)
    with closing(lake.connect()) as con:
        name_forgotten(con, records)
        tables = (*sources.tables.values(), *outputs.tables.values())
        left = {f"lake: {lake_name(table)}": lake_erasure.left(con, lake, table) for table in tables}
    published = warehouse_erasure.rows_left(warehouse_of(settings), order.tenant_id, records)
    left |= {f"warehouse: crm.{table}": rows for table, rows in published.items()}
    engine = create_engine(dagster_url(settings), poolclass=NullPool)
    left[f"{DAGSTER}every table"] = sum(warehouse_erasure.find_mentions(engine, _pattern(order)).values())
    logs = [file for file in traces.all_files(Path(lake.url)) if "_delta_log" in file.parts]
    left["lake: transaction logs, files"] = len(list(traces.files_holding(logs, wanted)))
    left["reports and logs under the home folder"] = len(list(traces.files_holding(_reports(settings), wanted)))
    if _data(settings).exists():
        files = traces.all_files(_data(settings))
        left["files of the embedded server"] = len(list(traces.files_holding(files, wanted)))
    return left


def _reports(settings: Settings) -> list[Path]:
    return list(
        traces.all_files(settings.home, but=[_data(settings), Path(settings.lake_url), settings.home / "spill"])
    )


def _data(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def _embedded_engine(settings: Settings, database: str) -> Engine:
    url = make_url(embedded(settings).url("postgres")).set(database=database)
    return create_engine(url, poolclass=NullPool)
