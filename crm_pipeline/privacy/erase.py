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
from crm_pipeline.privacy.byte_search import SearchTerms
from crm_pipeline.privacy.certificate import build_certificate
from crm_pipeline.privacy.request import ErasureRequest
from crm_pipeline.privacy.subject import create_forgotten_relation
from crm_pipeline.resources.connections import open_lake, open_warehouse
from crm_pipeline.resources.dagster_storage.storage import find_dagster_url
from crm_pipeline.resources.lake.lake import Lake
from crm_pipeline.resources.postgres.embedded import start_embedded_postgres
from crm_pipeline.resources.privacy import lake_erasure, schema, warehouse_erasure
from crm_pipeline.resources.privacy.tombstones import build_key_id, build_tombstone, store_forgotten_totals
from crm_pipeline.run_context import RunContext
from crm_pipeline.settings import Settings
from crm_pipeline.steps.identities.atomic_commit import roll_back_partial_commits
from crm_pipeline.tables.columns import output_metadata, source_metadata
from crm_pipeline.tables.outputs import privacy
from crm_pipeline.tables.projections import to_arrow_schema, to_lake_name

ProgressReporter = Callable[[str], None]
DAGSTER_PLACE_PREFIX = "Dagster's storage: "


def execute_erasure_request(
    settings: Settings, order: ErasureRequest, key: str, administrator: Engine, say: ProgressReporter
) -> list[dict[str, Any]]:
    """Do all of it; return a certificate for each club, in the audit by then. Every tenant must be held."""
    lake = open_lake(settings)
    say("tombstones")
    _store_warehouse_tombstones(order, key, administrator)
    with closing(lake.connect()) as con:
        _store_lake_tombstones(con, lake, order, key)
    _erase_lake_rows(settings, lake, order, say)
    _erase_warehouse_rows(settings, order, lake, administrator, say)
    _redact_reports(settings, order, lake, say)
    if _find_postgres_folder(settings).exists():
        say("write-ahead log")
        warehouse_erasure.delete_wal_segments(
            _create_embedded_engine(settings, "postgres"), _find_postgres_folder(settings)
        )
    say("checks")
    left = _count_remaining_data(settings, lake, order)
    issued = [build_certificate(order, tenant_id, key, left) for tenant_id in order.tenants]
    with administrator.begin() as connection:
        for each in issued:
            schema.write_log_entry(
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


def build_tombstone_rows(order: ErasureRequest, key: str) -> dict[str, list[dict[str, Any]]]:
    """The rows an order adds to the tables that stay, by table name."""
    stones, sums = [], []
    for certificate_id, person in order.numbered():
        theirs = {"tenant_id": person.tenant_id, "certificate_id": certificate_id}
        stone = theirs | {"key_id": build_key_id(key), "forgotten_at": datetime.fromisoformat(person.seen_until)}
        stones += [stone | {"hash": build_tombstone(key, record)} for record in person.records]
        sums += [theirs | each._asdict() for each in person.sums]
    return {privacy.tombstones.name: stones, privacy.forgotten_sums.name: sums}


def _store_warehouse_tombstones(order: ErasureRequest, key: str, administrator: Engine) -> None:
    rows = build_tombstone_rows(order, key)
    with administrator.begin() as connection:
        for table in schema.COPIED_TABLES:
            names, key_names = [column.name for column in table.columns], ", ".join(c.name for c in table.primary_key)
            if rows[table.name]:
                # Whoever came again after retention, and goes once more, has tombstones that ended.
                connection.execute(
                    text(f"""insert into {schema.PRIVACY_SCHEMA}.{table.name} ({", ".join(names)})
                        values ({", ".join(f":{name}" for name in names)})
                        on conflict ({key_names}) do update set
                        {", ".join(f"{name} = excluded.{name}" for name in names)}"""),
                    rows[table.name],
                )


def _store_lake_tombstones(con: DuckDBPyConnection, lake: Lake, order: ErasureRequest, key: str) -> None:
    rows = build_tombstone_rows(order, key)
    for table in schema.COPIED_TABLES:
        schema.store_missing_rows(
            con, lake, table, pa.Table.from_pylist(rows[table.name], schema=to_arrow_schema(table))
        )
    store_forgotten_totals(con, lake, order.tenants, order.time)


def _erase_lake_rows(settings: Settings, lake: Lake, order: ErasureRequest, say: ProgressReporter) -> None:
    with closing(lake.connect()) as con:
        step = RunContext(con, lake, order.time, order.certificate_id, order.tenants)
        roll_back_partial_commits(step, order.tenants)
        create_forgotten_relation(con, [*order.records, *order.followers])
        for table in (*source_metadata.tables.values(), *output_metadata.tables.values()):
            say(f"lake: {to_lake_name(table)}")
            order.note(lake, f"lake: {to_lake_name(table)}", lake_erasure.erase_rows(con, lake, table))
        # The newest versions of the club's rows may be gone; what is told half-kept by them must not be.
        roll_back_partial_commits(step, order.tenants)
    order.note(lake, "files of killed processes", byte_search.delete_leftover_files(settings.home))


def _erase_warehouse_rows(
    settings: Settings, order: ErasureRequest, lake: Lake, administrator: Engine, say: ProgressReporter
) -> None:
    warehouse = open_warehouse(settings)
    say("warehouse: rows")
    deleted = warehouse_erasure.delete_subject_rows(warehouse, order.tenants, [*order.records, *order.followers])
    for table, rows in deleted.items():
        order.note(lake, f"warehouse: crm.{table}", rows)
    say("warehouse: files")
    warehouse_erasure.rewrite_tables(warehouse, order.tenants)
    warehouse_erasure.rewrite_statistics(administrator)


def _redact_reports(settings: Settings, order: ErasureRequest, lake: Lake, say: ProgressReporter) -> None:
    """Dagster's storage and whatever else lies in the home folder: nothing of theirs should be there, so we look."""
    say("Dagster's storage")
    engine = create_engine(find_dagster_url(settings), poolclass=NullPool)
    pattern, found = _find_dagster_mentions(engine, order)
    for (table, _), rows in found.items():
        order.note(lake, f"{DAGSTER_PLACE_PREFIX}{table}", rows)
    warehouse_erasure.redact_text_matches(engine, list(found), pattern)
    # Of a killed order, too, which had replaced them already.
    touched = [
        place.removeprefix(DAGSTER_PLACE_PREFIX) for place in order.removed if place.startswith(DAGSTER_PLACE_PREFIX)
    ]
    warehouse_erasure.rewrite_dagster_tables(engine, touched)
    if touched and not settings.dagster_pg_url:
        warehouse_erasure.rewrite_statistics(_create_embedded_engine(settings, "dagster"))
    say("reports and logs")
    files = byte_search.redact_files(_list_report_files(settings), byte_search.build_search_terms(order.values))
    order.note(lake, "reports and logs under the home folder", files)


def _find_dagster_mentions(engine: Engine, order: ErasureRequest) -> tuple[str, dict[tuple[str, str], int]]:
    """A pattern of what stands in Dagster's storage: their values, and records as checks name them; and where."""
    named = [f"{r.tenant_id} {r.service} {r.record_id}" for r in order.records]
    wanted = SearchTerms(each.lower().encode() for each in [*order.values, *named])
    standing = set().union(*map(wanted.standing_in, warehouse_erasure.read_dagster_texts(engine)))
    pattern = "(" + "|".join(sorted(re.escape(each.decode()) for each in standing)) + ")(?![0-9A-Za-z_-])"
    return pattern, warehouse_erasure.count_text_matches(engine, pattern) if standing else {}


def _count_remaining_data(settings: Settings, lake: Lake, order: ErasureRequest) -> dict[str, int]:
    """What every place still holds, looked for anew."""
    records, wanted = [*order.records, *order.followers], byte_search.build_search_terms(order.values)
    with closing(lake.connect()) as con:
        create_forgotten_relation(con, records)
        tables = (*source_metadata.tables.values(), *output_metadata.tables.values())
        left = {f"lake: {to_lake_name(table)}": lake_erasure.count_remaining_rows(con, lake, table) for table in tables}
    published = warehouse_erasure.count_subject_rows(open_warehouse(settings), order.tenants, records)
    left |= {f"warehouse: crm.{table}": rows for table, rows in published.items()}
    engine = create_engine(find_dagster_url(settings), poolclass=NullPool)
    left[f"{DAGSTER_PLACE_PREFIX}every table"] = sum(_find_dagster_mentions(engine, order)[1].values())
    logs = [file for file in byte_search.list_files(Path(lake.url)) if "_delta_log" in file.parts]
    left["lake: transaction logs, files"] = len(list(byte_search.find_matching_files(logs, wanted)))
    left["reports and logs under the home folder"] = len(
        list(byte_search.find_matching_files(_list_report_files(settings), wanted))
    )
    if _find_postgres_folder(settings).exists():
        files = byte_search.list_files(_find_postgres_folder(settings))
        left["files of the embedded server"] = len(list(byte_search.find_matching_files(files, wanted)))
    return left


def _list_report_files(settings: Settings) -> list[Path]:
    return list(
        byte_search.list_files(
            settings.home, but=[_find_postgres_folder(settings), Path(settings.lake_url), settings.home / "spill"]
        )
    )


def _find_postgres_folder(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def _create_embedded_engine(settings: Settings, database: str) -> Engine:
    url = make_url(start_embedded_postgres(settings.home).url("postgres")).set(database=database)
    return create_engine(url, poolclass=NullPool)
